"""Our connection to one peer: a DEALER that asks and a SUB that hears, both to its key.

Whatever arrives here was sent by the holder of that key, so every fault has an author.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Protocol, TypeVar

import zmq
import zmq.asyncio

from cairn.consensus.errors import Rule, RuleError
from cairn.network.budget import TokenBucket
from cairn.network.keys import CurveKeyPair
from cairn.network.messages import (
    MAX_TRANSACTIONS_BYTES,
    Body,
    Busy,
    Hello,
    Refusal,
    ReplyBody,
    Request,
    RequestBody,
    TipBroadcast,
    TransactionsBroadcast,
    Welcome,
    decode_broadcast,
    decode_reply,
    encode_message,
    malformed,
)
from cairn.network.sockets import connect, make_dealer, make_subscriber, receive
from cairn.network.tasks import Tasks
from cairn.network.traffic import Traffic

_logger = logging.getLogger(__name__)

MAX_ASKED_AT_ONCE = 6
"""Below what a peer's server allows, so that honest nodes are never told to wait for it."""
RETRY_MAX_SECONDS = 5.0
BROADCAST_BYTES_PER_SECOND = 8 * 1024 * 1024
BROADCASTS_BYTES_AT_ONCE = 32 * 1024 * 1024
_BROADCAST_OVERHEAD_BYTES = 2_000
"""Each broadcast counts as so many bytes more: small ones cost work too."""

MAX_UNFINISHED_REPLY_BYTES = 32 * 1024 * 1024
"""Received without a whole message: more than all answers under way."""
MAX_UNFINISHED_BROADCAST_BYTES = 8 * 1024 * 1024
_LOOK_SECONDS = 0.25

ReplyType = TypeVar("ReplyType", bound=Body)


class PeerSilent(Exception):
    """The peer did not answer in time, or the connection was closed. Never a fault."""


class PeerRefused(Exception):
    """The peer answered that it will not answer. `rule` is its code."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.rule}: {refusal.detail}")
        self.rule = refusal.rule


@dataclass(frozen=True, slots=True)
class TipClaim:
    """What a peer says of its tip. Only its sync proves it."""

    hash: bytes
    height: int
    chain_work: int
    header: bytes
    """96 bytes."""


class LinkEvents(Protocol):
    """Who is told what happens on a link."""

    def hello(self) -> Hello:
        """What to introduce ourselves with now."""

    async def on_welcome(self, link: "PeerLink", welcome: Welcome, first: bool) -> None:
        """The peer answered; `first` after it had been away. Raises RuleError to refuse it."""

    def on_lost(self, link: "PeerLink", reason: str) -> None:
        """The peer no longer answers, or refused us."""

    def on_fault(self, link: "PeerLink", error: RuleError) -> None:
        """The peer sent what no honest node sends."""

    def on_tip(self, link: "PeerLink", broadcast: TipBroadcast) -> None:
        """The peer announced its tip. Raises RuleError for a fault."""

    def on_transactions(self, link: "PeerLink", broadcast: TransactionsBroadcast) -> None:
        """The peer passed transactions on. Raises RuleError for a fault."""

    def on_dropped(self, link: "PeerLink") -> None:
        """A broadcast was dropped: the peer sends more than it may."""


class PeerLink:
    """Made for one CURVE key and numeric endpoints; says hello again and again until closed."""

    def __init__(
        self,
        key: str,
        events: LinkEvents,
        timeout_seconds: float,
        hello_seconds: float,
    ) -> None:
        self.key = key
        self.connected = False
        self.claim: TipClaim | None = None
        self.lag_milliseconds = 0
        self.failing_since: float | None = time.monotonic()
        """Monotonic time since which no hello is answered; None while they are."""
        self.transactions_sequence: int | None = None
        self.pool_wanted = False
        self._events = events
        self._timeout_seconds = timeout_seconds
        self._hello_seconds = hello_seconds
        self._tasks = Tasks()
        self._sockets: list[zmq.asyncio.Socket] = []
        self._traffic: list[Traffic] = []
        self._slots = asyncio.Semaphore(MAX_ASKED_AT_ONCE)
        self._pending: dict[int, asyncio.Future[ReplyBody]] = {}
        self._last_id = 0
        self._bucket = TokenBucket(
            BROADCAST_BYTES_PER_SECOND, BROADCASTS_BYTES_AT_ONCE, time.monotonic()
        )
        self._closed = False

    def open(
        self, context: zmq.asyncio.Context, keys: CurveKeyPair, publish: str, request: str
    ) -> None:
        """Connects and begins to say hello."""
        dealer = make_dealer(context, keys, self.key)
        self._sockets.append(dealer)
        replies = self._watch(dealer, MAX_UNFINISHED_REPLY_BYTES)
        subscriber = make_subscriber(context, keys, self.key)
        self._sockets.append(subscriber)
        broadcasts = self._watch(subscriber, MAX_UNFINISHED_BROADCAST_BYTES)
        connect(dealer, request)
        connect(subscriber, publish)
        self._tasks.start(self._read_replies(dealer, replies), "peer replies")
        self._tasks.start(self._read_broadcasts(subscriber, broadcasts), "peer broadcasts")
        self._tasks.start(self._keep(), "peer hello")

    def _watch(self, socket: zmq.asyncio.Socket, most_bytes: int) -> Traffic:
        def flooded(size: int) -> None:
            self._events.on_fault(self, malformed(f"{size} bytes that end no message"))

        traffic = Traffic(socket, most_bytes, flooded=flooded, look_seconds=_LOOK_SECONDS)
        self._traffic.append(traffic)
        self._tasks.start(traffic.run(), "traffic of a peer")
        return traffic

    def close(self) -> None:
        """Ends everything; questions under way raise PeerSilent."""
        self._closed = True
        self.connected = False
        for future in self._pending.values():
            if not future.done():
                future.set_exception(PeerSilent("closed"))
        self._tasks.cancel()
        for traffic in self._traffic:
            traffic.close()
        self._traffic.clear()
        for socket in self._sockets:
            socket.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    # -- asking ------------------------------------------------------------------------------

    async def ask(
        self, body: RequestBody, expected: type[ReplyType], patience: float = 1.0
    ) -> ReplyType:
        """The answer. Raises PeerSilent, PeerRefused, or RuleError for an answer of another kind.

        Waits `patience` times the configured time in all.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds * patience), self._slots:
                while True:
                    reply = await self._exchange(body)
                    if not isinstance(reply, Busy):
                        break
                    await asyncio.sleep(reply.retry_milliseconds / 1_000)
        except TimeoutError:
            raise PeerSilent("no answer in time") from None
        if isinstance(reply, Refusal):
            raise PeerRefused(reply)
        if not isinstance(reply, expected):
            raise malformed(f"{type(body).__name__} answered with {type(reply).__name__}")
        return reply

    async def _exchange(self, body: RequestBody) -> ReplyBody:
        if self._closed:
            raise PeerSilent("closed")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[ReplyBody] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            await self._sockets[0].send(encode_message(Request(number, body)))
            return await future
        finally:
            del self._pending[number]
            if future.done() and not future.cancelled():
                future.exception()  # `close` may have set it where nobody waits any more

    async def _read_replies(self, dealer: zmq.asyncio.Socket, traffic: Traffic) -> None:
        while True:
            frames, count = await receive(dealer, 1)
            traffic.heard_all()
            try:
                if count != 1:
                    raise malformed(f"reply of {count} frames, must be 1")
                reply = decode_reply(frames[0].bytes)
                future = self._pending.get(reply.id)
                if future is not None and not future.done():  # others come too late
                    future.set_result(reply.body)
            except RuleError as error:
                self._events.on_fault(self, error)
            except Exception:
                _logger.exception("a reply of %s could not be handled", self.key)
            await asyncio.sleep(0)

    # -- hearing -----------------------------------------------------------------------------

    async def _read_broadcasts(self, subscriber: zmq.asyncio.Socket, traffic: Traffic) -> None:
        while True:
            frames, _ = await receive(subscriber, 3)  # two, or one more than allowed
            traffic.heard_all()
            try:
                self._hear([frame.bytes for frame in frames])
            except RuleError as error:
                self._events.on_fault(self, error)
            except Exception:
                _logger.exception("a broadcast of %s could not be handled", self.key)
            await asyncio.sleep(0)

    def _hear(self, frames: list[bytes]) -> None:
        size = sum(map(len, frames)) + _BROADCAST_OVERHEAD_BYTES
        if not self._bucket.take(size, time.monotonic()):
            self._events.on_dropped(self)
            return
        broadcast = decode_broadcast(frames)
        if isinstance(broadcast, TipBroadcast):
            self._events.on_tip(self, broadcast)
            return
        total = sum(map(len, broadcast.transactions))
        if total > MAX_TRANSACTIONS_BYTES:
            raise malformed(f"{total} bytes of transactions, at most {MAX_TRANSACTIONS_BYTES}")
        self._events.on_transactions(self, broadcast)

    # -- staying in touch ----------------------------------------------------------------------

    async def _keep(self) -> None:
        retry = 0.25
        while True:
            try:
                await self._greet()
                retry = 0.25
                await asyncio.sleep(self._hello_seconds)
                continue
            except PeerRefused as error:
                self._lose(str(error))
                if error.rule == Rule.NETWORK_MISMATCH.value:
                    self._events.on_fault(self, RuleError(Rule.NETWORK_MISMATCH, str(error)))
            except PeerSilent as error:
                self._lose(str(error))
            except RuleError as error:
                self._lose(str(error))
                self._events.on_fault(self, error)
            except Exception:
                _logger.exception("hello to %s failed", self.key)
            await asyncio.sleep(retry)
            retry = min(retry * 2, RETRY_MAX_SECONDS)

    async def _greet(self) -> None:
        asked = time.monotonic()
        welcome = await self.ask(self._events.hello(), Welcome)
        self.lag_milliseconds = max(1, round((time.monotonic() - asked) * 1_000))
        first = not self.connected
        await self._events.on_welcome(self, welcome, first)

    def _lose(self, reason: str) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
        was_connected, self.connected = self.connected, False
        self.transactions_sequence = None
        if was_connected:
            self._events.on_lost(self, reason)
