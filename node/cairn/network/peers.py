"""A node's place among its peers: everything the listener needs of the network."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import zmq.asyncio

from cairn.chain.node_store import NodeStore
from cairn.consensus.block import decode_header
from cairn.network.book import NodeBook
from cairn.network.dialogue import Dialogue, PeerChange
from cairn.network.joining import JoinFailed, post_record
from cairn.network.port import LedgerPort, TipView
from cairn.network.records import NodeRecord, decode_record, encode_record, sign_record
from cairn.network.settings import AccountSigner, PeerSettings, PeerView
from cairn.network.tasks import Tasks

_logger = logging.getLogger(__name__)

SAVE_SECONDS = 10.0
"""Between two saves of what nodes may also tell again: heights, when they were seen."""
URGENT_SAVE_SECONDS = 0.5
FIRST_JOIN_RETRY_SECONDS = 1.0
MAX_JOIN_RETRY_SECONDS = 60.0


class PeerNetwork:
    """Lives in one asyncio loop; every method is called there.

    Stored nodes are read and saved in `executor` (None: the loop's own threads).
    """

    def __init__(
        self,
        settings: PeerSettings,
        port: LedgerPort,
        node_store: NodeStore,
        account: AccountSigner,
        clock: Callable[[], float],
        on_peer_changed: PeerChange | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._settings = settings
        self._port = port
        self._store = node_store
        self._account = account
        self._clock = clock
        self._executor = executor
        self._context = zmq.asyncio.Context()
        self._book = NodeBook(settings, port.network_id, clock)
        self._dialogue = Dialogue(
            settings, port, self._book, self._context, clock, on_peer_changed
        )  # fmt: skip
        self._tasks = Tasks()

    async def start(self) -> None:
        """Binds both sockets, loads known nodes, and begins to connect and join.

        Raises OSError when an endpoint cannot be bound, and whatever the node store raises.
        Never waits for a peer.
        """
        rows = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._store.load_nodes
        )
        self._book.load(rows)
        publish, request = self._dialogue.server.start()
        self._dialogue.record = self._sign_own_record(publish, request)
        self._dialogue.start()
        self._tasks.start(self._announce(), "announcements")
        self._tasks.start(self._save_often(), "saving nodes")
        for url in self._settings.alphas:
            self._tasks.start(self._join_until_known(url), "joining")

    async def stop(self) -> None:
        """Closes every socket and saves what is known of nodes."""
        await self._tasks.stop()
        await self._dialogue.stop()
        await self._save()
        self._context.destroy(linger=0)

    @property
    def record(self) -> bytes:
        """This node's own signed record; empty before `start`."""
        return self._dialogue.record

    # -- telling -------------------------------------------------------------------------------

    def broadcast_transactions(self, raws: Sequence[bytes]) -> None:
        """Publishes newly admitted transactions at once."""
        self._dialogue.relay.mark_own(raws)
        self._dialogue.announcer.publish_transactions(raws)

    def broadcast_tip(self, tip: TipView) -> None:
        """Publishes the new tip at once (while a chain is being fetched: at its end)."""
        self._dialogue.announce_tip()

    # -- joining -------------------------------------------------------------------------------

    async def join(self, url: str) -> int:
        """Joins at the alpha with this http(s) URL; how many nodes were new.

        Raises `joining.JoinFailed`, whose message is for people.
        """
        records = await post_record(url, self._dialogue.record)
        if url in self._settings.alphas and records:
            self._book.reserve(records[0])  # its own comes first
        return self._dialogue.learn_all(records)

    def handle_join(self, record: bytes) -> list[bytes]:
        """Takes a newcomer's record; own record first, then those of the nodes known here.

        Raises RuleError: node-record-invalid, network-mismatch, address-not-routable,
        signature-invalid, peer-not-admitted, peer-banned.
        """
        learned = self._book.learn(record)
        problem = self._book.refusal(decode_record(record).curve_key)
        if problem is not None:
            raise problem
        if learned is not None:
            self._dialogue.connections.wake()
        return self._dialogue.known_records()

    # -- what the operator sees and decides ----------------------------------------------------

    async def set_ban(self, curve_key: str, banned: bool) -> None:
        """Bans (24 h) or unbans a key; stored when it returns, unless the database is away, and
        then soon. Raises RuleError `node-record-invalid` for no key."""
        self._book.set_ban(curve_key, banned)
        if banned:
            self._dialogue.shut_out(curve_key)
        else:
            self._dialogue.connections.wake()
        await self._save()

    def status(self) -> list[PeerView]:
        """Every known node, connected ones first."""
        return self._book.views()

    @property
    def best_peer_height(self) -> int:
        """Greatest height that a connected peer's headers showed; 0 without peers."""
        proved = self._dialogue.sync.proved_heights
        links = self._dialogue.connections.connected()
        return max((proved.get(link.key, 0) for link in links), default=0)

    @property
    def seconds_ahead(self) -> int:
        """How far ahead of our clock the tips of most connected peers are at least; 0 when
        they are not. Their headers have the work that they name, but are not checked further.
        """
        links = self._dialogue.connections.connected()
        times = [decode_header(link.claim.header).timestamp for link in links if link.claim]
        if not times:
            return 0
        return max(0, sorted(times)[(len(times) - 1) // 2] - int(self._clock()))

    @property
    def is_synced(self) -> bool:
        """Whether no connected peer has shown more work than our tip has."""
        return self._dialogue.sync.is_synced

    # -- in the background ---------------------------------------------------------------------

    def _sign_own_record(self, publish: str, request: str) -> bytes:
        settings = self._settings
        record = NodeRecord(
            network_id=self._port.network_id,
            name=settings.name,
            url=settings.url,
            publish=settings.advertised_publish or publish,
            request=settings.advertised_request or request,
            curve_key=settings.curve.public,
            public_key=self._account.public_key,
            version=settings.version,
            timestamp=int(self._clock()),
        )
        return encode_record(sign_record(record, self._account))

    async def _announce(self) -> None:
        while True:
            await asyncio.sleep(self._settings.announce_seconds)
            try:
                self._dialogue.announce_tip()
            except Exception:
                _logger.exception("the tip could not be announced")

    async def _join_until_known(self, url: str) -> None:
        """Joins, and again whenever we are left without any peer."""
        retry = FIRST_JOIN_RETRY_SECONDS
        joined = False
        while True:
            if not joined or not self._dialogue.connections.connected():
                joined = await self._try_to_join(url)
            await asyncio.sleep(MAX_JOIN_RETRY_SECONDS if joined else retry)
            retry = FIRST_JOIN_RETRY_SECONDS if joined else min(retry * 2, MAX_JOIN_RETRY_SECONDS)

    async def _try_to_join(self, url: str) -> bool:
        try:
            learned = await self.join(url)
        except JoinFailed as error:
            _logger.info("cannot join: %s", error)
        except Exception:
            _logger.exception("joining at %s failed", url)
        else:
            _logger.info("joined at %s: %d new nodes", url, learned)
            return True
        return False

    async def _save_often(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SAVE_SECONDS):
                    await self._book.urgent.wait()
                await asyncio.sleep(URGENT_SAVE_SECONDS)  # others may follow
            except TimeoutError:
                pass
            self._book.urgent.clear()
            self._book.forget_old()
            await self._save()

    async def _save(self) -> None:
        rows, removed = self._book.take_changes()
        if not rows and not removed:
            return

        def save() -> None:
            if rows:
                self._store.save_nodes(rows)
            if removed:
                self._store.delete_nodes(removed)

        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, save)
        except Exception:
            _logger.exception("%d nodes could not be saved; tried again later", len(rows))
            self._book.put_back(rows, removed)
