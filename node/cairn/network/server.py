"""The node's two public sockets: ROUTER answers peers, PUB tells them."""

import asyncio
import logging
import math
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

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
from cairn.network.sockets import (
    bind,
    bound_endpoint,
    make_publisher,
    make_router,
    receive,
    send_now,
)
from cairn.network.tasks import Tasks
from cairn.network.traffic import Traffic
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

MAX_UNFINISHED_REQUEST_BYTES = 256 * 1024
"""Of all requests of one connection that were not seen: no honest node has as many."""
MAX_UNFINISHED_SUBSCRIPTION_BYTES = 64 * 1024
MAX_WAITING_BYTES_PER_PEER = 8 * 1024 * 1024
"""Of replies that one connection did not read yet: more are put off."""
MAX_WAITING_BYTES = 128 * 1024 * 1024
CLOGGED_RETRY_MILLISECONDS = 500

MAX_CONNECTIONS = 256
_WANTED_FILES = 4_096
_OWN_FILES = 256
_FILES_PER_LINK = 8
_MIN_CONNECTIONS = 16

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
        self._asked: Traffic | None = None
        self._heard: Traffic | None = None

    def start(self) -> tuple[str, str]:
        """Binds; where PUB and ROUTER are. Raises OSError when an endpoint is taken."""
        keys = self._settings.curve
        # The gate first: a server socket without one would let everybody in.
        self._gate = Gate(self._context, self._refusal)
        self._publisher = make_publisher(self._context, keys)
        self._router = make_router(self._context, keys)
        most = connection_limit(self._settings.max_peers)
        self._heard = Traffic(
            self._publisher, MAX_UNFINISHED_SUBSCRIPTION_BYTES, most, expects_questions=False
        )
        self._asked = Traffic(self._router, MAX_UNFINISHED_REQUEST_BYTES, most)
        bind(self._publisher, self._settings.publish)
        bind(self._router, self._settings.request)
        self._tasks.start(self._heard.run(), "traffic of subscribers")
        self._tasks.start(self._asked.run(), "traffic of requests")
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
        for part in (self._asked, self._heard, self._router, self._publisher, self._gate):
            if part is not None:
                part.close()
        self._asked = self._heard = None
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
            frames, _ = await receive(publisher, 1)
            try:
                self._note_subscription(frames[0])
            except Exception:
                _logger.exception("a subscription could not be noted")
            await asyncio.sleep(0)

    def _note_subscription(self, frame: zmq.Frame) -> None:
        try:
            key = str(frame["User-Id"])
        except zmq.ZMQError:
            return  # the end of a connection, which names none
        self._visitors.note(key, frame)
        if self._heard is not None:
            self._heard.heard(int(frame["__fd"]))
        now = time.monotonic()
        # Each is kept as long as its connection: a flood of them would fill the memory.
        if not self._subscriptions.of(key, now).bucket.take(1.0, now):
            self._fault(key, malformed(f"more than {SUBSCRIPTIONS_AT_ONCE:.0f} subscriptions"))

    async def _serve(self, router: zmq.asyncio.Socket) -> None:
        while True:
            frames, count = await receive(router, 2)
            try:
                self._receive(router, frames, count)
            except Exception:
                _logger.exception("a request could not be handled")
            await asyncio.sleep(0)  # recv does not yield while messages wait

    def _receive(self, router: zmq.asyncio.Socket, frames: list[zmq.Frame], count: int) -> None:
        key = str(frames[-1]["User-Id"])
        self._visitors.note(key, frames[-1])
        descriptor = int(frames[-1]["__fd"])
        if self._asked is not None:
            self._asked.heard(descriptor)
        if self._refusal(key) is not None:
            return  # banned after it had connected
        identity = frames[0].bytes
        now = time.monotonic()
        budget = self._budgets.of(key, now)
        try:
            if count != 2:
                raise malformed(f"request of {count} frames, must be 2")
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
        client = _Client(key, identity, descriptor, budget)
        self._tasks.start(self._handle(router, client, request), "peer request")

    def _put_off(self, key: str, budget: PeerBudget, now: float) -> Busy:
        budget.refused_in_a_row += 1
        if budget.refused_in_a_row % MAX_REFUSED_IN_A_ROW == 0:
            self._fault(key, malformed(f"{budget.refused_in_a_row} requests without waiting"))
        wait = max(0.05, budget.bucket.wait_seconds(now))
        return Busy(min(60_000, math.ceil(wait * 1_000)))

    async def _handle(
        self,
        router: zmq.asyncio.Socket,
        client: "_Client",
        request: Request,
    ) -> None:
        body: ReplyBody
        try:
            async with self._slots:
                if self._is_clogged(client, 0):
                    body = Busy(CLOGGED_RETRY_MILLISECONDS)
                else:
                    body = await self._answer(client.key, request.body)
        except RuleError as error:
            body = _refusal_of(error)
        except Exception:
            _logger.exception("a request of %s could not be answered", client.key)
            body = Refusal("internal-error", "this node could not answer")
        finally:
            client.budget.under_way -= 1
        payload = encode_message(Reply(request.id, body))
        client.budget.bucket.charge(len(payload) / BYTES_PER_TOKEN)
        if self._is_clogged(client, len(payload)):
            payload = encode_message(Reply(request.id, Busy(CLOGGED_RETRY_MILLISECONDS)))
        send_now(router, [client.identity, payload])
        if self._asked is not None:
            self._asked.queued(client.descriptor, len(payload))

    def _is_clogged(self, client: "_Client", size: int) -> bool:
        """Whether so many bytes more would wait too long for those who do not read."""
        traffic = self._asked
        if traffic is None:
            return False
        if traffic.waiting(client.descriptor) + size > MAX_WAITING_BYTES_PER_PEER:
            return True
        return traffic.waiting_in_all() + size > MAX_WAITING_BYTES

    def _reply(self, router: zmq.asyncio.Socket, identity: bytes, reply: Reply) -> None:
        """Sends, or drops when the peer does not read."""
        send_now(router, [identity, encode_message(reply)])


@dataclass(frozen=True, slots=True)
class _Client:
    """Who asked, and through which connection."""

    key: str
    identity: bytes
    descriptor: int
    budget: PeerBudget


def connection_limit(max_peers: int) -> int:
    """How many connections each public socket may have: 256, or four for each peer we connect
    to; fewer when the process may not open as many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _WANTED_FILES and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wanted = max(MAX_CONNECTIONS, 4 * max_peers)
    if soft == resource.RLIM_INFINITY:
        return wanted
    ours = _OWN_FILES + _FILES_PER_LINK * max_peers
    return max(_MIN_CONNECTIONS, min(wanted, (soft - ours) // 2))


def _refusal_of(error: RuleError) -> Refusal:
    return Refusal(error.rule.value, error.detail[:400])
