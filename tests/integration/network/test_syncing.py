"""Whose chain a node follows when several peers claim more, and what withheld bodies do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from cairn.consensus.block import Block
from cairn.consensus.proof_of_work import work_of
from cairn.network import sync as sync_module
from cairn.network.link import PeerLink, PeerSilent, TipClaim
from cairn.network.messages import Blocks, GetBlocks, GetHeaders, Headers
from cairn.network.sync import Synchroniser
from cairn.storage.errors import StorageUnavailable
from tests.integration.network.memory_ledger import MemoryLedger
from tests.integration.network.nodes import until
from tests.support.builders import ChainBuilder, make_params

PARAMS = make_params()
LATER = PARAMS.genesis_time + 1_000_000


class Peer:
    """A link to a peer that answers from a ledger of its own, or as `before` says."""

    def __init__(self, key: str, blocks: Sequence[Block]) -> None:
        self.key = key
        self.claim: TipClaim | None = None
        self.ledger = MemoryLedger(PARAMS, lambda: LATER)
        self.ledger.extend(blocks)
        self.asked: list[GetHeaders | GetBlocks] = []
        self.serves_bodies = True

    async def before(self, body: GetHeaders | GetBlocks) -> None:
        """What happens between a question and its answer."""

    async def ask(self, body: Any, expected: type[Any], patience: float = 1.0) -> Any:
        self.asked.append(body)
        await self.before(body)
        if isinstance(body, GetHeaders):
            return Headers(await self.ledger.headers_after(body.locator, 2_000))
        found = await self.ledger.blocks(body.hashes, 2**22) if self.serves_bodies else []
        return Blocks(found)

    def bodies_asked(self) -> int:
        return sum(isinstance(body, GetBlocks) for body in self.asked)


class Scene:
    """A ledger that follows some peers."""

    def __init__(self, clock: int, *peers: Peer) -> None:
        self.ledger = MemoryLedger(PARAMS, lambda: clock)
        self.peers = peers
        self.punished: list[str] = []
        self.sync = Synchroniser(
            self.ledger,
            lambda: clock,
            lambda: cast(list[PeerLink], list(peers)),
            lambda key, points, why: self.punished.append(key),
            lambda: None,
        )

    def claim(self) -> None:
        """Every peer announces its tip."""
        for peer in self.peers:
            tip = peer.ledger.tip()
            self.sync.on_claim(cast(PeerLink, peer), tip.header, tip.chain_work)

    def has_followed(self, blocks: Sequence[Block]) -> bool:
        return self.ledger.tip().hash == blocks[-1].hash


def play(scene: Scene, course: Callable[[], Awaitable[None]], claims: bool = True) -> None:
    async def scenario() -> None:
        scene.sync.start()
        try:
            if claims:
                scene.claim()
            await course()
        finally:
            await scene.sync.stop()

    asyncio.run(scenario())


def mined(count: int, extra: bytes = b"", parent: ChainBuilder | None = None) -> list[Block]:
    chain = parent or ChainBuilder(PARAMS)
    for _ in range(count):
        chain.mine(extra=extra)
    return chain.blocks


@pytest.mark.parametrize("order", [1, -1])
def test_a_new_node_follows_the_heaviest_headers_and_takes_no_other_body(order: int) -> None:
    cheap, honest = mined(120, b"cheap"), mined(130)
    peers = [Peer("cheap", cheap), Peer("honest", honest)][::order]
    scene = Scene(LATER, *peers)

    async def course() -> None:
        await until(lambda: scene.has_followed(honest))

    play(scene, course)
    assert scene.ledger.offered == [block.hash for block in honest]
    assert not scene.punished


def test_a_peer_that_never_shows_its_headers_holds_no_comparison_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cairn.network.headers.LEAST_GRACE_SECONDS", 0.05)
    honest = mined(5)

    class Mute(Peer):
        async def before(self, body: GetHeaders | GetBlocks) -> None:
            await asyncio.Event().wait()

    mute = Mute("mute", mined(9, b"mute"))
    scene = Scene(LATER, mute, Peer("honest", honest))

    async def course() -> None:
        await until(lambda: scene.has_followed(honest))

    play(scene, course)
    assert isinstance(mute.asked[0], GetHeaders)


def test_headers_cut_short_count_with_the_work_they_showed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long chain is not read to its end while a short one is: it is compared as far as it
    was read, followed, and read on."""
    monkeypatch.setattr("cairn.network.headers.LEAST_GRACE_SECONDS", 0.5)
    cheap, honest = mined(9, b"cheap"), mined(2_100)

    class Slow(Peer):
        was_cut = False

        async def before(self, body: GetHeaders | GetBlocks) -> None:
            batches = sum(isinstance(each, GetHeaders) for each in self.asked)
            if batches == 2 and not self.was_cut:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.was_cut = True

    slow = Slow("slow", honest)
    scene = Scene(LATER, Peer("cheap", cheap), slow)

    async def course() -> None:
        await until(lambda: scene.has_followed(honest), 40)

    play(scene, course)
    assert slow.was_cut
    assert scene.ledger.offered == [block.hash for block in honest]


def test_near_the_tip_one_peer_is_asked_at_a_time() -> None:
    blocks = mined(5)
    first, second = Peer("first", blocks), Peer("second", blocks)
    scene = Scene(PARAMS.genesis_time + 10, first, second)

    async def course() -> None:
        await until(lambda: scene.has_followed(blocks))

    play(scene, course)
    asked = [isinstance(body, GetHeaders) for peer in scene.peers for body in peer.asked]
    assert sum(asked) == 1


def test_a_branch_whose_bodies_are_withheld_stops_mining_once_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither asking again nor more headers on the same branch make the node `syncing`."""
    monkeypatch.setattr("cairn.network.sync.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("cairn.network.sync.START_SECONDS", 0.0)
    ours = ChainBuilder(PARAMS)
    mined(4, parent=ours)
    branch = ours.fork(2)
    mined(6, b"withheld", branch)
    was_synced: list[bool] = []

    class Withholder(Peer):
        async def before(self, body: GetHeaders | GetBlocks) -> None:
            if isinstance(body, GetBlocks):
                was_synced.append(scene.sync.is_synced)

    peer = Withholder("withholder", branch.blocks)
    peer.serves_bodies = False
    scene = Scene(LATER, peer)
    scene.ledger.extend(ours.blocks)

    async def course() -> None:
        await until(lambda: len(was_synced) >= 3)
        peer.ledger.extend([branch.mine(extra=b"withheld")])
        scene.claim()
        await until(lambda: len(was_synced) >= 6)
        assert scene.ledger.tip().hash == ours.blocks[-1].hash
        peer.serves_bodies = True  # a peer that only had a bad time is followed as any other
        await until(lambda: scene.has_followed(branch.blocks))

    play(scene, course)
    assert was_synced[0] is False
    assert set(was_synced[1:]) == {True}


def test_branches_with_bodies_go_before_those_without() -> None:
    ours = ChainBuilder(PARAMS)
    mined(4, parent=ours)
    withheld, served = ours.fork(2), ours.fork(3)
    mined(9, b"withheld", withheld)
    mined(4, b"served", served)
    peer = Peer("withholder", withheld.blocks)
    peer.serves_bodies = False
    scene = Scene(LATER, peer, Peer("honest", served.blocks))
    scene.ledger.extend(ours.blocks)

    async def course() -> None:
        await until(lambda: scene.has_followed(served.blocks))

    play(scene, course)
    work = sum(work_of(block.header.bits) for block in withheld.blocks)
    assert scene.ledger.tip().chain_work < work
    assert peer.bodies_asked()


def test_no_body_is_asked_for_of_a_branch_that_policy_refuses() -> None:
    """Its headers tell: nobody is blamed, nobody waits for it, and others are followed."""
    ours = ChainBuilder(PARAMS)
    shared = mined(12, parent=ours)
    deep, near = ours.fork(5), ours.fork(12)
    refused, good = Peer("refused", mined(30, b"deep", deep)), Peer("good", mined(2, b"", near))
    scene = Scene(LATER, refused, good)
    scene.ledger.extend(shared)
    scene.ledger.lowest_fork = 6

    async def course() -> None:
        await until(lambda: scene.ledger.refused and scene.has_followed(near.blocks))
        await until(lambda: scene.sync.is_synced)

    play(scene, course)
    assert scene.ledger.refused == [deep.blocks[-1].hash]
    asked = {each for peer in scene.peers for body in peer.asked if isinstance(body, GetBlocks)
             for each in body.hashes}  # fmt: skip
    assert asked == {block.hash for block in near.blocks[12:]}
    assert scene.punished == []


def test_a_failure_of_our_own_ends_no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is away for a moment while headers are compared."""
    monkeypatch.setattr(sync_module, "RETRY_SECONDS", 0.01)
    blocks = mined(5)
    scene = Scene(blocks[-1].header.timestamp + 1, Peer("honest", blocks))
    missing_blocks, failures = scene.ledger.missing_blocks, [StorageUnavailable("gone away")]

    async def failing_once(hashes: Sequence[bytes]) -> list[bytes]:
        if failures:
            raise failures.pop()
        return await missing_blocks(hashes)

    monkeypatch.setattr(scene.ledger, "missing_blocks", failing_once)

    async def course() -> None:
        await until(lambda: scene.has_followed(blocks))

    play(scene, course)
    assert not failures
    assert not scene.punished


def test_who_repeats_an_announcement_keeps_nobody_else_waiting() -> None:
    blocks = mined(2)
    loud, honest = Peer("loud", blocks), Peer("honest", blocks)

    async def silent(_: object) -> None:
        await asyncio.sleep(0.05)
        raise PeerSilent("no answer in time")

    loud.before = silent  # type: ignore[method-assign]
    scene = Scene(blocks[-1].header.timestamp + 1, loud, honest)
    scene.ledger.extend(blocks[:1])

    async def course() -> None:
        tip = loud.ledger.tip()
        for _ in range(50):
            scene.sync.on_claim(cast(PeerLink, loud), tip.header, tip.chain_work)
        scene.sync.on_claim(cast(PeerLink, honest), tip.header, tip.chain_work)
        await until(lambda: scene.has_followed(blocks))
        assert len(loud.asked) == 1

    play(scene, course, claims=False)
