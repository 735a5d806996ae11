"""Following peers that have more work: one announced block at once, long gaps headers first."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from cairn.consensus.block import Header, decode_header
from cairn.consensus.encoding import sha256d
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.proof_of_work import bits_to_target, check_proof_of_work
from cairn.network.announced import AnnouncedBlocks
from cairn.network.bodies import BodyFetch, ChainInvalid, Punish, SyncStopped
from cairn.network.headers import ChainMoved, HeaderChain, HeaderFetch, read_together
from cairn.network.link import PeerLink, PeerRefused, PeerSilent, TipClaim
from cairn.network.port import LedgerPort
from cairn.network.scoring import block_points, message_points
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
BEHIND_INTERVALS = 20
"""With a tip older than so many target intervals, the headers of all who claim more are
compared before a body is fetched."""
READERS_OF_A_TIP = 3
"""So many of the peers that claim the same tip: they would show the same headers."""
STALLED_SECONDS = 10.0
"""A fetch in which no block was connected for so long makes nobody wait any more."""
_REMEMBERED_TIPS = 20_000


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
        self._announced = AnnouncedBlocks(
            port, clock, self._history, punish, self._proved, self._wake.set
        )
        self._settled: OrderedDict[bytes, None] = OrderedDict()
        """Tips of chains that policy keeps us from following."""
        self._withheld: OrderedDict[bytes, None] = OrderedDict()
        """Blocks with sound headers whose bodies nobody served: they stop no mining again."""
        self._busy_until = 0.0
        """Monotonic time; each connected block moves it on."""
        self._average_bytes = 32 * 1024

    def start(self) -> None:
        """Begins to follow peers."""
        self._started_at = time.monotonic()
        self._tasks.start(self._run(), "chain sync")

    async def stop(self) -> None:
        """Ends what is under way; nothing half-done is left behind."""
        await self._tasks.stop()
        await self._announced.stop()

    @property
    def busy(self) -> bool:
        """Whether a chain is being fetched whose headers show more work than ours, and comes."""
        return time.monotonic() < self._busy_until

    @property
    def is_synced(self) -> bool:
        """Whether no headers that were checked show more work than ours."""
        starting = time.monotonic() - self._started_at < START_SECONDS
        return not self.busy and not (starting and self._choose())

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
            self._announced.fetch(link, header, block_hash)
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

    # -- a longer gap --------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while links := self._choose():
                try:
                    await self._attempt(links)
                except Exception:  # our own ledger fails, say: the next attempt may do better
                    _logger.exception("sync failed on our side")
                    for link in links:
                        self._pause(link, RETRY_SECONDS)
                finally:
                    self._busy_until = 0.0
            self._on_idle()

    def _choose(self) -> list[PeerLink]:
        """The peers to ask among those that claim more than ours: one, or those to compare
        while we are far behind. How much they claim is words, so it does not count; at the
        same rank the longest connected comes first."""
        tip, now = self._port.tip(), time.monotonic()
        ready = (link for link in self._links() if self._claims_more(link, tip.chain_work))
        able = [link for link in ready if self._history.may_ask(link.key, now)]
        able.sort(key=lambda link: self._history.rank(link.key))
        age = self._clock() - decode_header(tip.header).timestamp
        if age <= BEHIND_INTERVALS * self._port.params.target_interval_seconds:
            return able[:1]
        readers: Counter[bytes] = Counter()
        chosen: list[PeerLink] = []
        for link in able:
            claimed = link.claim.hash if link.claim is not None else b""
            readers[claimed] += 1
            if readers[claimed] <= READERS_OF_A_TIP:
                chosen.append(link)
        return chosen

    def _claims_more(self, link: PeerLink, ours: int) -> bool:
        claim = link.claim
        if claim is None or claim.hash in self._settled or claim.hash in self._announced:
            return False
        return claim.chain_work > ours

    async def _attempt(self, links: list[PeerLink]) -> None:
        """Reads headers, of several peers at once, and follows the most work they show."""
        for link in links:
            self._history.asked(link.key, time.monotonic())
        fetches = [HeaderFetch(link, self._port, self._clock) for link in links]
        if len(fetches) == 1:
            await self._read(fetches[0])
        else:
            await read_together(fetches, self._read)
        best = await self._heaviest(fetches)
        if best is not None:
            await self._guarded(best.link, self._follow(best))
            return
        for fetch in fetches:
            if not fetch.is_whole and not fetch.failed:
                self._pause(fetch.link, RETRY_SECONDS)

    async def _read(self, fetch: HeaderFetch) -> None:
        fetch.failed = not await self._guarded(fetch.link, fetch.run())
        if fetch.is_whole:
            self._judge(fetch)

    async def _heaviest(self, fetches: list[HeaderFetch]) -> HeaderFetch | None:
        """Whose headers show the most work, and more than ours; those whose bodies nobody
        served so far come last."""
        found: HeaderFetch | None = None
        most = (False, self._port.tip().chain_work)
        for fetch in fetches:
            chain = fetch.chain
            if fetch.failed or chain is None or chain.chain_work <= self._port.tip().chain_work:
                continue
            value = (not await self._is_withheld(chain), chain.chain_work)
            if value > most:
                found, most = fetch, value
        return found

    async def _is_refused(self, fetch: HeaderFetch, chain: HeaderChain) -> bool:
        """Whether the chain forks from ours where policy follows nobody: no body of it is asked
        for, its tip is not looked at again, and the peer is left alone but not blamed."""
        fork_height = await chain.fork_height(self._port)
        if not await self._port.refuses(fork_height, chain.parent.hash, chain.chain_work):
            return False
        _logger.info("the chain of %s forks too deep, at height %d", fetch.link.key, fork_height)
        self._settle(fetch, chain)
        self._pause(fetch.link, DISBELIEF_SECONDS)
        return True

    def _settle(self, fetch: HeaderFetch, chain: HeaderChain) -> None:
        _remember(self._settled, chain.parent.hash)
        if fetch.claim is not None:
            _remember(self._settled, fetch.claim.hash)

    async def _guarded(self, link: PeerLink, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it came to its end; if not, the peer is left alone for a while."""
        try:
            await work
        except (PeerSilent, PeerRefused, SyncStopped, ChainMoved) as error:
            _logger.info("sync with %s stopped: %s", link.key, error)
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
        else:
            return True
        return False

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

    def _judge(self, fetch: HeaderFetch) -> None:
        """Leaves a peer alone whose headers show no more than we have."""
        ours, claim, chain = self._port.tip().chain_work, fetch.claim, fetch.chain
        if chain is None or chain.chain_work <= ours:
            if claim is not None and claim.chain_work > ours:
                self._disbelieve(fetch.link, chain)
            self._pause(fetch.link, DISBELIEF_SECONDS)

    async def _follow(self, fetch: HeaderFetch) -> None:
        """Fetches the bodies of a chain whose headers show more work than ours."""
        await fetch.run()  # what there was no time for while it was compared
        link, chain = fetch.link, fetch.chain
        if chain is None:
            return
        _logger.info(
            "following %s to height %d, %d headers checked",
            link.key, chain.parent.height, len(chain),
        )  # fmt: skip
        self._proved(link, chain.parent.height)
        if await self._is_refused(fetch, chain):
            return
        tip = self._port.tip().hash
        if not await self._is_withheld(chain):
            self._keep_busy()
        for start in range(0, len(chain), SEGMENT_BLOCKS):
            try:
                await self._fetch_segment(chain, start)
            except SyncStopped:
                hashes = chain.hashes(start, SEGMENT_BLOCKS)
                if tip != self._port.tip().hash in hashes:  # it led us some of the way
                    self._history.delivered(link.key)
                for block_hash in await self._port.missing_blocks(hashes):
                    _remember(self._withheld, block_hash)
                raise
        self._history.delivered(link.key)
        if self._port.tip().chain_work < chain.chain_work:  # policy keeps us from following
            self._settle(fetch, chain)

    def _keep_busy(self) -> None:
        self._busy_until = time.monotonic() + STALLED_SECONDS

    def _progressed(self) -> None:
        if self.busy:
            self._keep_busy()

    async def _is_withheld(self, chain: HeaderChain) -> bool:
        """Whether nobody served the first body that we lack."""
        for start in range(0, len(chain), SEGMENT_BLOCKS):
            missing = await self._port.missing_blocks(chain.hashes(start, SEGMENT_BLOCKS))
            if missing:
                return missing[0] in self._withheld
        return False

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

        fetch = BodyFetch(
            self._port, hashes, sources, self._punish, self._average_bytes, self._progressed
        )
        await fetch.run()
        self._average_bytes = fetch.average_bytes


def _remember(hashes: OrderedDict[bytes, None], block_hash: bytes) -> None:
    hashes[block_hash] = None
    if len(hashes) > _REMEMBERED_TIPS:
        hashes.popitem(last=False)
