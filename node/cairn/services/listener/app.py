"""The listener: everything it is made of, how it starts, turns and stops."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from cairn import __version__
from cairn.chain.admission import Admitter
from cairn.chain.blockchain import Blockchain, ChainChange
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.signatures import SignatureChecker
from cairn.config import Config
from cairn.consensus.transaction import Transaction
from cairn.ipc import messages as m
from cairn.ipc.server import IpcServer
from cairn.network.keys import CurveKeyPair
from cairn.network.peers import PeerNetwork
from cairn.network.settings import AccountSigner, PeerSettings
from cairn.services.listener.alerts import AlertBook, clock_problem, difficulty_problem
from cairn.services.listener.faucet import Faucet
from cairn.services.listener.ledger_port import ListenerPort
from cairn.services.listener.progress import ProgressTeller
from cairn.services.listener.recent import RecentLog
from cairn.services.listener.requests import RequestHandler
from cairn.services.listener.writer import LedgerWriter
from cairn.services.runtime import SystemdNotifier, log_event
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.errors import StorageUnavailable
from cairn.storage.migrate import migrate, require_tables
from cairn.storage.node_store import SqlNodeStore
from cairn.storage.writer_lock import WriterLock
from cairn.wallet import AccountKey

HOUSEKEEPING_SECONDS = 1.0
EXPIRY_SECONDS = 60.0
ALONE_SECONDS = 60
"""Without a peer for so long, a node that has alphas raises an alert."""
LOW_DISK_BYTES = 512 * 1024 * 1024

_logger = logging.getLogger(__name__)


class Listener:
    """One node's writer, peers and local sockets on one event loop."""

    def __init__(
        self,
        config: Config,
        account: AccountKey,
        curve: CurveKeyPair,
        faucet_key: AccountKey | None = None,
    ) -> None:
        """`faucet_key`: whose coins the faucet gives; None: there is no faucet."""
        self._config = config
        self._account = account
        self._started_at = int(time.time())
        self._engine = open_engine(config.database_url)
        self._lock = WriterLock(config.database_url, self._engine)
        self._store = SqlChainStore(self._engine, self._lock)
        self._notifier = SystemdNotifier()
        self._progress = ProgressTeller(self._notifier, self._lock.check)
        self._signatures = SignatureChecker(config.params.network_id())
        self._chain = self._build_chain()
        self._writer = LedgerWriter(
            self._chain,
            Admitter(self._store, self._chain, self._signatures),
            _now,
            self._tip_moved,
            self._transactions_admitted,
            self._lock,
        )
        self._port = ListenerPort(self._chain, self._store, self._writer)
        self._network = PeerNetwork(
            _peer_settings(config, curve),
            self._port,
            SqlNodeStore(self._engine),
            AccountSigner(account.public_key, account.sign),
            time.time,
            self._peer_changed,
            self._writer.thread,
        )
        self._ipc = IpcServer(config.request_socket, config.event_socket)
        self._recent = RecentLog()
        self._requests = RequestHandler(
            self._writer,
            self._network,
            self._status,
            self._ipc.publish,
            self._recent,
            Faucet(config, faucet_key, self._writer) if faucet_key else None,
        )
        self._alerts = AlertBook(_now)
        self._last_company = time.monotonic()

    def _build_chain(self) -> Blockchain:
        policy, limit = self._config.pool, self._config.chain.max_reorg_blocks
        pool = Pool(
            PoolPolicy(policy.max_bytes, policy.min_fee_per_byte, policy.expiry_seconds),
            self._config.params.max_block_bytes,
        )
        return Blockchain(
            self._store,
            self._config.params,
            pool,
            self._signatures,
            limit,
            limit * self._config.params.target_interval_seconds,
            self._progress,
        )

    # -- life --------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Starts everything, turns until `stop` is set, then stops with nothing lost."""
        with self._recent.listening():
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        started = await self._unless_stopped(self._start(), stop)
        if not started:
            await self._close()
            return
        tasks = [
            asyncio.create_task(self._ipc.serve(self._requests.handle)),
            asyncio.create_task(self._keep_house()),
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._writer.failed.wait()),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._notifier.stopping("stopping")
        if self._writer.failure is not None:
            self._alerts.set("ledger-unusable", str(self._writer.failure))
        self._ipc.close()
        tasks[1].cancel()
        await asyncio.wait(tasks[:2])
        await self._close()
        if self._writer.failure is not None:
            raise self._writer.failure
        for task in done:
            task.result()  # a part that failed by itself is an error, not a stop

    async def _start(self) -> None:
        self._notifier.status("waiting for the database")
        await self._open_database()
        await self._writer.start()
        await self._network.start()
        self._ipc.bind()
        log_event(
            _logger,
            "listener ready",
            name=self._config.node.name,
            network=self._config.params.name,
            height=self._writer.tip.height,
            tip=self._writer.tip.hash.hex(),
        )
        self._notifier.ready(self._status_line())

    async def _open_database(self) -> None:
        """Claims the database once its tables are right, waiting as long as none answers."""
        prepare = migrate if self._config.database.migrate == "listener" else require_tables
        while True:
            try:
                await asyncio.to_thread(self._lock.take)
                await asyncio.to_thread(prepare, self._config.database_url)
                await asyncio.to_thread(self._store.check_network, self._chain.network_id)
                return
            except StorageUnavailable as error:
                log_event(
                    _logger, "waiting for the database", level=logging.WARNING, problem=str(error)
                )
                await asyncio.sleep(1.0)

    async def _unless_stopped(
        self, starting: Coroutine[Any, Any, None], stop: asyncio.Event
    ) -> bool:
        """Runs `starting` to its end, or abandons it when a stop is asked for first."""
        task, stopped = asyncio.create_task(starting), asyncio.create_task(stop.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return False

    async def _close(self) -> None:
        self._progress.stop()
        self._ipc.close()
        await self._network.stop()
        await self._writer.close()
        self._port.close()
        self._signatures.close()
        self._lock.release()
        self._engine.dispose()
        log_event(_logger, "listener stopped")

    # -- housekeeping ------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        next_expiry = time.monotonic() + EXPIRY_SECONDS
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            await self._prove_work()
            if time.monotonic() >= next_expiry and self._writer.database_problem is None:
                next_expiry = time.monotonic() + EXPIRY_SECONDS
                with contextlib.suppress(StorageUnavailable):
                    await self._attempt(self._writer.expire)
            self._look_for_alerts()
            self._notifier.status(self._status_line())

    async def _prove_work(self) -> None:
        """Pings the watchdog when the writer turns and its database answered, or refused in
        words: while it is away the listener waits for it, and a restart would mend nothing.

        Any other failure makes the writer read everything again; should that not mend it, the
        watchdog ends the listener.
        """
        with contextlib.suppress(StorageUnavailable):
            if not await self._attempt(self._writer.ping):
                return
        self._notifier.alive()

    async def _attempt(self, job: Callable[[], Coroutine[Any, Any, object]]) -> bool:
        """Whether the job did its work. Raises StorageUnavailable; other failures are logged."""
        try:
            await job()
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the next job begins by reading again
            log_event(_logger, "the writer failed", level=logging.ERROR, problem=str(error))
            return False
        return True

    def _look_for_alerts(self) -> None:
        alerts = self._alerts
        alerts.set("database-unavailable", self._writer.database_problem)
        refused = self._chain.refused_reorganisation
        alerts.set(
            "deep-reorganisation",
            f"a branch with more work, tip {refused.branch_tip.hex()}, would undo more than "
            f"{refused.limit} blocks. If most nodes are on it, follow them: stop the listener and "
            "start it with CAIRN_CHAIN_MAX_REORG_BLOCKS=1000000 until it is there"
            if refused
            else None,
        )
        alerts.set(
            "difficulty-at-limit", difficulty_problem(self._writer.tip.header, self._config.params)
        )
        alerts.set("clock-behind", clock_problem(self._network.seconds_ahead))
        now = time.monotonic()
        if not self._config.peers.alphas or any(peer.connected for peer in self._network.status()):
            self._last_company = now
        alone_seconds = int(now - self._last_company)
        alone = alone_seconds >= ALONE_SECONDS
        alerts.set("no-peers", f"no peer for {alone_seconds // 60} min" if alone else None)
        free = shutil.disk_usage(self._config.node.data_directory).free
        low = free < LOW_DISK_BYTES
        alerts.set("disk-low", f"{free >> 20} MiB are free in the data folder" if low else None)

    # -- what others are told ----------------------------------------------------------------

    def _tip_moved(self, change: ChainChange) -> None:
        tip = change.connected[-1]
        undone = len(change.disconnected)
        self._ipc.publish(
            m.TipChanged(
                tip.hash,
                tip.header.height,
                len(tip.transactions),
                tip.header.timestamp,
                undone,
                change.fork.height,
            )
        )
        self._network.broadcast_tip(self._writer.tip)
        if change.returned:  # peers that never had them, or let them go, take them again
            returned = [transaction.raw for transaction in change.returned]
            self._network.broadcast_transactions(returned)
        if undone:
            log_event(
                _logger,
                "chain reorganised",
                level=logging.WARNING,
                height=tip.header.height,
                undone=undone,
                fork=change.fork.height,
            )
        log_event(
            _logger,
            "block connected",
            height=tip.header.height,
            hash=tip.hash.hex(),
            transactions=len(tip.transactions),
        )

    def _transactions_admitted(self, transactions: Sequence[Transaction]) -> None:
        self._network.broadcast_transactions([transaction.raw for transaction in transactions])
        ids = [transaction.id for transaction in transactions]
        self._ipc.publish(m.TransactionsAdded(ids, self._writer.pool_transactions))

    def _peer_changed(self, curve_key: str, name: str, state: str) -> None:
        self._ipc.publish(m.PeerChanged(curve_key, name, state))
        log_event(_logger, f"peer {state}", name=name, key=curve_key)

    def _status(self) -> m.Status:
        tip, miner = self._writer.tip, self._requests.miner.current()
        return m.Status(
            version=__version__,
            started_at=self._started_at,
            height=tip.height,
            tip=tip.hash,
            chain_work=tip.chain_work.to_bytes(32, "big"),
            sync_state="synced" if self._network.is_synced else "syncing",
            best_peer_height=self._network.best_peer_height,
            pool_transactions=self._writer.pool_transactions,
            pool_bytes=self._writer.pool_bytes,
            peers=[
                m.PeerStatus(peer.curve_key, peer.name, peer.connected, peer.height, peer.score)
                for peer in self._network.status()
            ],
            alerts=self._alerts.current(),
            miner_mode=miner.mode if miner else None,
            miner_hashes_per_second=miner.hashes_per_second if miner else 0,
            admission=self._config.peers.admission,
            recipient_address=self._account.address,
            wanted_miner_mode=self._requests.miner.wanted_mode,
        )

    def _status_line(self) -> str:
        if self._writer.database_problem:
            return "waiting for the database"
        connected = sum(peer.connected for peer in self._network.status())
        return (
            f"height {self._writer.tip.height}, {connected} peers, "
            f"{self._writer.pool_transactions} transactions waiting"
        )


def _peer_settings(config: Config, curve: CurveKeyPair) -> PeerSettings:
    peers = config.peers
    return PeerSettings(
        curve=curve,
        name=config.node.name,
        url=config.web.url,
        version=__version__,
        publish=peers.publish,
        request=peers.request,
        advertised_publish=peers.advertised_publish,
        advertised_request=peers.advertised_request,
        admission=peers.admission,
        allowed_keys=peers.allowed_keys,
        alphas=peers.alphas,
        allowed_ranges=peers.allowed_ranges,
        max_peers=peers.max_peers,
        announce_seconds=peers.announce_seconds,
        blocked_endpoints=peers.blocked_endpoints,
    )


def _now() -> int:
    return int(time.time())
