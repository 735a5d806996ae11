"""Headers first: a peer's claim of more work is proved before one body is asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cairn.consensus.block import decode_header
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import ParentContext, check_header
from cairn.network.link import PeerLink
from cairn.network.messages import MAX_HEADERS, GetHeaders, Headers, malformed
from cairn.network.port import LedgerPort

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

    def extend(self, raw: bytes, params: NetworkParams, now: int) -> None:
        """Takes the next header. Raises RuleError as `check_header` does."""
        header = decode_header(raw)
        block_hash = header.hash()
        check_header(header, block_hash, self.parent, params, now)
        self.parent = self.parent.extended_by(header, block_hash)
        self.chain_work += work_of(header.bits)
        self._hashes += block_hash


async def fetch_headers(
    link: PeerLink, port: LedgerPort, clock: Callable[[], float]
) -> HeaderChain | None:
    """The peer's active chain after the last block we share with it, checked.

    None when it has nothing that we lack. It is cut before a header whose time has not come.
    Raises RuleError, PeerSilent, PeerRefused or ChainMoved.
    """
    locator = await port.locator()
    chain: HeaderChain | None = None
    while True:
        asked = locator if chain is None else [chain.parent.hash]
        raws = (await link.ask(GetHeaders(asked), Headers)).headers
        if not raws:
            return chain
        if chain is None:
            chain = await _begin(raws[0], set(locator), port)
        elif raws[0][8:40] != chain.parent.hash:
            raise ChainMoved("it reorganised meanwhile")
        if not await _check_batch(chain, raws, port, clock) or len(raws) < MAX_HEADERS:
            return chain


async def _begin(raw: bytes, locator: set[bytes], port: LedgerPort) -> HeaderChain:
    parent_hash = decode_header(raw).previous_hash
    if parent_hash not in locator:
        raise malformed(f"headers begin after {parent_hash.hex()}, which was not asked for")
    found = await port.context_of(parent_hash)
    if found is None:
        raise ChainMoved("a block was ours when we asked, and is gone by now")
    context, chain_work = found
    return HeaderChain(context, chain_work)


async def _check_batch(
    chain: HeaderChain, raws: list[bytes], port: LedgerPort, clock: Callable[[], float]
) -> bool:
    """Takes the headers in; False when the chain ends early at one from the future."""
    for index, raw in enumerate(raws):
        try:
            chain.extend(raw, port.params, int(clock()))
        except RuleError as error:
            if error.rule is Rule.TIMESTAMP_TOO_NEW:
                chain.is_cut = True
                return False
            raise
        if index % _CHECKED_WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
    return True
