"""The node's two public sockets: ROUTER answers peers, PUB tells them."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

import zmq
import zmq.asyncio

from cairn.consensus.errors import RuleError
from cairn.network.budget import Budgets, PeerBudget
from cairn.network.messages import (
    Body,
    Busy,
    Refusal,
    Reply,
    ReplyBody,
    Request,
    RequestBody,
    decode_request,
    encode_message,
    malformed,
)
from cairn.network.settings import PeerSettings
from cairn.network.sockets import bound_endpoint, open_publisher, open_router, send_now
from cairn.network.tasks import Tasks
from cairn.network.visitors import Visitors
from cairn.network.zap import Gate

_logger = logging.getLogger(__name__)

REQUESTS_PER_SECOND = 100.0
REQUESTS_AT_ONCE = 400.0
BYTES_PER_TOKEN = 64 * 1024
"""A large answer counts as several requests: about 6 MiB a second for each peer."""
MAX_UNDER_WAY_PER_PEER = 8
MAX_UNDER_WAY = 32
MAX_REFUSED_IN_A_ROW = 500
"""So many requests despite being told to wait are a flood."""
SUBSCRIPTIONS_PER_SECOND = 1.0
SUBSCRIPTIONS_AT_ONCE = 50.0

_SUBSCRIBED = b"\x01"

Answer = Callable[[str, RequestBody], Awaitable[ReplyBody]]
"""(sender's CURVE key, request) to reply. Raises RuleError to refuse."""


class PeerServer:
    """Binds both sockets; attributes every request to the CURVE key that sent it."""

    def __init__(
        self,
        settings: PeerSettings,
        context: zmq.asyncio.Context,
        refusal: Callable[[str], RuleError | None],
        answer: Answer,
        fault: Callable[[str, RuleError], None],
    ) -> None:
        self._settings = settings
        self._context = context
        self._refusal = refusal
        self._answer = answer
        self._fault = fault
        self._budgets = Budgets(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
        self._subscriptions = Budgets(SUBSCRIPTIONS_PER_SECOND, SUBSCRIPTIONS_AT_ONCE)
        self._slots = asyncio.Semaphore(MAX_UNDER_WAY)
        self._tasks = Tasks()
        self._gate: Gate | None = None
        self._router: zmq.asyncio.Socket | None = None
        self._publisher: zmq.asyncio.Socket | None = None
        self._visitors = Visitors()

    def start(self) -> tuple[str, str]:
        """Binds; where PUB and ROUTER are. Raises OSError when an endpoint is taken."""
        keys = self._settings.curve
        # The gate first: a server socket without one would let everybody in.
        self._gate = Gate(self._context, self._refusal)
        self._publisher = open_publisher(self._context, keys, self._settings.publish)
        self._router = open_router(self._context, keys, self._settings.request)
        self._tasks.start(self._gate.run(), "peer admission")
        self._tasks.start(self._watch_subscribers(self._publisher), "peer subscriptions")
        self._tasks.start(self._serve(self._router), "peer requests")
        endpoints = bound_endpoint(self._publisher), bound_endpoint(self._router)
        for endpoint in endpoints:
            self._visitors.listen_at(endpoint)
        return endpoints

    async def stop(self) -> None:
        """Closes both sockets; requests under way are dropped."""
        await self._tasks.stop()
        for socket in (self._router, self._publisher, self._gate):
            if socket is not None:
                socket.close()
        self._router = self._publisher = self._gate = None

    def publish(self, topic: bytes, body: Body) -> None:
        """Sends a broadcast to whoever listens. Never blocks; slow listeners miss it."""
        if self._publisher is not None:
            send_now(self._publisher, [topic, encode_message(body)])

    def cut_off(self, key: str) -> None:
        """Ends the connections that this key has made to us."""
        ended = self._visitors.cut_off(key)
        _logger.info("%d connections of %s were cut off", ended, key)

    async def _watch_subscribers(self, publisher: zmq.asyncio.Socket) -> None:
        while True:
            frames = await publisher.recv_multipart(copy=False)
            try:
                self._note_subscription(frames[0])
            except Exception:
                _logger.exception("a subscription could not be noted")
            await asyncio.sleep(0)

    def _note_subscription(self, frame: zmq.Frame) -> None:
        if frame.bytes[:1] != _SUBSCRIBED:
            return  # the end of a connection, which names none
        key = str(frame["User-Id"])
        self._visitors.note(key, frame)
        now = time.monotonic()
        # Each is kept as long as its connection: a flood of them would fill the memory.
        if not self._subscriptions.of(key, now).bucket.take(1.0, now):
            self._fault(key, malformed(f"more than {SUBSCRIPTIONS_AT_ONCE:.0f} subscriptions"))

    async def _serve(self, router: zmq.asyncio.Socket) -> None:
        while True:
            frames = await router.recv_multipart(copy=False)
            try:
                self._receive(router, frames)
            except Exception:
                _logger.exception("a request could not be handled")
            await asyncio.sleep(0)  # recv does not yield while messages wait

    def _receive(self, router: zmq.asyncio.Socket, frames: list[zmq.Frame]) -> None:
        key = str(frames[-1]["User-Id"])
        self._visitors.note(key, frames[-1])
        if self._refusal(key) is not None:
            return  # banned after it had connected
        identity = frames[0].bytes
        now = time.monotonic()
        budget = self._budgets.of(key, now)
        try:
            if len(frames) != 2:
                raise malformed(f"request of {len(frames)} frames, must be 2")
            request = decode_request(frames[1].bytes)
        except RuleError as error:
            self._fault(key, error)
            self._reply(router, identity, Reply(0, _refusal_of(error)))
            return
        if budget.under_way >= MAX_UNDER_WAY_PER_PEER or not budget.bucket.take(1.0, now):
            self._reply(router, identity, Reply(request.id, self._put_off(key, budget, now)))
            return
        budget.refused_in_a_row = 0
        budget.under_way += 1
        self._tasks.start(self._handle(router, identity, key, request, budget), "peer request")

    def _put_off(self, key: str, budget: PeerBudget, now: float) -> Busy:
        budget.refused_in_a_row += 1
        if budget.refused_in_a_row % MAX_REFUSED_IN_A_ROW == 0:
            self._fault(key, malformed(f"{budget.refused_in_a_row} requests without waiting"))
        wait = max(0.05, budget.bucket.wait_seconds(now))
        return Busy(min(60_000, math.ceil(wait * 1_000)))

    async def _handle(
        self,
        router: zmq.asyncio.Socket,
        identity: bytes,
        key: str,
        request: Request,
        budget: PeerBudget,
    ) -> None:
        try:
            async with self._slots:
                body = await self._answer(key, request.body)
        except RuleError as error:
            body = _refusal_of(error)
        except Exception:
            _logger.exception("a request of %s could not be answered", key)
            body = Refusal("internal-error", "this node could not answer")
        finally:
            budget.under_way -= 1
        size = self._reply(router, identity, Reply(request.id, body))
        budget.bucket.charge(size / BYTES_PER_TOKEN)

    def _reply(self, router: zmq.asyncio.Socket, identity: bytes, reply: Reply) -> int:
        """Sends, or drops when the peer does not read; the reply's size."""
        payload = encode_message(reply)
        send_now(router, [identity, payload])
        return len(payload)


def _refusal_of(error: RuleError) -> Refusal:
    return Refusal(error.rule.value, error.detail[:400])
