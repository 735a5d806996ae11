"""The ledger as the network sees it: reads in threads of their own, writes by the writer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from cairn.chain.blockchain import Blockchain, BlockResult
from cairn.chain.store import BlockEntry, BlockStatus, ChainStore
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.validation import MEDIAN_TIME_BLOCKS, ParentContext
from cairn.network.port import TipView
from cairn.services.listener.writer import LedgerWriter

_DENSE_LOCATOR = 10

_T = TypeVar("_T")


class ListenerPort:
    """`cairn.network.port.LedgerPort` over the writer and the store."""

    def __init__(self, chain: Blockchain, store: ChainStore, writer: LedgerWriter) -> None:
        self._chain = chain
        self._store = store
        self._writer = writer
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="reader")

    @property
    def params(self) -> NetworkParams:
        """The network's rules."""
        return self._chain.params

    @property
    def network_id(self) -> bytes:
        """The genesis hash, 32 bytes."""
        return self._chain.network_id

    def tip(self) -> TipView:
        """The current tip, from memory."""
        return self._writer.tip

    async def locator(self) -> list[bytes]:
        """Hashes of our chain, newest first: the last 10, then ever sparser, to genesis."""
        return await self._read(self._locator)

    async def headers_after(self, locator: Sequence[bytes], limit: int) -> list[bytes]:
        """Headers of our active chain after the first locator hash that is in it."""
        return await self._read(self._headers_after, locator, limit)

    async def context_of(self, block_hash: bytes) -> tuple[ParentContext, int] | None:
        """What a child of this block is judged against, and its chain work."""
        return await self._read(self._context_of, block_hash)

    async def is_active(self, block_hash: bytes) -> bool:
        """Whether this block is in our active chain."""
        entry = await self._read(self._store.entry, block_hash)
        return entry is not None and entry.status is BlockStatus.ACTIVE

    async def refuses(self, fork_height: int, tip_hash: bytes, chain_work: int) -> bool:
        """Whether policy keeps us from ever following a branch that forks at this height."""
        return await self._writer.refuses(fork_height, tip_hash, chain_work)

    async def missing_blocks(self, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of these blocks that are not stored, in the order given."""
        known = await self._read(self._store.known_hashes, hashes)
        return [block_hash for block_hash in hashes if block_hash not in known]

    async def blocks(self, hashes: Sequence[bytes], max_bytes: int) -> list[bytes]:
        """Whole blocks, in the order given; stops before `max_bytes`."""
        return await self._read(self._blocks, hashes, max_bytes)

    async def pool_ids(self, limit: int) -> list[bytes]:
        """Ids of waiting transactions."""
        return await self._writer.run(self._chain.pool.ids, limit)

    async def transactions(self, ids: Sequence[bytes], max_bytes: int) -> list[bytes]:
        """The bytes of those of these transactions that wait; stops before `max_bytes`."""
        return await self._writer.run(self._transactions, ids, max_bytes)

    async def unknown_transactions(self, ids: Sequence[bytes]) -> list[bytes]:
        """Those of these ids that neither wait nor are in the active chain."""
        return await self._writer.run(self._unknown_transactions, ids)

    async def accept_block(self, raw: bytes) -> BlockResult:
        """Offers a block; durable when this returns."""
        return await self._writer.accept(raw)

    async def accept_transactions(self, raws: Sequence[bytes]) -> list[RuleError | None]:
        """Offers transactions; for each why it was refused, or None."""
        return [admission.problem for admission in await self._writer.admit(raws)]

    def close(self) -> None:
        """Ends the reading threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _read(self, job: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, job, *arguments)

    def _locator(self) -> list[bytes]:
        tip = self._writer.tip
        first_dense = max(0, tip.height - _DENSE_LOCATOR + 1)
        hashes = [entry.hash for entry in self._active_from(first_dense, _DENSE_LOCATOR)][::-1]
        height, step = first_dense - 1, 2
        while height > 0:
            hashes += [entry.hash for entry in self._active_from(height, 1)]
            height -= step
            step *= 2
        if first_dense > 0:
            hashes.append(self.network_id)
        return hashes

    def _active_from(self, height: int, count: int) -> list[BlockEntry]:
        return self._store.active_entries(height, count)

    def _headers_after(self, locator: Sequence[bytes], limit: int) -> list[bytes]:
        for block_hash in locator:
            entry = self._store.entry(block_hash)
            if entry is not None and entry.status is BlockStatus.ACTIVE:
                following = self._store.active_entries(entry.height + 1, limit)
                if following and following[0].header.previous_hash != block_hash:
                    continue  # a reorganisation undid it just now
                return [follower.header.encode() for follower in following]
        return []

    def _context_of(self, block_hash: bytes) -> tuple[ParentContext, int] | None:
        entries = self._store.ancestors(block_hash, MEDIAN_TIME_BLOCKS)
        if not _is_line(entries, block_hash) or entries[0].status is BlockStatus.INVALID:
            return None
        times = tuple(entry.header.timestamp for entry in reversed(entries))
        context = ParentContext(block_hash, entries[0].height, times[-1], times)
        return context, entries[0].chain_work

    def _blocks(self, hashes: Sequence[bytes], max_bytes: int) -> list[bytes]:
        found: list[bytes] = []
        left = max_bytes
        for block_hash in hashes:
            raw = self._store.load_block_bytes(block_hash)
            if raw is None:
                continue
            left -= len(raw)
            if left < 0:
                break
            found.append(raw)
        return found

    def _transactions(self, ids: Sequence[bytes], max_bytes: int) -> list[bytes]:
        found: list[bytes] = []
        left = max_bytes
        for transaction_id in ids:
            transaction = self._chain.pool.get(transaction_id)
            if transaction is None:
                continue
            left -= len(transaction.raw)
            if left < 0:
                break
            found.append(transaction.raw)
        return found

    def _unknown_transactions(self, ids: Sequence[bytes]) -> list[bytes]:
        candidates = [id_ for id_ in ids if id_ not in self._chain.pool]
        mined = self._store.mined_ids(candidates) if candidates else set()
        return [id_ for id_ in candidates if id_ not in mined]


def _is_line(entries: Sequence[BlockEntry], block_hash: bytes) -> bool:
    """Whether these are that block and all the ancestors wanted, newest first. They are read
    in several statements, between which the writer may have moved the chain."""
    if not entries or entries[0].hash != block_hash:
        return False
    if len(entries) < min(MEDIAN_TIME_BLOCKS, entries[0].height + 1):
        return False
    return all(child.header.previous_hash == entry.hash for child, entry in pairwise(entries))
