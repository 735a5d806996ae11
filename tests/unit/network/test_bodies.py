"""Fetching bodies from peers that answer well, slowly, in part or not at all."""

import asyncio
import time
from typing import Any, cast

import pytest

from cairn.chain.blockchain import BlockFate, BlockResult
from cairn.consensus.encoding import sha256d
from cairn.network.bodies import BodyFetch, SyncStopped
from cairn.network.link import PeerSilent
from cairn.network.messages import Blocks, GetBlocks

BODIES = [number.to_bytes(96, "big") + bytes(1_000) for number in range(2_000)]
HASHES = [sha256d(body[:96]) for body in BODIES]
BY_HASH = dict(zip(HASHES, BODIES, strict=True))


class Ledger:
    """Connects everything that comes in order."""

    def __init__(self) -> None:
        self.connected: list[bytes] = []

    async def accept_block(self, raw: bytes) -> BlockResult:
        await asyncio.sleep(0)
        self.connected.append(raw)
        return BlockResult(BlockFate.ACCEPTED, None)


class Peer:
    """Answers with at most `most` blocks after some seconds; with 0 blocks it is silent."""

    def __init__(self, key: str, seconds: float = 0.002, most: int = 500) -> None:
        self.key = key
        self.seconds = seconds
        self.most = most
        self.asked: list[list[int]] = []

    async def ask(self, body: GetBlocks, expected: type[Blocks], patience: float) -> Blocks:
        self.asked.append([HASHES.index(each) for each in body.hashes])
        await asyncio.sleep(self.seconds)
        if not self.most:
            raise PeerSilent("no answer in time")
        return Blocks([BY_HASH[each] for each in body.hashes[: self.most]])


def fetch(peers: list[Peer]) -> tuple[Ledger, float]:
    """What was connected, and the seconds it took."""
    ledger = Ledger()
    punished: list[str] = []

    async def scenario() -> None:
        run = BodyFetch(
            cast(Any, ledger),
            HASHES,
            lambda: cast(Any, list(peers)),
            lambda key, points, why: punished.append(key),
        )
        async with asyncio.timeout(30):
            await run.run()

    started = time.monotonic()
    asyncio.run(scenario())
    assert punished == []
    return ledger, time.monotonic() - started


@pytest.mark.parametrize("slow", [1, 4])
def test_peers_that_drip_blocks_do_not_hold_the_head(slow: int) -> None:
    dripping = [Peer(f"slow-{number}", 0.98, most=1) for number in range(slow)]
    ledger, seconds = fetch([*dripping, Peer("fast")])
    assert ledger.connected == BODIES
    assert seconds < 8
    for peer in dripping:
        first, *later = peer.asked
        assert all(len(chunk) == 1 for chunk in later)
        assert all(chunk[0] > first[1] for chunk in later)  # which was the head by then


def test_silent_peers_do_not_hold_the_head() -> None:
    ledger, seconds = fetch([*(Peer(f"silent-{n}", 20.0, most=0) for n in range(5)), Peer("fast")])
    assert ledger.connected == BODIES
    assert seconds < 8


def test_good_peers_are_asked_for_each_block_once() -> None:
    peers = [Peer("a"), Peer("b"), Peer("c")]
    ledger, _ = fetch(peers)
    assert ledger.connected == BODIES
    asked = [index for peer in peers for chunk in peer.asked for index in chunk]
    assert sorted(asked) == list(range(len(BODIES)))


def test_only_a_dripping_peer_is_still_followed() -> None:
    ledger, _ = fetch([Peer("small", 0.0, most=3)])
    assert ledger.connected == BODIES


def test_a_run_ends_when_nobody_has_the_next_block() -> None:
    with pytest.raises(SyncStopped):
        fetch([Peer("silent", 0.01, most=0)])
