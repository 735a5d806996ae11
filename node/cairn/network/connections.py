"""Which known nodes we are connected to: as many as allowed, the promising ones first."""

import asyncio
import logging
import time
from collections.abc import Callable

import zmq
import zmq.asyncio

from cairn.consensus.errors import RuleError
from cairn.network.addresses import parse_ranges, resolve_endpoint
from cairn.network.book import NodeBook
from cairn.network.known import Node
from cairn.network.link import LinkEvents, PeerLink
from cairn.network.records import NodeRecord
from cairn.network.settings import PeerSettings
from cairn.network.tasks import Tasks

_logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks at the book when nothing calls for one."""
GIVE_UP_SECONDS = 30.0
"""After so long without an answer, the place goes to another node for a while."""
RETRY_MIN_SECONDS = 2.0
RETRY_MAX_SECONDS = 60.0
RESOLVE_SECONDS = 10.0
HELLO_SECONDS = 10.0

Closed = Callable[[PeerLink, bool], None]
"""(link, whether it was connected) when a link is given up."""


class Connections:
    """Opens and closes links by what the book says."""

    def __init__(
        self,
        settings: PeerSettings,
        context: zmq.asyncio.Context,
        book: NodeBook,
        events: LinkEvents,
        clock: Callable[[], float],
        on_closed: Closed,
    ) -> None:
        self._settings = settings
        self._context = context
        self._book = book
        self._events = events
        self._clock = clock
        self._on_closed = on_closed
        self._ranges = parse_ranges(settings.allowed_ranges)
        self._links: dict[str, tuple[PeerLink, NodeRecord]] = {}
        """By CURVE key, with the record the link was made for."""
        self._opening: set[str] = set()
        self._tasks = Tasks()
        self._wake = asyncio.Event()

    def start(self) -> None:
        """Begins to connect."""
        self._tasks.start(self._run(), "peer connections")

    async def stop(self) -> None:
        """Closes every link."""
        await self._tasks.stop()
        for link, _ in self._links.values():
            link.close()
        self._links.clear()

    def wake(self) -> None:
        """The book has changed."""
        self._wake.set()

    def connected(self) -> list[PeerLink]:
        """Links whose peer answers."""
        return [link for link, _ in self._links.values() if link.connected]

    def drop(self, key: str, retry_seconds: float) -> None:
        """Closes the link to this key, and leaves the node alone for a while."""
        node = self._book.get(key)
        if node is not None:
            node.attempt_at = self._clock() + retry_seconds
        entry = self._links.pop(key, None)
        if entry is not None:
            link = entry[0]
            was_connected, link.connected = link.connected, False
            link.close()
            self._on_closed(link, was_connected)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                self._prune()
                self._fill()
            except Exception:
                _logger.exception("connections could not be looked after")
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def _prune(self) -> None:
        """Gives up links that do not answer, are no longer allowed, or have moved."""
        now = time.monotonic()
        for key, (link, record) in list(self._links.items()):
            node = self._book.get(key)
            if node is None or self._book.refusal(key) is not None:
                self.drop(key, RETRY_MAX_SECONDS)
            elif _endpoints(node.record) != _endpoints(record):
                self.drop(key, 0.0)
            elif link.failing_since is not None and now - link.failing_since > GIVE_UP_SECONDS:
                self._fail(node)
                self.drop(key, self._backoff(node))

    def _fill(self) -> None:
        room = self._settings.max_peers - len(self._links) - len(self._opening)
        for node in self._book.candidates():
            key = node.record.curve_key
            if room <= 0:
                return
            if key not in self._links and key not in self._opening:
                self._opening.add(key)
                self._tasks.start(self._open(node), "connect")
                room -= 1

    async def _open(self, node: Node) -> None:
        record = node.record
        key = record.curve_key
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                publish = await resolve_endpoint(record.publish, self._ranges)
                request = await resolve_endpoint(record.request, self._ranges)
            hello = min(HELLO_SECONDS, self._settings.announce_seconds)
            link = PeerLink(key, self._events, self._settings.request_timeout_seconds, hello)
            try:
                link.open(self._context, self._settings.curve, publish, request)
            except zmq.ZMQError:  # no files or sockets are left
                link.close()
                raise
            self._links[key] = link, record
        except (OSError, TimeoutError, RuleError, zmq.ZMQError) as error:
            self._fail(node)
            node.attempt_at = self._clock() + self._backoff(node)
            _logger.info("cannot connect to %s at %s: %s", record.name, record.request, error)
        finally:
            self._opening.discard(key)

    def _fail(self, node: Node) -> None:
        node.failures = min(node.failures + 1, 30)

    def _backoff(self, node: Node) -> float:
        return min(RETRY_MAX_SECONDS, RETRY_MIN_SECONDS * 2.0 ** (node.failures - 1))


def _endpoints(record: NodeRecord) -> tuple[str, str]:
    return record.publish, record.request
