"""The one place where state changes: a single thread that takes one job at a time.

Whatever arrives while a job runs waits, and all waiting transactions share the next database
transaction. So a reorganisation and an admission can never meet half-way.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from cairn.chain.admission import Admission, Admitter
from cairn.chain.blockchain import Blockchain, BlockFate, BlockResult, ChainChange
from cairn.chain.store import ForeignTipError, LedgerDamagedError
from cairn.chain.template import BlockTemplate, build_template
from cairn.consensus.block import Block, decode_block
from cairn.consensus.errors import RuleError
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.network.port import TipView
from cairn.services.logs import log_event
from cairn.storage.errors import DatabaseInUseError, StorageError, StorageUnavailable
from cairn.storage.writer_lock import WriterLock

MAX_BATCH_TRANSACTIONS = 2_000
"""In one database transaction; keeps the longest wait for the next job below a second."""
MAX_QUEUED_TRANSACTIONS = 20_000
FATAL_ERRORS = (DatabaseInUseError, LedgerDamagedError, ForeignTipError)
"""After these the listener ends: to go on, or to start again, would spoil or mend nothing."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


class WriterBusyError(Exception):
    """More transactions wait for admission than the writer is willing to queue."""


class LedgerWriter:
    """Runs chain and pool in their own thread; all methods are called on the event loop.

    A job that the database fails raises StorageError; what is in memory is read again before
    the next job, so nothing is ever decided on state that did not become durable.
    """

    def __init__(
        self,
        chain: Blockchain,
        admitter: Admitter,
        clock: Callable[[], int],
        on_moved: Callable[[ChainChange], None],
        on_admitted: Callable[[Sequence[Transaction]], None],
        lock: WriterLock | None = None,
    ) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self.database_problem: str | None = None
        """Why the database cannot be used now, for people; None while it can."""
        self.failed = asyncio.Event()
        """Set when going on can mend nothing; `failure` says what happened."""
        self.failure: Exception | None = None
        self.tip: TipView
        """The active chain's last block; there once `start` has returned."""
        self.pool_transactions = 0
        self.pool_bytes = 0
        self._chain = chain
        self._lock = lock
        self._admitter = admitter
        self._clock = clock
        self._on_moved = on_moved
        self._on_admitted = on_admitted
        self._in_step = False
        self._told_tip = b""
        """The tip after the last job that ended well, empty before any; the thread's own."""
        self._unsure: deque[bytes] = deque(maxlen=MAX_QUEUED_TRANSACTIONS)
        """Offered in a job that the database failed, perhaps after its commit."""
        self._found: deque[Transaction] = deque()
        """Those of them that wait after all, and nobody was told of."""
        self._missed: deque[ChainChange] = deque()
        """Moves nobody was told of, as the job that made them failed after all."""
        self._accepting: set[asyncio.Task[BlockResult]] = set()
        self._offered: list[tuple[Sequence[bytes], asyncio.Future[list[Admission]]]] = []
        self._queued = 0
        self._admitting: asyncio.Task[None] | None = None

    # -- jobs --------------------------------------------------------------------------------

    async def start(self, retry: bool = True) -> None:
        """Reads chain and pool, waiting for a database that does not answer yet."""
        attempt = 0
        while True:
            try:
                return await self.ping()
            except StorageUnavailable:
                if not retry:
                    raise
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1

    async def ping(self) -> None:
        """Proves that the thread turns and, by reading again if need be, that state is in step."""
        await self.run(self._check)

    async def admit(self, offered: Sequence[bytes]) -> list[Admission]:
        """Offers transactions to the pool; durable when it returns.

        Raises WriterBusyError when too many wait already.
        """
        if self._queued + len(offered) > MAX_QUEUED_TRANSACTIONS:
            raise WriterBusyError(
                f"{self._queued} transactions wait for admission, at most {MAX_QUEUED_TRANSACTIONS}"
            )
        future: asyncio.Future[list[Admission]] = asyncio.get_running_loop().create_future()
        self._offered.append((offered, future))
        self._queued += len(offered)
        if self._admitting is None or self._admitting.done():
            self._admitting = asyncio.create_task(self._admit_offered())
        return await future

    async def accept(self, raw: bytes) -> BlockResult:
        """Offers a block's bytes to the chain; durable when it returns."""
        return await self._to_the_end(self._accept_raw, raw)

    async def accept_block(self, block: Block) -> BlockResult:
        """Offers a block to the chain; durable when it returns."""
        return await self._to_the_end(self._chain.accept_block, block, self._clock())

    async def template(self, recipient: bytes) -> tuple[BlockTemplate, int, int]:
        """A block to mine, how many transactions it holds, and since when the oldest waits."""
        return await self.run(self._build_template, recipient)

    async def next_sequence(self, address: bytes) -> int:
        """The sequence that a new transaction of this account (20 bytes) needs, after all of its
        that wait without a gap."""
        return await self.run(self._next_sequence, address)

    async def refuses(self, fork_height: int, tip_hash: bytes, chain_work: int) -> bool:
        """Whether policy refuses a branch; see `Blockchain.refuses`."""
        now = self._clock()
        return await self.run(self._chain.refuses, fork_height, tip_hash, chain_work, now)

    async def expire(self) -> int:
        """Drops transactions that waited too long; how many."""
        return await self.run(self._admitter.expire, self._clock())

    async def run(self, job: Callable[..., _T], *arguments: object) -> _T:
        """Runs a job in the writer's thread. Raises what it raises."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self.thread, self._in_thread, job, *arguments)
        except FATAL_ERRORS as error:
            self.failure = self.failure or error
            self.failed.set()
            raise
        except StorageError as error:
            if self.database_problem is None:
                log_event(_logger, "database unavailable", level=logging.ERROR, problem=str(error))
            self.database_problem = str(error)
            raise
        if self.database_problem is not None:
            log_event(_logger, "database answers again")
            self.database_problem = None
        self._refresh()
        while self._missed:
            self._on_moved(self._missed.popleft())
        if self._found:
            found = [self._found.popleft() for _ in range(len(self._found))]
            asyncio.get_running_loop().call_soon(self._on_admitted, found)
        return result

    async def close(self) -> None:
        """Lets the job under way end; nothing is taken afterwards."""
        await asyncio.to_thread(self.thread.shutdown, wait=True, cancel_futures=True)

    # -- in the thread -----------------------------------------------------------------------

    def _in_thread(self, job: Callable[..., _T], *arguments: object) -> _T:
        try:
            if not self._in_step:
                self._read_again()
            result = job(*arguments)
        except RuleError:
            raise
        except BaseException:
            self._in_step = False
            raise
        self._told_tip = self._chain.tip.hash
        return result

    def _read_again(self) -> None:
        """Brings memory in step; what moved unnoticed, by a commit that looked lost, is told."""
        if self._lock is not None:
            self._lock.take()
        self._chain.reload(self._clock())
        change = self._chain.change_since(self._told_tip) if self._told_tip else None
        if change is not None:
            self._missed.append(change)
        self._told_tip = self._chain.tip.hash
        self._in_step = True
        while self._unsure:
            waiting = self._chain.pool.get(self._unsure.popleft())
            if waiting is not None:
                self._found.append(waiting)

    def _check(self) -> None:
        if self._lock is not None:
            self._lock.check()
        self._chain.check_database()

    def _accept_raw(self, raw: bytes) -> BlockResult:
        try:
            block = decode_block(raw, self._chain.network_id, self._chain.params.max_block_bytes)
        except RuleError as error:
            return BlockResult(BlockFate.INVALID, error)
        return self._chain.accept_block(block, self._clock())

    def _admit_batch(self, offers: Sequence[Sequence[bytes]]) -> list[list[Admission]]:
        together = [raw for offered in offers for raw in offered]
        try:
            admissions = iter(self._admitter.admit(together, self._clock()))
        except StorageError:
            self._note_unsure(together)
            raise
        return [[next(admissions) for _ in offered] for offered in offers]

    def _note_unsure(self, offered: Sequence[bytes]) -> None:
        for raw in offered:
            with contextlib.suppress(RuleError):
                self._unsure.append(decode_transaction(raw, self._chain.network_id).id)

    def _build_template(self, recipient: bytes) -> tuple[BlockTemplate, int, int]:
        template = build_template(self._chain, recipient, self._clock())
        since = self._chain.pool.oldest_received_at(template.transactions)
        return template, len(template.transactions), since

    def _next_sequence(self, address: bytes) -> int:
        account = self._chain.accounts_of({address})[address]
        return self._chain.pool.next_sequence(address, account)

    # -- on the loop -------------------------------------------------------------------------

    async def _admit_offered(self) -> None:
        while self._offered:
            batch = self._next_batch()
            try:
                results = await self.run(self._admit_batch, [offered for offered, _ in batch])
            except Exception as error:  # noqa: BLE001 - handed to everyone who waits for it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), admissions in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(admissions)
            self._announce_admitted(results)

    def _next_batch(self) -> list[tuple[Sequence[bytes], asyncio.Future[list[Admission]]]]:
        count = size = 0
        for offered, _ in self._offered:
            if count and size + len(offered) > MAX_BATCH_TRANSACTIONS:
                break
            count += 1
            size += len(offered)
        batch, self._offered = self._offered[:count], self._offered[count:]
        self._queued -= size
        return batch

    def _announce_admitted(self, results: Sequence[Sequence[Admission]]) -> None:
        admitted = [
            admission.transaction
            for admissions in results
            for admission in admissions
            if admission.problem is None and admission.transaction is not None
        ]
        if admitted:  # whatever it does, those who still wait get their turn
            asyncio.get_running_loop().call_soon(self._on_admitted, admitted)

    async def _to_the_end(self, job: Callable[..., BlockResult], *arguments: object) -> BlockResult:
        """Runs a job and tells of its changes, also when whoever asked stops waiting for it."""
        task = asyncio.create_task(self._run_and_announce(self.run(job, *arguments)))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    async def _run_and_announce(self, run: Coroutine[Any, Any, BlockResult]) -> BlockResult:
        result = await run
        for change in result.changes:
            self._on_moved(change)
        return result

    def _refresh(self) -> None:
        tip = self._chain.tip
        if not hasattr(self, "tip") or self.tip.hash != tip.hash:
            self.tip = TipView(tip.hash, tip.height, tip.chain_work, tip.header.encode())
        self.pool_transactions = len(self._chain.pool)
        self.pool_bytes = self._chain.pool.total_bytes
