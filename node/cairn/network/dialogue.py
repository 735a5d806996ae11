"""What we say to a peer and make of what it says: both directions of the conversation."""

import logging
import time
from collections.abc import Callable, Iterable

import zmq.asyncio

from cairn.consensus.errors import Rule, RuleError
from cairn.network.announcer import Announcer
from cairn.network.book import NodeBook
from cairn.network.connections import Connections
from cairn.network.known import Node
from cairn.network.link import PeerLink, PeerRefused, PeerSilent
from cairn.network.messages import (
    MAX_BLOCKS_BYTES,
    MAX_HEADERS,
    MAX_NODES,
    MAX_POOL_IDS,
    MAX_TRANSACTIONS_BYTES,
    Blocks,
    GetBlocks,
    GetHeaders,
    GetNodes,
    GetTransactions,
    Headers,
    Hello,
    Nodes,
    ReplyBody,
    RequestBody,
    TipBroadcast,
    TransactionIds,
    Transactions,
    TransactionsBroadcast,
    Welcome,
    encode_work,
)
from cairn.network.port import LedgerPort
from cairn.network.records import decode_record
from cairn.network.relay import TransactionRelay
from cairn.network.scoring import block_points, message_points
from cairn.network.server import PeerServer
from cairn.network.settings import PeerSettings
from cairn.network.sync import Synchroniser
from cairn.network.tasks import Tasks

_logger = logging.getLogger(__name__)

OTHER_NETWORK_SECONDS = 3_600.0
BANNED_RETRY_SECONDS = 60.0
GOSSIP_SECONDS = 180.0
"""Between two questions for nodes to the same peer."""

PeerChange = Callable[[str, str, str], None]
"""(CURVE key, name, state): state is `connected`, `disconnected` or `banned`."""


class Dialogue:
    """Answers peers' requests, and hears what happens on our links to them."""

    def __init__(
        self,
        settings: PeerSettings,
        port: LedgerPort,
        book: NodeBook,
        context: zmq.asyncio.Context,
        clock: Callable[[], float],
        on_peer_changed: PeerChange | None,
    ) -> None:
        self.record = b""
        """Our own signed record; set before anybody is spoken to."""
        self._port = port
        self._book = book
        self._on_peer_changed = on_peer_changed
        self._tasks = Tasks()
        self._gossiped_at: dict[str, float] = {}
        self._tip_held_back = False
        self.server = PeerServer(settings, context, book.refusal, self.answer, self._request_fault)
        self.announcer = Announcer(self.server)
        self.connections = Connections(settings, context, book, self, clock, self._on_closed)
        links = self.connections.connected
        self.sync = Synchroniser(port, clock, links, self.punish, self._on_sync_idle)
        self.relay = TransactionRelay(port, links, self.punish, lambda: self.sync.is_synced)

    def start(self) -> None:
        """Begins to connect to the nodes in the book."""
        self.sync.start()
        self.relay.start()
        self.connections.start()

    async def stop(self) -> None:
        """Ends every conversation."""
        await self.connections.stop()
        await self.sync.stop()
        await self.relay.stop()
        await self._tasks.stop()
        await self.server.stop()

    def announce_tip(self) -> None:
        """Publishes our tip; while a chain is being fetched, once at its end."""
        self._tip_held_back = self.sync.busy
        if not self._tip_held_back:
            self.announcer.publish_tip(self._port.tip())

    def _on_sync_idle(self) -> None:
        if self._tip_held_back:
            self.announce_tip()
        self.relay.wake()

    # -- standing ------------------------------------------------------------------------------

    def punish(self, key: str, points: int, why: str) -> None:
        """Adds points to a key; at 100 it is disconnected and banned."""
        if self._book.punish(key, points, why):
            self.shut_out(key)

    def shut_out(self, key: str) -> None:
        """Ends the conversation with a banned key."""
        self.connections.drop(key, BANNED_RETRY_SECONDS)
        self.server.cut_off(key)
        self._tell(key, "banned")

    def _request_fault(self, key: str, error: RuleError) -> None:
        self.punish(key, message_points(error.rule), str(error))

    def _tell(self, key: str, state: str) -> None:
        node = self._book.get(key)
        name = node.record.name if node is not None else ""
        _logger.info("peer %s (%s) is %s", name, key, state)
        if self._on_peer_changed is not None:
            self._on_peer_changed(key, name, state)

    # -- answering -----------------------------------------------------------------------------

    async def answer(self, key: str, body: RequestBody) -> ReplyBody:
        """The reply to a peer's request. Raises RuleError to refuse it."""
        port = self._port
        match body:
            case Hello():
                return self._answer_hello(key, body)
            case GetNodes():
                return Nodes(self.known_records())
            case GetHeaders(locator):
                return Headers(await port.headers_after(locator, MAX_HEADERS))
            case GetBlocks(hashes):
                return Blocks(await port.blocks(hashes, MAX_BLOCKS_BYTES))
            case GetTransactions(ids):
                if ids is None:
                    return TransactionIds(await port.pool_ids(MAX_POOL_IDS))
                return Transactions(await port.transactions(ids, MAX_TRANSACTIONS_BYTES))

    def known_records(self) -> list[bytes]:
        """Our own record first, then those of the nodes we know."""
        return [self.record, *self._book.records(MAX_NODES - 1)]

    def _answer_hello(self, key: str, hello: Hello) -> Welcome:
        self._check_network(hello.network_id)
        try:
            node = self._learn_of(key, hello.record)
        except RuleError as error:
            self.punish(key, message_points(error.rule), str(error))
            raise
        if node is not None and not node.connected:
            node.attempt_at, node.failures = 0.0, 0  # it is alive after all
            self.connections.wake()
        return self._welcome()

    def _check_network(self, network_id: bytes) -> None:
        if network_id != self._port.network_id:
            raise RuleError(
                Rule.NETWORK_MISMATCH,
                f"network {network_id.hex()}, this one is {self._port.network_id.hex()}",
                got=network_id.hex(),
                expected=self._port.network_id.hex(),
            )

    def _learn_of(self, key: str, raw: bytes) -> Node | None:
        """Takes in the record of the very peer that sent it."""
        if decode_record(raw).curve_key != key:
            raise RuleError(Rule.NODE_RECORD_INVALID, f"the record is not that of {key}")
        learned = self._book.learn(raw, proven_by=key)
        node = self._book.get(key)
        if node is None:
            return None  # the book is full
        if learned is not None:
            self.connections.wake()
        self._book.touch(node)
        return node

    def _welcome(self) -> Welcome:
        tip = self._port.tip()
        return Welcome(
            self._port.network_id,
            self.record,
            tip.header,
            encode_work(tip.chain_work),
            self.announcer.transactions_sequence,
        )

    # -- our links -----------------------------------------------------------------------------

    def hello(self) -> Hello:
        """What we introduce ourselves with."""
        tip = self._port.tip()
        work = encode_work(tip.chain_work)
        return Hello(self._port.network_id, self.record, tip.header, work)

    async def on_welcome(self, link: PeerLink, welcome: Welcome, first: bool) -> None:
        """The peer answered. Raises RuleError when it is not one of ours."""
        self._check_network(welcome.network_id)
        node = self._learn_of(link.key, welcome.record)
        if node is None or link.closed:
            return
        link.connected, link.failing_since = True, None
        node.connected, node.lost, node.failures = True, False, 0
        node.lag_milliseconds = link.lag_milliseconds
        self._take_claim(link, welcome.header, welcome.chain_work)
        self.relay.follow_sequence(link, welcome.transactions_sequence, announced=True)
        if first:
            self._book.mark_changed(node, urgent=True)
            self._tell(link.key, "connected")
            self.relay.want_pool(link)
        if first or time.monotonic() - self._gossiped_at.get(link.key, 0.0) > GOSSIP_SECONDS:
            self._gossiped_at[link.key] = time.monotonic()
            self._tasks.start(self._ask_nodes(link), "gossip")

    def on_lost(self, link: PeerLink, reason: str) -> None:
        """The peer no longer answers."""
        _logger.info("lost %s: %s", link.key, reason)
        self._mark_lost(link)

    def _on_closed(self, link: PeerLink, was_connected: bool) -> None:
        self._gossiped_at.pop(link.key, None)
        if was_connected:
            self._mark_lost(link)

    def _mark_lost(self, link: PeerLink) -> None:
        node = self._book.get(link.key)
        if node is not None:
            node.connected, node.lost = False, True
            self._book.mark_changed(node, urgent=True)
        if self._book.refusal(link.key) is None:
            self._tell(link.key, "disconnected")

    def on_fault(self, link: PeerLink, error: RuleError) -> None:
        """The peer sent what no honest node sends, or is of another network."""
        if error.rule is Rule.NETWORK_MISMATCH:
            _logger.warning("peer %s: %s", link.key, error)
            self.connections.drop(link.key, OTHER_NETWORK_SECONDS)
            return
        self.punish(link.key, message_points(error.rule), str(error))

    def on_tip(self, link: PeerLink, broadcast: TipBroadcast) -> None:
        """The peer announced its tip."""
        if not link.connected:
            return  # it has not yet told its network
        self.relay.follow_sequence(link, broadcast.transactions_sequence, announced=True)
        self._take_claim(link, broadcast.header, broadcast.chain_work)

    def _take_claim(self, link: PeerLink, header: bytes, chain_work: bytes) -> None:
        try:
            self.sync.on_claim(link, header, int.from_bytes(chain_work, "big"))
        except RuleError as error:
            self.punish(link.key, block_points(error.rule), f"its tip: {error}")
            return
        node = self._book.get(link.key)
        if node is not None and link.claim is not None and node.height != link.claim.height:
            node.height = link.claim.height
            self._book.mark_changed(node, urgent=False)

    def on_transactions(self, link: PeerLink, broadcast: TransactionsBroadcast) -> None:
        """The peer passed transactions on."""
        if link.connected:
            self.relay.receive(link, broadcast)

    def on_dropped(self, link: PeerLink) -> None:
        """A broadcast was dropped: what it held is pulled later."""
        self.relay.want_pool(link)

    # -- gossip --------------------------------------------------------------------------------

    async def _ask_nodes(self, link: PeerLink) -> None:
        try:
            records = (await link.ask(GetNodes(), Nodes)).records
        except (PeerSilent, PeerRefused) as error:
            _logger.info("peer %s does not tell its nodes: %s", link.key, error)
        except RuleError as error:
            self.punish(link.key, message_points(error.rule), str(error))
        else:
            self.learn_all(records)

    def learn_all(self, records: Iterable[bytes]) -> int:
        """Takes in records from others; how many were new. Bad ones are left out: whoever
        passes a record on need not have the same rules for addresses."""
        learned = 0
        for raw in records:
            try:
                learned += self._book.learn(raw) is not None
            except RuleError as error:
                _logger.debug("a node record is left out: %s", error)
        if learned:
            self.connections.wake()
        return learned
