"""Fetching the bodies of checked headers from several peers at once, connecting in order."""

import asyncio
import logging
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cairn.chain.blockchain import BlockFate
from cairn.consensus.block import HEADER_BYTES
from cairn.consensus.encoding import sha256d
from cairn.consensus.errors import RuleError
from cairn.network.link import PeerLink, PeerRefused, PeerSilent
from cairn.network.messages import Blocks, GetBlocks, malformed
from cairn.network.port import LedgerPort
from cairn.network.scoring import BODY_FAULTS

_logger = logging.getLogger(__name__)

WINDOW_BYTES = 32 * 1024 * 1024
"""Bodies asked for or held and not yet connected, estimated by the average so far."""
CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BLOCKS = 128
BODY_PATIENCE = 2.0
HEDGE_SECONDS = 1.0
"""When the block needed next is asked of a further peer that has nothing else to do; again
after each such time."""
SLOW_SECONDS = 2.0
"""A peer that takes longer for a portion gets a smaller one, of blocks needed later."""
_FIRST_GUESS_BYTES = 32 * 1024


Punish = Callable[[str, int, str], None]
"""(CURVE key, points, reason)."""


class SyncStopped(Exception):
    """No more can be fetched now; nobody is to blame."""


class ChainInvalid(Exception):
    """A block of the claimed chain broke a rule of the state."""

    def __init__(self, block_hash: bytes, problem: RuleError) -> None:
        super().__init__(str(problem))
        self.block_hash = block_hash
        self.problem = problem


@dataclass(slots=True)
class _Pace:
    """How one peer has answered so far in this run."""

    blocks: int = MAX_CHUNK_BLOCKS
    """It is asked for no more at once."""
    trails: bool = False
    """Its last answer was slow or lacked blocks: others get what is needed next."""

    def learn(self, asked: int, got: int, got_bytes: int, seconds: float) -> None:
        """Takes in an answer. One of a whole portion's bytes may lack blocks: they are big."""
        if got < asked and got_bytes < CHUNK_BYTES:
            self.blocks, self.trails = max(1, got), True
        elif seconds > SLOW_SECONDS:
            self.blocks, self.trails = max(1, asked // 2), True
        else:
            self.blocks, self.trails = min(MAX_CHUNK_BLOCKS, self.blocks * 2), False


@dataclass(slots=True)
class _Asked:
    """A block under way."""

    since: float
    """Monotonic time when the first peer was asked for it."""
    keys: set[str]
    """Who is asked."""


class BodyFetch:
    """Fetches the blocks of one list of hashes, oldest first. Used once."""

    def __init__(
        self,
        port: LedgerPort,
        hashes: Sequence[bytes],
        sources: Callable[[], list[PeerLink]],
        punish: Punish,
        average_bytes: int = _FIRST_GUESS_BYTES,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        self.average_bytes = average_bytes
        self._port = port
        self._hashes = hashes
        self._sources = sources
        self._punish = punish
        self._on_connected = on_connected
        self._wanted = list(range(len(hashes)))
        """Blocks that nobody is asked for, ascending."""
        self._asked: dict[int, _Asked] = {}
        self._paces: dict[str, _Pace] = {}
        self._arrived: dict[int, tuple[bytes, PeerLink]] = {}
        self._held_bytes = 0
        self._next = 0
        """Index of the block to connect next."""
        self._moved = asyncio.Condition()
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._useless: set[str] = set()
        """Peers that stalled, lack blocks or sent rubbish in this run."""

    async def run(self) -> None:
        """Returns when every block is connected. Raises SyncStopped or ChainInvalid."""
        try:
            while self._next < len(self._hashes):
                self._employ()
                raw, source = await self._next_body()
                await self._connect(raw, source)
        finally:
            workers = list(self._workers.values())
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _employ(self) -> None:
        """Every connected peer gets a worker, those included that came while we fetch."""
        for link in self._sources():
            if link.key not in self._workers and link.key not in self._useless:
                self._paces.setdefault(link.key, _Pace())
                work = self._work(link)
                self._workers[link.key] = asyncio.get_running_loop().create_task(work)

    async def _next_body(self) -> tuple[bytes, PeerLink]:
        async with self._moved:
            while self._next not in self._arrived:
                self._employ()
                if not self._workers:
                    raise SyncStopped("no connected peer has the next block")
                await self._wait_for_news()
            raw, source = self._arrived.pop(self._next)
            self._held_bytes -= len(raw)
            return raw, source

    async def _connect(self, raw: bytes, source: PeerLink) -> None:
        result = await self._port.accept_block(raw)
        problem = result.problem
        if result.fate is BlockFate.INVALID and problem is not None:
            if problem.rule not in BODY_FAULTS:
                raise ChainInvalid(self._hashes[self._next], problem)
            await self._blame(source, problem)
            return
        if result.fate in (BlockFate.ORPHAN, BlockFate.LATER, BlockFate.REFUSED):
            raise SyncStopped(str(problem or result.fate.value))
        self._drop(self._next)  # another peer sent it too, meanwhile
        self._on_connected()
        async with self._moved:
            self._next += 1
            self._moved.notify_all()

    async def _blame(self, source: PeerLink, problem: RuleError) -> None:
        """Asks others for what `source` sent and is not connected yet."""
        self._useless.add(source.key)
        worker = self._workers.pop(source.key, None)
        if worker is not None:
            worker.cancel()
        self._want(self._next)
        for index, (_, sender) in list(self._arrived.items()):
            if sender is source:
                self._drop(index)
                self._want(index)
        self._punish(source.key, 100, f"served a bad block: {problem}")
        await self._wake()

    # -- one peer's worker ---------------------------------------------------------------------

    async def _work(self, link: PeerLink) -> None:
        """Asks for chunk after chunk; what it could not get goes back to the others."""
        try:
            while await self._fetch(link, await self._take_chunk(link.key)):
                pass
        except (PeerSilent, PeerRefused) as error:
            _logger.info("peer %s does not serve blocks: %s", link.key, error)
        except RuleError as error:
            self._punish(link.key, 100, f"served a bad block: {error}")
        except Exception:
            _logger.exception("blocks of %s could not be fetched", link.key)
        finally:
            self._workers.pop(link.key, None)
            self._useless.add(link.key)
            await asyncio.shield(self._wake())

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _wait_for_news(self) -> None:
        """Until something moved, or peers or the time allow what was not possible before."""
        try:
            async with asyncio.timeout(HEDGE_SECONDS):
                await self._moved.wait()
        except TimeoutError:
            pass

    async def _take_chunk(self, key: str) -> list[int]:
        """Blocks that nobody is asked for, as soon as they lie within the window; else those
        needed next that another peer owes for long."""
        async with self._moved:
            while not (chunk := self._chunk_now(key) or self._owed_by_others(key)):
                await self._wait_for_news()
            now = time.monotonic()
            for index in chunk:
                self._asked.setdefault(index, _Asked(now, set())).keys.add(key)
            return chunk

    def _must_trail(self, key: str) -> bool:
        """Whether this peer answers badly and another does not."""
        return self._paces[key].trails and not all(
            self._paces[other].trails for other in self._workers
        )

    def _chunk_now(self, key: str) -> list[int]:
        """The oldest free blocks of the window; the newest for a peer that must trail."""
        full = self._held_bytes >= WINDOW_BYTES
        ahead = 1 if full else max(4, WINDOW_BYTES // self.average_bytes)
        within = bisect_left(self._wanted, self._next + ahead)
        count = min(within, self._count_for(key))
        start = within - count if self._must_trail(key) else 0
        chunk = self._wanted[start : start + count]
        del self._wanted[start : start + count]
        return chunk

    def _count_for(self, key: str) -> int:
        return max(1, min(self._paces[key].blocks, CHUNK_BYTES // self.average_bytes))

    def _owed_by_others(self, key: str) -> list[int]:
        if not self._is_overdue(self._next, key) or self._must_trail(key):
            return []
        following = range(self._next, self._next + self._count_for(key))
        return [index for index in following if self._is_overdue(index, key)]

    def _is_overdue(self, index: int, key: str) -> bool:
        """Whether it has been under way for so long that one peer more may be asked."""
        asked = self._asked.get(index)
        if asked is None or key in asked.keys or index in self._arrived:
            return False
        return time.monotonic() - asked.since >= HEDGE_SECONDS * len(asked.keys)

    async def _fetch(self, link: PeerLink, chunk: list[int]) -> bool:
        """Takes in what the peer sends of `chunk`; False when it has nothing of it. What it
        does not send is free for others again, however this ends."""
        position = {self._hashes[index]: index for index in chunk}
        started = time.monotonic()
        try:
            reply = await link.ask(GetBlocks(list(position)), Blocks, BODY_PATIENCE)
            for raw in reply.blocks:
                index = position.pop(sha256d(raw[:HEADER_BYTES]), None)
                if index is None:
                    raise malformed("a block that was not asked for")
                self._take(index, raw, link)
        finally:
            self._release(link.key, chunk)
        got_bytes = sum(map(len, reply.blocks))
        seconds = time.monotonic() - started
        self._paces[link.key].learn(len(chunk), len(reply.blocks), got_bytes, seconds)
        await self._wake()
        return bool(reply.blocks)

    # -- what is held, under way and wanted ----------------------------------------------------

    def _take(self, index: int, raw: bytes, link: PeerLink) -> None:
        self._learn_size(len(raw))
        if index >= self._next and index not in self._arrived:  # else another was faster
            self._arrived[index] = (raw, link)
            self._held_bytes += len(raw)

    def _drop(self, index: int) -> None:
        held = self._arrived.pop(index, None)
        if held is not None:
            self._held_bytes -= len(held[0])

    def _release(self, key: str, chunk: list[int]) -> None:
        for index in chunk:
            asked = self._asked[index]
            asked.keys.discard(key)
            if not asked.keys:
                del self._asked[index]
                self._want(index)

    def _want(self, index: int) -> None:
        """Makes a block free for the next peer, unless it is here, under way or free."""
        if index < self._next or index in self._arrived or index in self._asked:
            return
        if self._wanted[(at := bisect_left(self._wanted, index)) : at + 1] != [index]:
            insort(self._wanted, index)

    def _learn_size(self, size: int) -> None:
        self.average_bytes = max(256, (self.average_bytes * 15 + size) // 16)
