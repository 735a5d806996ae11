"""Headers first: a peer's claim of more work is proved before one body is asked for."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from cairn.consensus.block import decode_header
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import ParentContext, check_header
from cairn.network.link import PeerLink
from cairn.network.messages import MAX_HEADERS, GetHeaders, Headers, malformed
from cairn.network.port import LedgerPort

COMPARE_SECONDS = 20.0
"""How long the headers of several peers are read before the heaviest so far is followed."""
LEAST_GRACE_SECONDS = 2.0
_CHECKED_WITHOUT_PAUSE = 50
"""Headers between two chances for everything else in the loop."""


class ChainMoved(Exception):
    """The peer's chain or ours changed while headers were read. Nobody's fault."""


@dataclass(slots=True)
class HeaderChain:
    """Checked headers that follow a block we know. Only their hashes are kept, 32 bytes each."""

    parent: ParentContext
    """The context after the last header."""
    chain_work: int
    """Up to and including the last header."""
    is_cut: bool = False
    """Whether it ends before a header whose time has not come."""
    _hashes: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self._hashes) // HASH_BYTES

    def hashes(self, start: int, count: int) -> list[bytes]:
        """Hashes of `count` blocks from position `start`, oldest first."""
        part = bytes(self._hashes[start * HASH_BYTES : (start + count) * HASH_BYTES])
        return [part[at : at + HASH_BYTES] for at in range(0, len(part), HASH_BYTES)]

    @property
    def first_height(self) -> int:
        """Height of the first header."""
        return self.parent.height - len(self) + 1

    async def fork_height(self, port: LedgerPort) -> int:
        """Height of the last block that it shares with our active chain: a peer is asked by few
        hashes, so its headers may begin with some that we have."""
        low, high = 0, len(self)
        while low < high:  # what is shared comes first
            middle = (low + high) // 2
            if await port.is_active(self.hashes(middle, 1)[0]):
                low = middle + 1
            else:
                high = middle
        return self.first_height - 1 + low

    def extend(self, raw: bytes, params: NetworkParams, now: int) -> None:
        """Takes the next header. Raises RuleError as `check_header` does."""
        header = decode_header(raw)
        block_hash = header.hash()
        check_header(header, block_hash, self.parent, params, now)
        self.parent = self.parent.extended_by(header, block_hash)
        self.chain_work += work_of(header.bits)
        self._hashes += block_hash


class HeaderFetch:
    """One peer's active chain after the last block we share with it, read and checked.

    Reading may be interrupted (cancelled) at any moment; the next `run` goes on from there.
    """

    def __init__(self, link: PeerLink, port: LedgerPort, clock: Callable[[], float]) -> None:
        self.link = link
        self.claim = link.claim
        """What the peer said of its tip when reading began."""
        self.chain: HeaderChain | None = None
        """What was checked so far; None while it is nothing that we lack."""
        self.is_whole = False
        """Whether all there is was read: up to its end, or to a header from the future."""
        self.failed = False
        """Set by whoever runs it: what was read is not to be followed."""
        self._port = port
        self._clock = clock
        self._locator: list[bytes] = []

    async def run(self) -> None:
        """Reads to the end. Raises RuleError, PeerSilent, PeerRefused or ChainMoved."""
        if not self._locator:
            self._locator = await self._port.locator()
        while not self.is_whole:
            chain = self.chain
            asked = self._locator if chain is None else [chain.parent.hash]
            raws = (await self.link.ask(GetHeaders(asked), Headers)).headers
            if raws and chain is None:
                chain = await self._begin(raws[0])
                self.chain = chain
            if not raws or chain is None:
                self.is_whole = True
                return
            if raws[0][8:40] != chain.parent.hash:
                raise ChainMoved("it reorganised meanwhile")
            goes_on = await self._check_batch(chain, raws)
            self.is_whole = not goes_on or len(raws) < MAX_HEADERS

    async def _begin(self, raw: bytes) -> HeaderChain:
        parent_hash = decode_header(raw).previous_hash
        if parent_hash not in self._locator:
            raise malformed(f"headers begin after {parent_hash.hex()}, which was not asked for")
        found = await self._port.context_of(parent_hash)
        if found is None:
            raise ChainMoved("a block was ours when we asked, and is gone by now")
        context, chain_work = found
        return HeaderChain(context, chain_work)

    async def _check_batch(self, chain: HeaderChain, raws: list[bytes]) -> bool:
        """Takes the headers in; False when the chain ends early at one from the future."""
        for index, raw in enumerate(raws):
            try:
                chain.extend(raw, self._port.params, int(self._clock()))
            except RuleError as error:
                if error.rule is Rule.TIMESTAMP_TOO_NEW:
                    chain.is_cut = True
                    return False
                raise
            if index % _CHECKED_WITHOUT_PAUSE == 0:
                await asyncio.sleep(0)
        return True


async def read_together(
    fetches: Sequence[HeaderFetch], run: Callable[[HeaderFetch], Coroutine[Any, Any, None]]
) -> None:
    """Reads several peers' headers at once, for so long that they can be compared.

    When the first has shown more than nothing, the others have as long again, 2 s at least;
    20 s in all. Whoever is not done then can be read on. `run` reads one and handles failures.
    """
    started = time.monotonic()
    deadline = started + COMPARE_SECONDS
    tasks = {asyncio.create_task(run(fetch)): fetch for fetch in fetches}
    pending = set(tasks)
    try:
        while pending and (left := deadline - time.monotonic()) > 0:
            done, pending = await asyncio.wait(
                pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if any(tasks[task].is_whole and tasks[task].chain is not None for task in done):
                now = time.monotonic()
                grace = max(now - started, LEAST_GRACE_SECONDS)
                deadline = min(deadline, now + grace)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
