"""A new node whose first peer has a chain of cheap blocks, and its second the heavier one."""

import time
from collections.abc import Callable

import pytest

from cairn.consensus.block import Block
from cairn.consensus.params import NetworkParams, parse_genesis
from tests.support.builders import ChainBuilder
from tests.support.network import PATIENT_MINER, LocalNetwork
from tests.support.polling import wait_until
from tests.support.raw_peer import RawPeer

CHEAP, HONEST = 120, 240
SYNC_SECONDS = 60

pytestmark = pytest.mark.timeout(180)


def test_the_first_peer_of_a_new_node_does_not_decide_for_ever(
    make_network: Callable[..., LocalNetwork],
) -> None:
    network = make_network(
        genesis_time=int(time.time()) - 86_400,
        target_interval_seconds=60,
        half_life_seconds=86_400,
        initial_target=0x207FFFFF,
        target_limit=0x207FFFFF,
    )
    params = parse_genesis(network.genesis_text)
    cheap, honest = _mined(params, CHEAP, b"cheap"), _mined(params, HONEST, b"")
    node = network.add_node(alphas=[], overrides={"miner": PATIENT_MINER})
    node.start()
    node.wait_ready()
    genesis = params.genesis_block()
    with RawPeer(network.name, genesis, cheap) as first:
        first.join(node)
        _wait_for(node.tip, cheap[-1])
        with RawPeer(network.name, genesis, honest) as second:
            second.join(node)
            _wait_for(node.tip, honest[-1])
    codes = [alert["code"] for alert in node.status()["alerts"]]
    assert "deep-reorganisation" not in codes
    checked = node.doctor()
    assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}"


def _mined(params: NetworkParams, count: int, extra: bytes) -> list[Block]:
    chain = ChainBuilder(params)
    for _ in range(count):
        chain.mine(extra=extra)
    return chain.blocks


def _wait_for(tip: Callable[[], str], block: Block) -> None:
    wait_until(lambda: tip() == block.hash.hex(), SYNC_SECONDS, f"height {block.header.height}")
