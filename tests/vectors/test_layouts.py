"""This project's frozen vectors: every byte layout, read and written.

`generate.py` tells how the JSON files were made, once. They never change.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cairn.consensus.block import (
    Coinbase,
    Header,
    build_block,
    build_header,
    decode_block,
    decode_header,
)
from cairn.consensus.crypto import address_of, decode_address, encode_address
from cairn.consensus.merkle import merkle_path, merkle_root, verify_path
from cairn.consensus.params import REGTEST_GENESIS, parse_genesis
from cairn.consensus.proof import TransactionProof, build_proof, verify_proof
from cairn.consensus.transaction import (
    UnsignedTransaction,
    attach_signature,
    decode_transaction,
)
from cairn.consensus.validation import check_block_sanity, check_header_chain, genesis_context
from cairn.wallet import AccountKey, build_transaction

_UNHEX = bytes.fromhex


def _load(name: str) -> Any:
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())


_ADDRESSES = _load("addresses")
_TRANSACTIONS = _load("transactions")
_NETWORKS = _load("networks")
_BLOCKS = _load("blocks")
_MERKLE = _load("merkle")
_PROOFS = _load("proofs")


@pytest.mark.parametrize("vector", _ADDRESSES, ids=lambda vector: vector["address"])
def test_key_gives_public_key_address_and_text(vector: dict[str, str]) -> None:
    key = AccountKey(int(vector["private_key"], 16))
    assert key.public_key == _UNHEX(vector["public_key"])
    assert key.address == address_of(key.public_key) == _UNHEX(vector["address"])
    for prefix in ("cairn", "rcairn", "vec"):
        assert encode_address(prefix, key.address) == vector[prefix]
        assert decode_address(prefix, vector[prefix]) == key.address


@pytest.mark.parametrize("vector", _TRANSACTIONS, ids=lambda vector: vector["name"])
def test_transaction_fields_give_its_bytes_signature_and_id(vector: dict[str, str]) -> None:
    network_id = _UNHEX(vector["network_id"])
    unsigned = UnsignedTransaction(
        public_key=_UNHEX(vector["public_key"]),
        sequence=int(vector["sequence"]),
        recipient=_UNHEX(vector["recipient"]),
        amount=int(vector["amount"]),
        fee=int(vector["fee"]),
        timestamp=int(vector["timestamp"]),
        data=_UNHEX(vector["data"]),
    )
    assert unsigned.encode() == _UNHEX(vector["unsigned"])
    message = unsigned.signing_message(network_id)
    assert message == _UNHEX(vector["signing_message"])
    signature = AccountKey(int(vector["private_key"], 16)).sign(message)
    assert signature == _UNHEX(vector["signature"])
    transaction = attach_signature(unsigned, signature, network_id)
    assert transaction.raw == _UNHEX(vector["raw"])
    assert transaction.id == _UNHEX(vector["id"])


@pytest.mark.parametrize("vector", _TRANSACTIONS, ids=lambda vector: vector["name"])
def test_transaction_bytes_give_its_fields(vector: dict[str, str]) -> None:
    transaction = decode_transaction(_UNHEX(vector["raw"]), _UNHEX(vector["network_id"]))
    for name in ("sequence", "amount", "fee", "timestamp"):
        assert getattr(transaction, name) == int(vector[name])
    for name in ("public_key", "recipient", "data", "signature", "id", "sender", "raw"):
        assert getattr(transaction, name) == _UNHEX(vector[name])
    message = transaction.signing_message(_UNHEX(vector["network_id"]))
    assert message == _UNHEX(vector["signing_message"])


def test_wallet_builds_the_same_transactions() -> None:
    for vector in _TRANSACTIONS:
        transaction = build_transaction(
            AccountKey(int(vector["private_key"], 16)),
            _UNHEX(vector["network_id"]),
            sequence=int(vector["sequence"]),
            recipient=_UNHEX(vector["recipient"]),
            amount=int(vector["amount"]),
            fee=int(vector["fee"]),
            timestamp=int(vector["timestamp"]),
            data=_UNHEX(vector["data"]),
        )
        assert transaction.raw == _UNHEX(vector["raw"])


@pytest.mark.parametrize("vector", _NETWORKS, ids=["regtest", "with allocations"])
def test_genesis_file_gives_genesis_block_and_network_id(vector: dict[str, str]) -> None:
    params = parse_genesis(vector["genesis_file"])
    genesis = params.genesis_block()
    assert genesis.coinbase.extra == _UNHEX(vector["commitment"])
    assert genesis.raw == _UNHEX(vector["genesis_block"])
    assert genesis.hash == params.network_id() == _UNHEX(vector["network_id"])
    assert decode_block(genesis.raw, genesis.hash, params.max_block_bytes) == genesis


def test_the_built_in_regtest_is_the_frozen_one() -> None:
    assert parse_genesis(REGTEST_GENESIS) == parse_genesis(_NETWORKS[0]["genesis_file"])


@pytest.mark.parametrize("vector", _BLOCKS, ids=lambda vector: vector["header"]["height"])
def test_header_bytes_and_fields_give_each_other(vector: dict[str, Any]) -> None:
    fields = vector["header"]
    header = Header(
        height=int(fields["height"]),
        previous_hash=_UNHEX(fields["previous_hash"]),
        merkle_root=_UNHEX(fields["merkle_root"]),
        timestamp=int(fields["timestamp"]),
        bits=int(fields["bits"], 16),
        nonce=int(fields["nonce"]),
        version=int(fields["version"]),
    )
    assert header.encode() == _UNHEX(fields["raw"])
    assert header.hash() == _UNHEX(vector["hash"])
    assert decode_header(_UNHEX(fields["raw"])) == header


@pytest.mark.parametrize("vector", _BLOCKS, ids=lambda vector: vector["header"]["height"])
def test_block_bytes_and_parts_give_each_other(vector: dict[str, Any]) -> None:
    network_id = _UNHEX(vector["network_id"])
    fields = vector["coinbase"]
    coinbase = Coinbase(_UNHEX(fields["recipient"]), int(fields["amount"]), _UNHEX(fields["extra"]))
    assert coinbase.encode() == _UNHEX(fields["raw"])
    transactions = [decode_transaction(_UNHEX(raw), network_id) for raw in vector["transactions"]]
    header = decode_header(_UNHEX(vector["header"]["raw"]))
    assert header == build_header(
        header.previous_hash,
        header.height,
        header.timestamp,
        header.bits,
        coinbase,
        transactions,
        header.nonce,
    )
    block = build_block(header, coinbase, transactions)
    assert block.raw == _UNHEX(vector["raw"])
    assert block.hash == _UNHEX(vector["hash"])
    assert decode_block(block.raw, network_id, len(block.raw)) == block


def test_the_frozen_chain_is_valid() -> None:
    params = parse_genesis(_NETWORKS[1]["genesis_file"])
    blocks = [
        decode_block(_UNHEX(vector["raw"]), params.network_id(), params.max_block_bytes)
        for vector in _BLOCKS
    ]
    for block in blocks:
        check_block_sanity(block, params)
    now = blocks[-1].header.timestamp
    tip = check_header_chain([b.header for b in blocks], genesis_context(params), params, now)
    assert (tip.height, tip.hash) == (5, blocks[-1].hash)


@pytest.mark.parametrize("vector", _MERKLE, ids=lambda vector: len(vector["leaves"]))
def test_leaves_give_root_and_paths(vector: dict[str, Any]) -> None:
    leaves = [_UNHEX(leaf) for leaf in vector["leaves"]]
    root = _UNHEX(vector["root"])
    assert merkle_root(leaves) == root
    for index, hexadecimal in enumerate(vector["paths"]):
        path = [_UNHEX(node) for node in hexadecimal]
        assert merkle_path(leaves, index) == path
        assert verify_path(leaves[index], index, len(leaves), path, root)


@pytest.mark.parametrize("vector", _PROOFS, ids=lambda vector: vector["transaction_id"][:8])
def test_proof_shows_what_it_says(vector: dict[str, Any]) -> None:
    params = parse_genesis(_NETWORKS[1]["genesis_file"])
    proof = TransactionProof(
        transaction=_UNHEX(vector["transaction"]),
        height=int(vector["height"]),
        leaf_index=int(vector["leaf_index"]),
        leaf_count=int(vector["leaf_count"]),
        path=tuple(_UNHEX(node) for node in vector["path"]),
    )
    block = decode_block(
        _UNHEX(_BLOCKS[proof.height - 1]["raw"]), params.network_id(), params.max_block_bytes
    )
    assert build_proof(block, proof.leaf_index - 1) == proof
    result = verify_proof(
        proof, [decode_header(_UNHEX(raw)) for raw in vector["headers"]], params, now=2**63
    )
    assert result.transaction_id == _UNHEX(vector["transaction_id"])
    assert result.block_hash == _UNHEX(vector["block_hash"])
    assert result.timestamp == int(vector["timestamp"])
    assert result.confirmations == int(vector["confirmations"])
    assert result.work == int(vector["work"])
