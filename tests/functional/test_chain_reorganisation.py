"""Two groups of nodes that mine apart, then meet: most work wins, though its branch is shorter.

The groups are kept apart by `peers.blocked_endpoints`. One mines many easy blocks. The other is
given few hard ones, made here: their timestamps keep close to genesis, ahead of schedule, so
that each asks more work than many of the late, easy ones. A hand-made peer serves them.
"""

import time
from collections.abc import Callable, Sequence

import pytest

from cairn.consensus.block import Block
from cairn.consensus.params import parse_genesis
from cairn.consensus.transaction import decode_transaction
from cairn.consensus.validation import genesis_context
from tests.support.builders import mine_block
from tests.support.network import COIN, PATIENT_MINER, LocalNetwork, LocalNode
from tests.support.polling import wait_until
from tests.support.raw_peer import RawPeer, work_of_bits
from tests.support.wallets import SignedTransaction

MANY_EASY = 12
FEW_HARD = 3
MEET_SECONDS = 30

pytestmark = pytest.mark.timeout(180)


def test_heavier_but_shorter_branch_wins_when_two_groups_meet(
    make_network: Callable[..., LocalNetwork],
) -> None:
    network = make_network(
        genesis_time=int(time.time()) - 5_000,
        target_interval_seconds=10,
        half_life_seconds=100,
        initial_target=0x1F0FFFFF,  # about 4,096 hashes
        target_limit=0x2000FFFF,  # about 256
    )
    long_group, heavy_group = _start_apart(network)
    easy = _mine_many_easy(network, long_group)
    hard, chain = _mine_few_hard(network)
    with _peer(network, chain) as peer:
        peer.join(heavy_group[0])
        wait_until(
            lambda: all(node.height() == FEW_HARD for node in heavy_group),
            MEET_SECONDS,
            "the heavy group takes the hand-made chain",
            lambda: [node.height() for node in heavy_group],
        )
    assert [node.height() for node in long_group] == [MANY_EASY] * 2
    heavy_tip = chain[-1].hash.hex()
    _let_meet(network)
    wait_until(
        lambda: all(node.tip() == heavy_tip for node in network.nodes),
        MEET_SECONDS,
        "all nodes follow the heavier branch",
        lambda: [(node.name, node.height(), node.connected_peers()) for node in network.nodes],
    )
    for node in long_group:
        assert all(node.find(transaction) == "waiting" for transaction in easy)
        assert node.find(hard) == "mined"
    long_group[0].mine(1)
    network.wait_mined([*easy, hard], MEET_SECONDS)
    network.wait_agreed(MEET_SECONDS)
    for node in network.nodes:
        checked = node.doctor()
        assert checked.returncode == 0, f"{node.name}: {checked.stdout}{checked.stderr}"


def _start_apart(network: LocalNetwork) -> tuple[list[LocalNode], list[LocalNode]]:
    """Two groups of two nodes that refuse to know each other."""
    nodes = [network.add_node(alphas=[], overrides={"miner": PATIENT_MINER}) for _ in range(4)]
    groups = nodes[:2], nodes[2:]
    for group, others in (groups, groups[::-1]):
        blocked = [
            f"tcp://127.0.0.1:{port}"
            for other in others
            for port in (other.spec.publish_port, other.spec.request_port)
        ]
        for node in group:
            alphas = [] if node is group[0] else [group[0].spec.url]
            peers = {"blocked_endpoints": blocked, "alphas": alphas}
            node.node.write_files({"miner": PATIENT_MINER, "peers": peers})
            node.start()
    for node in nodes:
        node.wait_ready()
    for group in groups:
        network.wait_connected(group)
    return groups


def _let_meet(network: LocalNetwork) -> None:
    """Lifts the blockade: the configuration as it would be, one alpha for all, and a restart."""
    for node in network.nodes:
        alphas = [] if node is network.nodes[0] else [network.nodes[0].spec.url]
        node.node.write_files({"miner": PATIENT_MINER, "peers": {"alphas": alphas}})
    for node in network.nodes:
        assert not node.stop("listener")
        node.start("listener")


def _mine_many_easy(network: LocalNetwork, group: Sequence[LocalNode]) -> list[SignedTransaction]:
    """Mines in one group, transactions of three accounts in the first blocks."""
    sent = []
    for account in network.accounts[:3]:
        for sequence in range(3):
            transaction = account.transaction(
                network.name, sequence, network.accounts[9].address, COIN
            )
            assert group[1].api.post_transactions([transaction.raw]).status == 202
            sent.append(transaction)
    wait_until(lambda: len(group[0].pool_ids()) == len(sent), 15, "the miner's node knows them all")
    group[0].mine(MANY_EASY)
    network.wait_agreed(MEET_SECONDS, group)
    assert all(group[1].find(transaction) == "mined" for transaction in sent)
    return sent


def _mine_few_hard(network: LocalNetwork) -> tuple[SignedTransaction, list[Block]]:
    """A chain of few blocks with more work, with a transaction of a fourth account."""
    params = parse_genesis(network.genesis_text)
    parent = genesis_context(params)
    signed = network.accounts[4].transaction(network.name, 0, network.accounts[9].address, COIN)
    transactions = [decode_transaction(signed.raw, network.name.id)]
    chain = []
    for height in range(1, FEW_HARD + 1):
        block = mine_block(params, parent, transactions, timestamp=params.genesis_time + height)
        parent = parent.extended_by(block.header, block.hash)
        transactions = []
        chain.append(block)
    hard = sum(work_of_bits(block.header.bits) for block in chain)
    assert hard > 2 * MANY_EASY * work_of_bits(params.target_limit)
    return signed, chain


def _peer(network: LocalNetwork, chain: Sequence[Block]) -> RawPeer:
    genesis = parse_genesis(network.genesis_text).genesis_block()
    return RawPeer(network.name, genesis, chain)
