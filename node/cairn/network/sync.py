"""Following peers that have more work: one announced block at once, long gaps headers first."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from cairn.chain.blockchain import BlockFate
from cairn.consensus.block import HEADER_BYTES, Header, decode_header
from cairn.consensus.encoding import sha256d
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.proof_of_work import bits_to_target, check_proof_of_work, work_of
from cairn.consensus.validation import check_header
from cairn.network.bodies import BodyFetch, ChainInvalid, Punish, SyncStopped
from cairn.network.headers import ChainMoved, HeaderChain, fetch_headers
from cairn.network.link import PeerLink, PeerRefused, PeerSilent, TipClaim
from cairn.network.messages import Blocks, GetBlocks, malformed
from cairn.network.port import LedgerPort
from cairn.network.scoring import BODY_FAULTS, block_points, message_points
from cairn.network.tasks import Tasks
from cairn.network.trust import ClaimHistory

_logger = logging.getLogger(__name__)

SEGMENT_BLOCKS = 2_000
"""Blocks whose hashes are in work at a time, however long the chain."""
RETRY_SECONDS = 5.0
DISBELIEF_SECONDS = 30.0
"""How long a peer is left alone that claimed work which its headers did not show."""
LIE_POINTS = 20
"""For showing less work than claimed, from the second time on: the first may be a mishap."""
START_SECONDS = 15.0
"""After the start, how long claims count before their headers are checked: a node that comes
back should not mine on an old tip, yet nobody may hold it up with words alone."""
_REMEMBERED_TIPS = 1_000


class Synchroniser:
    """Brings our chain to the most work that a connected peer can show."""

    def __init__(
        self,
        port: LedgerPort,
        clock: Callable[[], float],
        links: Callable[[], list[PeerLink]],
        punish: Punish,
        on_idle: Callable[[], None],
    ) -> None:
        self.busy = False
        """Whether a chain is being fetched whose headers show more work than ours."""
        self.proved_heights: dict[str, int] = {}
        """By peer key: the height of the last tip that its headers, not its words, showed."""
        self._history = ClaimHistory()
        self._started_at = time.monotonic()
        self._port = port
        self._clock = clock
        self._links = links
        self._punish = punish
        self._on_idle = on_idle
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._expected: dict[bytes, list[PeerLink]] = {}
        """Announced blocks being fetched, and who announced them."""
        self._settled: OrderedDict[bytes, None] = OrderedDict()
        """Tips whose whole chain we hold without following it."""
        self._average_bytes = 32 * 1024

    def start(self) -> None:
        """Begins to follow peers."""
        self._started_at = time.monotonic()
        self._tasks.start(self._run(), "chain sync")

    async def stop(self) -> None:
        """Ends what is under way; nothing half-done is left behind."""
        await self._tasks.stop()

    @property
    def is_synced(self) -> bool:
        """Whether no headers that were checked show more work than ours."""
        starting = time.monotonic() - self._started_at < START_SECONDS
        return not self.busy and not (starting and self._choose() is not None)

    # -- claims ------------------------------------------------------------------------------

    def on_claim(self, link: PeerLink, raw: bytes, chain_work: int) -> None:
        """A peer says that its tip is this header (96 bytes) with so much work behind it.

        Raises RuleError for a header that cannot be a block's.
        """
        header = decode_header(raw)
        block_hash = sha256d(raw)
        if block_hash != self._port.network_id:
            self._check_alone(header, block_hash)
        tip = self._port.tip()
        if block_hash == tip.hash:  # whatever it says, we know the work behind this one
            chain_work = tip.chain_work
        link.claim = TipClaim(block_hash, header.height, chain_work, raw)
        if block_hash == tip.hash:
            self._proved(link, header.height)
        if block_hash == tip.hash or chain_work <= tip.chain_work:
            return
        if header.previous_hash == tip.hash and not self.busy:
            self._fetch_announced(link, header, block_hash)
        else:
            self._wake.set()

    def _check_alone(self, header: Header, block_hash: bytes) -> None:
        limit = self._port.params.target_limit
        if header.height == 0 or bits_to_target(header.bits) > bits_to_target(limit):
            raise RuleError(
                Rule.BITS_MISMATCH,
                f"a tip at height {header.height} with bits {header.bits:#010x}, "
                f"easier than the limit {limit:#010x}",
                bits=header.bits,
                limit=limit,
            )
        check_proof_of_work(block_hash, header.bits)

    # -- one block on our tip ------------------------------------------------------------------

    def _fetch_announced(self, link: PeerLink, header: Header, block_hash: bytes) -> None:
        sources = self._expected.setdefault(block_hash, [])
        sources.append(link)
        if len(sources) == 1:
            work = self._follow_announced(header, block_hash, sources)
            self._tasks.start(work, "announced block")

    async def _follow_announced(
        self, header: Header, block_hash: bytes, sources: list[PeerLink]
    ) -> None:
        try:
            found = await self._port.context_of(header.previous_hash)
            if found is None:
                return
            context, parent_work = found
            try:
                check_header(header, block_hash, context, self._port.params, int(self._clock()))
            except RuleError as error:
                self._blame(sources, error)
                return
            for link in sources:  # grows while we wait: others announce it too
                self._proved(link, header.height)
                self._correct_claim(link, block_hash, parent_work + work_of(header.bits))
                if await self._fetch_one(link, block_hash):
                    if self._port.tip().hash == block_hash:
                        self._history.delivered(link.key)
                    break
        finally:
            del self._expected[block_hash]
            self._wake.set()

    def _correct_claim(self, link: PeerLink, block_hash: bytes, chain_work: int) -> None:
        claim = link.claim
        if claim is not None and claim.hash == block_hash:
            link.claim = TipClaim(claim.hash, claim.height, chain_work, claim.header)

    async def _fetch_one(self, link: PeerLink, block_hash: bytes) -> bool:
        """Whether the block's fate is decided."""
        try:
            blocks = (await link.ask(GetBlocks([block_hash]), Blocks)).blocks
            if not blocks:
                return False
            if len(blocks) > 1 or sha256d(blocks[0][:HEADER_BYTES]) != block_hash:
                raise malformed("a block that was not asked for")
        except (PeerSilent, PeerRefused) as error:
            _logger.info("peer %s announced a block and does not serve it: %s", link.key, error)
            return False
        except RuleError as error:
            self._punish(link.key, message_points(error.rule), str(error))
            return False
        result = await self._port.accept_block(blocks[0])
        if result.fate is not BlockFate.INVALID or result.problem is None:
            return True
        self._blame([link], result.problem)
        return result.problem.rule not in BODY_FAULTS

    def _blame(self, links: list[PeerLink], error: RuleError) -> None:
        for link in links:
            self._punish(link.key, block_points(error.rule), f"announced a bad block: {error}")

    # -- a longer gap --------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (link := self._choose()) is not None:
                try:
                    await self._attempt(link)
                finally:
                    self.busy = False
            self._on_idle()

    def _choose(self) -> PeerLink | None:
        """The peer to ask among those that claim more than ours. How much is words, so it
        does not count; at the same rank the longest connected comes first."""
        ours = self._port.tip().chain_work
        now = time.monotonic()
        ready = (link for link in self._links() if self._claims_more(link, ours))
        able = (link for link in ready if self._history.may_ask(link.key, now))
        return min(able, key=lambda link: self._history.rank(link.key), default=None)

    def _claims_more(self, link: PeerLink, ours: int) -> bool:
        claim = link.claim
        if claim is None or claim.hash in self._settled or claim.hash in self._expected:
            return False
        return claim.chain_work > ours

    async def _attempt(self, link: PeerLink) -> None:
        self._history.asked(link.key, time.monotonic())
        before = self._port.tip().chain_work
        try:
            await self._follow(link)
        except (PeerSilent, PeerRefused, SyncStopped, ChainMoved) as error:
            _logger.info("sync with %s stopped: %s", link.key, error)
            if self.busy and self._port.tip().chain_work > before:  # it led us some of the way
                self._history.delivered(link.key)
            self._pause(link, RETRY_SECONDS)
        except ChainInvalid as error:
            self._pause(link, DISBELIEF_SECONDS)
            self._punish(link.key, block_points(error.problem.rule), f"its chain: {error}")
        except RuleError as error:
            self._pause(link, DISBELIEF_SECONDS)
            points = message_points(error.rule) or block_points(error.rule)
            self._punish(link.key, points, f"its headers: {error}")
        except Exception:
            _logger.exception("sync with %s failed on our side", link.key)
            self._pause(link, RETRY_SECONDS)

    def _proved(self, link: PeerLink, height: int) -> None:
        """Its headers showed this tip. Known of connected peers alone, so bounded as they are."""
        connected = {each.key for each in self._links()} | {link.key}
        for key in self.proved_heights.keys() - connected:
            del self.proved_heights[key]
        self.proved_heights[link.key] = height

    def _pause(self, link: PeerLink, seconds: float) -> None:
        """Leaves a peer alone whose claim came to nothing, twice as long each time."""
        seconds = self._history.failed(link.key, seconds, time.monotonic())
        asyncio.get_running_loop().call_later(seconds + 0.01, self._wake.set)

    async def _follow(self, link: PeerLink) -> None:
        claim = link.claim
        chain = await fetch_headers(link, self._port, self._clock)
        if chain is None or chain.chain_work <= self._port.tip().chain_work:
            if claim is not None and claim.chain_work > self._port.tip().chain_work:
                self._disbelieve(link, chain)
            self._pause(link, DISBELIEF_SECONDS)
            return
        _logger.info(
            "following %s to height %d, %d headers checked",
            link.key, chain.parent.height, len(chain),
        )  # fmt: skip
        self.busy = True
        self._proved(link, chain.parent.height)
        for start in range(0, len(chain), SEGMENT_BLOCKS):
            await self._fetch_segment(chain, start)
        self._history.delivered(link.key)
        if self._port.tip().chain_work < chain.chain_work:  # policy keeps us from following
            self._settle(chain.parent.hash)
            if claim is not None:
                self._settle(claim.hash)

    def _disbelieve(self, link: PeerLink, chain: HeaderChain | None) -> None:
        _logger.info("peer %s did not show the work it claims", link.key)
        if chain is not None and chain.is_cut:
            return  # the rest is from the future: one of the two clocks is wrong
        if self._history.lied(link.key) > 1:
            self._punish(link.key, LIE_POINTS, "its headers show less work than it claims")

    async def _fetch_segment(self, chain: HeaderChain, start: int) -> None:
        hashes = await self._port.missing_blocks(chain.hashes(start, SEGMENT_BLOCKS))
        if not hashes:
            return
        height = chain.first_height + start

        def sources() -> list[PeerLink]:
            return [
                link
                for link in self._links()
                if link.claim is not None and link.claim.height >= height
            ]

        fetch = BodyFetch(self._port, hashes, sources, self._punish, self._average_bytes)
        await fetch.run()
        self._average_bytes = fetch.average_bytes

    def _settle(self, block_hash: bytes) -> None:
        self._settled[block_hash] = None
        if len(self._settled) > _REMEMBERED_TIPS:
            self._settled.popitem(last=False)
