"""Peers that send what no honest node sends: the listener lives, and the culprit is banned.

Each test brings a peer of its own, with a key of its own, to one of two honest nodes. At the
end the two must still be connected, agree on a new block, and run in the processes in which
they were started.
"""

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
import zmq

from cairn.consensus.block import Block, Coinbase
from cairn.consensus.params import NetworkParams, parse_genesis
from cairn.consensus.transaction import decode_transaction
from cairn.consensus.validation import ParentContext, genesis_context
from tests.support.builders import NOBODY, altered_block, mine_block, mine_header
from tests.support.network import COIN, PATIENT_MINER, LocalNetwork, LocalNode
from tests.support.polling import wait_until
from tests.support.raw_peer import RawPeer

BAN_SECONDS = 20
SAME_SECONDS = 20
FAULTS_TO_BAN = 5
"""A malformed message costs 20 points of 100."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Two honest nodes; the first is bothered. Nothing is mined unasked."""
    easy = {"initial_target": 0x2000FFFF, "target_limit": 0x2000FFFF}  # about 256 hashes
    with LocalNetwork(tmp_path_factory.mktemp("pair"), **easy) as network:
        network.add_nodes(2, overrides={"miner": PATIENT_MINER})
        yield network


@pytest.fixture
def unharmed(pair: LocalNetwork) -> Iterator[LocalNode]:
    """The bothered node; checks afterwards that nobody honest suffered."""
    victim, friend = pair.nodes
    tip, pids = victim.tip(), _pids(pair)
    yield victim
    assert _pids(pair) == pids
    assert all(program.is_running for program in victim.node.programs.values())
    assert victim.tip() == tip
    banned = {peer["name"] for peer in victim.peers() if peer["state"] == "banned"}
    assert friend.name not in banned
    pair.wait_connected()
    friend.mine(1)
    wait_until(lambda: victim.tip() == friend.tip(), SAME_SECONDS, "honest nodes still agree")


def _pids(network: LocalNetwork) -> list[int]:
    return [program.pid for node in network.nodes for program in node.node.programs.values()]


def _params(network: LocalNetwork) -> NetworkParams:
    return parse_genesis(network.genesis_text)


def _peer(network: LocalNetwork, chain: Sequence[Block] = ()) -> RawPeer:
    return RawPeer(network.name, _params(network).genesis_block(), chain)


def _entry_of(node: LocalNode, peer: RawPeer) -> dict[str, Any]:
    """What the node tells of the peer; empty when it does not know it."""
    return next((each for each in node.peers() if each["curve_key"] == peer.curve_key), {})


def _state_of(node: LocalNode, peer: RawPeer) -> str:
    return str(_entry_of(node, peer).get("state", "unknown"))


def _wait_banned(node: LocalNode, peer: RawPeer) -> None:
    wait_until(
        lambda: _state_of(node, peer) == "banned",
        BAN_SECONDS,
        "the peer is banned",
        lambda: (_state_of(node, peer), peer.asked),
    )


def test_peer_that_behaves_is_let_in_and_stays(pair: LocalNetwork, unharmed: LocalNode) -> None:
    """Shows that the others are banned for what they do, not for being made by hand."""
    with _peer(pair) as peer:
        address = peer.join(unharmed)
        wait_until(lambda: _state_of(unharmed, peer) == "connected", 20, "it is connected")
        assert peer.ask(address, peer.hello())["type"] == "welcome"
        assert peer.ask(address, {"type": "get_nodes"})["type"] == "nodes"
        answer = peer.ask(address, {"type": "get_headers", "locator": [pair.name.id]})
        assert answer["type"] == "headers"
        # Each web worker has its own picture of the peers, up to a second old.
        wait_until(lambda: _state_of(unharmed, peer) == "connected", 20, "it is still connected")


HELLO_CUT = 40

FRAMES: dict[str, Callable[[RawPeer], list[bytes]]] = {
    "no frame of ours": lambda _: [b""],
    "three frames": lambda _: [b"a", b"b", b"c"],
    "bytes of chance": lambda _: [bytes(range(200, 256)) * 4],
    "truncated msgpack": lambda peer: [msgspec.msgpack.encode([1, peer.hello()])[:-HELLO_CUT]],
    "another type": lambda _: [msgspec.msgpack.encode([1, {"type": "give_me_all"}])],
    "a field too many": lambda _: [msgspec.msgpack.encode([1, {"type": "get_nodes", "x": 1}])],
    "wrong types": lambda _: [
        msgspec.msgpack.encode([1, {"type": "get_blocks", "hashes": ["x", 5, None]}])
    ],
    "a huge count": lambda _: [b"\x92\x01\x82\xa4type\xaaget_blocks\xa6hashes\xdd\xff\xff\xff\xff"],
    "deep nesting": lambda _: [b"\x91" * 50_000],
    "too many hashes": lambda _: [
        msgspec.msgpack.encode([1, {"type": "get_blocks", "hashes": [bytes(32)] * 501}])
    ],
}


@pytest.mark.parametrize("case", FRAMES)
def test_malformed_requests_lead_to_a_ban(
    pair: LocalNetwork, unharmed: LocalNode, case: str
) -> None:
    with _peer(pair) as peer:
        address = peer.join(unharmed)
        with peer.dealer(address) as dealer:
            for _ in range(FAULTS_TO_BAN):
                dealer.send_multipart(FRAMES[case](peer))
            _wait_banned(unharmed, peer)
        with pytest.raises(zmq.Again):
            peer.ask(address, {"type": "get_nodes"}, timeout_milliseconds=500)


def _transactions(number: int, raws: list[bytes]) -> list[bytes]:
    body = {"type": "transactions_broadcast", "sequence": number, "transactions": raws}
    return [b"tx", msgspec.msgpack.encode(body)]


BROADCASTS: dict[str, Callable[[int], list[bytes]]] = {
    "no msgpack": lambda _: [b"tx", b"\xc1\xc1\xc1"],
    "truncated": lambda _: [b"chain", b"\x84\xa4type\xadtip_broad"],
    "unknown topic": lambda _: [b"txx", b""],
    "one frame": lambda _: [b"tx"],
    "no transactions": lambda number: _transactions(number, []),
    "transactions of chance": lambda number: _transactions(number, [bytes([9, number]) * 100]),
}


@pytest.mark.parametrize("case", BROADCASTS)
def test_malformed_broadcasts_lead_to_a_ban(
    pair: LocalNetwork, unharmed: LocalNode, case: str
) -> None:
    with _peer(pair) as peer:
        peer.join(unharmed)
        wait_until(lambda: _state_of(unharmed, peer) == "connected", 20, "it is connected")

        numbers = itertools.count(1)

        def banned() -> bool:
            peer.publish(*BROADCASTS[case](next(numbers)))
            return _state_of(unharmed, peer) == "banned"

        wait_until(banned, BAN_SECONDS, "the peer is banned")
        assert not unharmed.pool_ids()


@pytest.mark.parametrize("size", [65 * 1024 + 1, 5 * 1024 * 1024, 64 * 1024 * 1024])
def test_oversized_frames_cost_the_connection_alone(
    pair: LocalNetwork, unharmed: LocalNode, size: int
) -> None:
    with _peer(pair) as peer:
        address = peer.join(unharmed)
        with peer.dealer(address) as dealer:
            dealer.setsockopt(zmq.RCVTIMEO, 500)
            dealer.send(bytes(size))
            with pytest.raises(zmq.Again):
                dealer.recv()
        assert unharmed.is_ready()


Break = Callable[[LocalNetwork, NetworkParams, Block, ParentContext], Block]


def _flipped_merkle_root(_: object, params: NetworkParams, block: Block, __: object) -> Block:
    return altered_block(block, params, merkle_root=bytes(32))


def _greedy_coinbase(_: object, params: NetworkParams, block: Block, __: object) -> Block:
    amount = params.subsidy(block.header.height) + 1
    return altered_block(block, params, coinbase=Coinbase(NOBODY, amount))


def _no_work(_: object, params: NetworkParams, block: Block, __: object) -> Block:
    nonce = mine_header(block.header, met=False).nonce
    return altered_block(block, params, mined=False, nonce=nonce)


def _own_difficulty(_: object, params: NetworkParams, block: Block, __: object) -> Block:
    return altered_block(block, params, bits=0x207FFFFF)


def _older_than_its_parent(_: object, params: NetworkParams, block: Block, __: object) -> Block:
    return altered_block(block, params, timestamp=params.genesis_time - 100)


def _forged_signature(
    network: LocalNetwork, params: NetworkParams, _: Block, parent: ParentContext
) -> Block:
    signed = network.accounts[7].transaction(network.name, 0, network.accounts[8].address, COIN)
    forged = bytearray(signed.raw)
    forged[-40] ^= 1
    return mine_block(params, parent, [decode_transaction(bytes(forged), network.name.id)])


def _overdraft(
    network: LocalNetwork, params: NetworkParams, _: Block, parent: ParentContext
) -> Block:
    signed = network.accounts[7].transaction(
        network.name, 0, network.accounts[8].address, 10**6 * COIN
    )
    return mine_block(params, parent, [decode_transaction(signed.raw, network.name.id)])


def _wrong_sequence(
    network: LocalNetwork, params: NetworkParams, _: Block, parent: ParentContext
) -> Block:
    signed = network.accounts[7].transaction(network.name, 5, network.accounts[8].address, COIN)
    return mine_block(params, parent, [decode_transaction(signed.raw, network.name.id)])


INVALID: dict[str, Break] = {
    "merkle root of nothing": _flipped_merkle_root,
    "coinbase that takes too much": _greedy_coinbase,
    "hash above the target": _no_work,
    "difficulty of its own choice": _own_difficulty,
    "timestamp before its parents'": _older_than_its_parent,
    "forged signature": _forged_signature,
    "overdraft": _overdraft,
    "wrong sequence": _wrong_sequence,
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_blocks_lead_to_a_ban_and_change_nothing(
    pair: LocalNetwork, unharmed: LocalNode, case: str
) -> None:
    """A chain with more work whose last block breaks one rule; what precedes it is sound."""
    chain, parent = _chain_of(pair, unharmed)
    good = mine_block(_params(pair), parent)
    bad = INVALID[case](pair, _params(pair), good, parent)
    with _peer(pair, [*chain, bad]) as peer:
        peer.join(unharmed)
        _wait_banned(unharmed, peer)


@pytest.mark.parametrize("case", ["coinbase that takes too much", "hash above the target"])
def test_invalid_block_below_the_tip_leads_to_a_ban(
    pair: LocalNetwork, unharmed: LocalNode, case: str
) -> None:
    """The bad block is not the announced one, so that headers and bodies have to be asked for."""
    params = _params(pair)
    chain, parent = _chain_of(pair, unharmed)
    bad = INVALID[case](pair, params, mine_block(params, parent), parent)
    above = mine_block(params, parent.extended_by(bad.header, bad.hash))
    with _peer(pair, [*chain, bad, above]) as peer:
        peer.join(unharmed)
        _wait_banned(unharmed, peer)
        assert "get_headers" in peer.asked


def test_answers_that_are_rubbish_count_against_the_peer(
    pair: LocalNetwork, unharmed: LocalNode
) -> None:
    """The node asks such a peer again ever later, so that a ban would take long to await."""
    params = _params(pair)
    chain, parent = _chain_of(pair, unharmed)
    for _ in range(2):  # two ahead, so that headers have to be asked for
        block = mine_block(params, parent)
        parent = parent.extended_by(block.header, block.hash)
        chain.append(block)
    peer = _peer(pair, chain)
    peer.serve = lambda body: b"\xc1" * 50 if body["type"] == "get_headers" else None
    with peer:
        peer.join(unharmed)
        wait_until(
            lambda: _entry_of(unharmed, peer).get("score", 0) > 0, BAN_SECONDS, "it has points"
        )
        assert "get_headers" in peer.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"network_id": bytes(32)},
        {"name": "x" * 65},
        {"publish": "ipc:///tmp/somewhere"},
        {"publish": "tcp://169.254.169.254:80"},
        {"request": "tcp://10.0.0.1:1"},
        {"curve_key": "short"},
        {"timestamp": 2**62},
        {"url": "javascript:alert(1)"},
        {"public_key": bytes(33)},
    ],
    ids=lambda changes: next(iter(changes)) if isinstance(changes, dict) else None,
)
def test_refuses_records_that_break_a_rule(
    pair: LocalNetwork, unharmed: LocalNode, changes: dict[str, object]
) -> None:
    known = len(unharmed.peers())
    with _peer(pair) as peer:
        reply = peer.post_record(unharmed.api, peer.record(**changes))
    assert reply.status in (400, 403, 409, 422), reply.body
    assert reply.content_type == "application/problem+json"
    assert len(unharmed.peers()) == known


def test_survives_tcp_that_is_not_zmq(unharmed: LocalNode) -> None:
    rubbish = [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000, bytes(64), b"\xff" + bytes(8) + b"\x7f"]
    for port in (unharmed.spec.publish_port, unharmed.spec.request_port):
        for content in rubbish:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(content)


def test_lets_nobody_in_without_curve(unharmed: LocalNode) -> None:
    context = zmq.Context()
    try:
        with context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.setsockopt(zmq.RCVTIMEO, 1_000)
            dealer.connect(f"tcp://127.0.0.1:{unharmed.spec.request_port}")
            dealer.send(msgspec.msgpack.encode([1, {"type": "get_nodes"}]))
            with pytest.raises(zmq.Again):
                dealer.recv()
    finally:
        context.destroy(linger=0)


def _chain_of(network: LocalNetwork, node: LocalNode) -> tuple[list[Block], ParentContext]:
    """The node's own chain, asked of it as a peer does, and the context for a child of its tip."""
    parent = genesis_context(_params(network))
    with _peer(network) as peer:
        chain = peer.download(peer.join(node))
    for block in chain:
        parent = parent.extended_by(block.header, block.hash)
    return chain, parent
