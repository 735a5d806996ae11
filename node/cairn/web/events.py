"""Server-sent events: one subscriber for each web worker, handed on to bounded queues."""

import logging
import queue
import threading
import time
from collections.abc import Iterator

import msgspec

from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import Event, PeerChanged, TipChanged, TransactionsAdded
from cairn.web.models import Model
from cairn.web.node_models import NewBlockEvent, NewTransactionEvent, PeerEvent, ReorgEvent
from cairn.web.problems import ApiProblem
from cairn.web.security import CountedAddresses

HEARTBEAT_SECONDS = 15.0
QUEUED_EVENTS = 100
"""For one client; it is dropped when it reads so slowly that more would wait."""
MAX_NAMED_IDS = 100
MAX_STREAMS_PER_ADDRESS = 16
"""In each worker; for the addresses that CountedAddresses counts."""
_POLL_SECONDS = 1.0
_RETRY_MILLISECONDS = 3_000

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class EventStream:
    """What one client is still to be sent."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        """The client's, when its streams are counted."""
        self.frames: queue.Queue[bytes] = queue.Queue(QUEUED_EVENTS)
        self.dropped = False

    def offer(self, frame: bytes) -> None:
        """Queues the frame, or marks the client as too slow for it."""
        try:
            self.frames.put_nowait(frame)
        except queue.Full:
            self.dropped = True


class EventHub:
    """Listens to the listener while anybody listens here. Safe for any number of threads.

    Nothing runs before the first client comes, so it may be made before a fork.
    """

    def __init__(self, endpoint: str, max_streams: int) -> None:
        self.endpoint = endpoint
        self.max_streams = max_streams
        self.addresses = CountedAddresses()
        self.stopping = False
        """Set (from a signal handler, so without a lock) to end all streams within a second."""
        self._lock = threading.Lock()
        self._streams: set[EventStream] = set()
        self._thread: threading.Thread | None = None
        self._started = f"{int(time.time()):x}"
        self._count = 0

    @property
    def open_streams(self) -> int:
        """How many clients listen."""
        return len(self._streams)

    def open(self, address: str | None = None) -> EventStream:
        """A new client's queue. Raises ApiProblem `too-many-streams`."""
        counted = self.addresses.of(address)
        with self._lock:
            if len(self._streams) >= self.max_streams:
                raise ApiProblem(
                    "too-many-streams",
                    f"{len(self._streams)} event streams are open, at most {self.max_streams}",
                    limit=self.max_streams,
                )
            own = sum(1 for stream in self._streams if stream.address == counted)
            if counted and own >= MAX_STREAMS_PER_ADDRESS:
                raise ApiProblem(
                    "too-many-streams",
                    f"{own} event streams of this address are open, "
                    f"at most {MAX_STREAMS_PER_ADDRESS}",
                    limit=MAX_STREAMS_PER_ADDRESS,
                )
            stream = EventStream(counted)
            self._streams.add(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
            return stream

    def close(self, stream: EventStream) -> None:
        """The client is gone."""
        with self._lock:
            self._streams.discard(stream)

    def stop(self) -> None:
        """Ends all streams, and waits for the subscriber's thread."""
        self.stopping = True
        thread = self._thread
        if thread is not None:
            thread.join(5 * _POLL_SECONDS)

    def frames(self, stream: EventStream) -> Iterator[bytes]:
        """What to send to the client, for as long as it stays; comments keep the line alive."""
        try:
            yield b"retry: %d\n\n" % _RETRY_MILLISECONDS
            beat = time.monotonic() + HEARTBEAT_SECONDS
            while not self.stopping and not stream.dropped:
                try:
                    frame = stream.frames.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    if time.monotonic() < beat:
                        continue
                    frame = b": still here\n\n"
                beat = time.monotonic() + HEARTBEAT_SECONDS
                yield frame
        finally:
            self.close(stream)

    def _run(self) -> None:
        while not self.stopping:
            try:
                with EventSubscriber(self.endpoint) as subscriber:
                    self._follow(subscriber)
            except Exception:  # the thread must outlive whatever one event did
                _logger.exception("events: subscribing again")
                time.sleep(_POLL_SECONDS)

    def _follow(self, subscriber: EventSubscriber) -> None:
        while not self.stopping:
            event = subscriber.next(_POLL_SECONDS)
            if event is not None:
                self.publish(event)

    def publish(self, event: Event) -> None:
        """Sends an event to every client; those too slow to take it are dropped.

        A dropped one keeps its place until its connection has ended, as its thread does.
        """
        for name, model in _models(event):
            self._count += 1
            frame = b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
                self._started.encode(),
                self._count,
                name.encode(),
                _encode(model),
            )
            with self._lock:
                streams = list(self._streams)
            for stream in streams:
                stream.offer(frame)


def _models(event: Event) -> list[tuple[str, Model]]:
    """The events that clients see for one of the listener's."""
    if isinstance(event, TipChanged):
        block = NewBlockEvent(
            hash=event.block_hash.hex(),
            height=event.height,
            transactions=event.transactions,
            timestamp=event.timestamp,
        )
        if not event.disconnected:
            return [("new-block", block)]
        reorg = ReorgEvent(
            hash=block.hash,
            height=event.height,
            disconnected=event.disconnected,
            fork_height=event.fork_height,
        )
        return [("reorg", reorg), ("new-block", block)]
    if isinstance(event, TransactionsAdded):
        added = NewTransactionEvent(
            ids=[each.hex() for each in event.ids[:MAX_NAMED_IDS]],
            count=len(event.ids),
            pool_transactions=event.pool_transactions,
        )
        return [("new-transaction", added)]
    if isinstance(event, PeerChanged):
        return [("peer", PeerEvent(curve_key=event.curve_key, name=event.name, state=event.state))]
    return []
