"""Announced blocks that stand on our tip: header checked, body fetched from who announced it."""

import logging
from collections.abc import Callable

from cairn.chain.blockchain import BlockFate
from cairn.consensus.block import HEADER_BYTES, Header
from cairn.consensus.encoding import sha256d
from cairn.consensus.errors import RuleError
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import check_header
from cairn.network.bodies import Punish
from cairn.network.link import PeerLink, PeerRefused, PeerSilent, TipClaim
from cairn.network.messages import Blocks, GetBlocks, malformed
from cairn.network.port import LedgerPort
from cairn.network.scoring import BODY_FAULTS, block_points, message_points
from cairn.network.tasks import Tasks
from cairn.network.trust import ClaimHistory

_logger = logging.getLogger(__name__)


class AnnouncedBlocks:
    """Fetches each announced block once, from one of those that announced it after another."""

    def __init__(
        self,
        port: LedgerPort,
        clock: Callable[[], float],
        history: ClaimHistory,
        punish: Punish,
        on_proved: Callable[[PeerLink, int], None],
        on_done: Callable[[], None],
    ) -> None:
        """`on_proved` is told of each peer whose announced header is sound, and its height;
        `on_done` when a block's fetch has ended, whatever came of it."""
        self._port = port
        self._clock = clock
        self._history = history
        self._punish = punish
        self._on_proved = on_proved
        self._on_done = on_done
        self._tasks = Tasks()
        self._expected: dict[bytes, list[PeerLink]] = {}
        """Blocks being fetched, and who announced them."""

    def __contains__(self, block_hash: bytes) -> bool:
        """Whether this block is being fetched."""
        return block_hash in self._expected

    async def stop(self) -> None:
        """Ends what is under way."""
        await self._tasks.stop()

    def fetch(self, link: PeerLink, header: Header, block_hash: bytes) -> None:
        """This peer announced this block, whose parent is our tip."""
        sources = self._expected.setdefault(block_hash, [])
        if link in sources:
            return  # who repeats itself is asked once, or it would keep the others waiting
        sources.append(link)
        if len(sources) == 1:
            work = self._follow(header, block_hash, sources)
            self._tasks.start(work, "announced block")

    async def _follow(self, header: Header, block_hash: bytes, sources: list[PeerLink]) -> None:
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
                self._on_proved(link, header.height)
                self._correct_claim(link, block_hash, parent_work + work_of(header.bits))
                if await self._fetch_one(link, block_hash):
                    if self._port.tip().hash == block_hash:
                        self._history.delivered(link.key)
                    break
        finally:
            del self._expected[block_hash]
            self._on_done()

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
