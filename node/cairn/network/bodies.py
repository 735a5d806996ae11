"""Fetching the bodies of checked headers from several peers at once, connecting in order."""

import asyncio
import heapq
import logging
from collections.abc import Callable, Sequence

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


class BodyFetch:
    """Fetches the blocks of one list of hashes, oldest first. Used once."""

    def __init__(
        self,
        port: LedgerPort,
        hashes: Sequence[bytes],
        sources: Callable[[], list[PeerLink]],
        punish: Punish,
        average_bytes: int = _FIRST_GUESS_BYTES,
    ) -> None:
        self.average_bytes = average_bytes
        self._port = port
        self._hashes = hashes
        self._sources = sources
        self._punish = punish
        self._wanted = list(range(len(hashes)))
        heapq.heapify(self._wanted)
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
                work = self._work(link)
                self._workers[link.key] = asyncio.get_running_loop().create_task(work)

    async def _next_body(self) -> tuple[bytes, PeerLink]:
        async with self._moved:
            while self._next not in self._arrived:
                if not self._workers:
                    self._employ()
                if not self._workers:
                    raise SyncStopped("no connected peer has the next block")
                await self._moved.wait()
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
        if result.fate in (BlockFate.ORPHAN, BlockFate.LATER):
            raise SyncStopped(str(problem))
        async with self._moved:
            self._next += 1
            self._moved.notify_all()

    async def _blame(self, source: PeerLink, problem: RuleError) -> None:
        """Asks others for what `source` sent and is not connected yet."""
        self._useless.add(source.key)
        worker = self._workers.pop(source.key, None)
        if worker is not None:
            worker.cancel()
        heapq.heappush(self._wanted, self._next)
        for index, (raw, sender) in list(self._arrived.items()):
            if sender is source:
                del self._arrived[index]
                self._held_bytes -= len(raw)
                heapq.heappush(self._wanted, index)
        self._punish(source.key, 100, f"served a bad block: {problem}")
        await self._wake()

    # -- one peer's worker ---------------------------------------------------------------------

    async def _work(self, link: PeerLink) -> None:
        """Asks for chunk after chunk; what it could not get goes back to the others."""
        chunk: list[int] = []
        try:
            while True:
                chunk = await self._take_chunk()
                if not await self._fetch(link, chunk):
                    break
        except (PeerSilent, PeerRefused) as error:
            _logger.info("peer %s does not serve blocks: %s", link.key, error)
        except RuleError as error:
            self._punish(link.key, 100, f"served a bad block: {error}")
        except Exception:
            _logger.exception("blocks of %s could not be fetched", link.key)
        finally:
            self._workers.pop(link.key, None)
            self._useless.add(link.key)
            for index in chunk:
                heapq.heappush(self._wanted, index)
            await asyncio.shield(self._wake())

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _take_chunk(self) -> list[int]:
        """The oldest blocks nobody fetches, as soon as they lie within the window."""
        async with self._moved:
            while not (chunk := self._chunk_now()):
                await self._moved.wait()
            return chunk

    def _chunk_now(self) -> list[int]:
        full = self._held_bytes >= WINDOW_BYTES
        ahead = 1 if full else max(4, WINDOW_BYTES // self.average_bytes)
        count = max(1, min(MAX_CHUNK_BLOCKS, CHUNK_BYTES // self.average_bytes))
        chunk: list[int] = []
        while self._wanted and len(chunk) < count and self._wanted[0] < self._next + ahead:
            chunk.append(heapq.heappop(self._wanted))
        return chunk

    async def _fetch(self, link: PeerLink, chunk: list[int]) -> bool:
        """Empties `chunk` by what the peer sends; False when it has nothing of it."""
        position = {self._hashes[index]: index for index in chunk}
        reply = await link.ask(GetBlocks(list(position)), Blocks, BODY_PATIENCE)
        for raw in reply.blocks:
            index = position.pop(sha256d(raw[:HEADER_BYTES]), None)
            if index is None:
                raise malformed("a block that was not asked for")
            self._arrived[index] = (raw, link)
            self._held_bytes += len(raw)
            chunk.remove(index)
            self._learn_size(len(raw))
        rest, chunk[:] = chunk[:], []
        async with self._moved:
            for index in rest:
                heapq.heappush(self._wanted, index)
            self._moved.notify_all()
        return bool(reply.blocks)

    def _learn_size(self, size: int) -> None:
        self.average_bytes = max(256, (self.average_bytes * 15 + size) // 16)
