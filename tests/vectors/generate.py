"""Made the frozen vectors of every byte layout: `python -m tests.vectors.generate`.

The JSON files beside this script were written by it once, with protocol version 1, and do
not change: a test that disagrees with them has found a node that would leave the network.
The bytes come from the second set of encoders in `tests.support.builders` and from this
file, not from the node's. Existing files are never overwritten: a new layout gets a new
file.

All values are text: bytes in lower-case hex, integers in decimal (bits in hex), since a
JSON number above 2^53 is not safe everywhere. The private keys are as public as this file.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

from cairn.consensus.block import Block, Coinbase, Header
from cairn.consensus.params import REGTEST_GENESIS, NetworkParams, parse_genesis
from cairn.consensus.transaction import Transaction
from tests.support import builders
from tests.support.builders import COIN, ChainBuilder, make_key

FOLDER = Path(__file__).parent
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_U64_MAX = 2**64 - 1

CUSTOM_GENESIS = f"""\
name = "vector-net"
address_prefix = "vec"
symbol = "VEC"
genesis_time = 1751241600
target_interval_seconds = 30
half_life_seconds = 3600
initial_target = 0x207fffff
target_limit = 0x207fffff
initial_subsidy = 1250000001
halving_interval_blocks = 2
max_block_bytes = 200000
max_data_bytes = 256
[allocations]
{{first}} = {1_000_000 * COIN}
{{second}} = 1
"""


def main() -> None:
    """Writes every file of vectors that does not exist; exit 1 when one does."""
    written = []
    for name, make in GENERATORS.items():
        path = FOLDER / f"{name}.json"
        try:
            with path.open("x") as file:
                json.dump(make(), file, indent=1)
                file.write("\n")
        except FileExistsError:
            print(f"{path.name} is frozen and stays as it is", file=sys.stderr)
        else:
            written.append(path.name)
    print(f"written: {', '.join(written) or 'nothing'}")
    if len(written) < len(GENERATORS):
        sys.exit(1)


def addresses() -> list[dict[str, str]]:
    """Private key, public key, address, and its text under three prefixes."""
    numbers = [1, 2, 3, make_key(0).private_key, make_key(1).private_key]
    vectors = []
    for private_key in numbers:
        public_key = builders.AccountKey(private_key).public_key
        address = _address(public_key)
        vectors.append(
            {
                "private_key": f"{private_key:064x}",
                "public_key": public_key.hex(),
                "address": address.hex(),
                **{prefix: _bech32m(prefix, address) for prefix in ("cairn", "rcairn", "vec")},
            }
        )
    return vectors


def transactions() -> list[dict[str, str]]:
    """Transactions on regtest: usual, notarizing, largest and smallest fields."""
    params = parse_genesis(REGTEST_GENESIS)
    recipient = make_key(1).address
    digest = sha256(b"a document\n").digest()
    cases = {
        "payment": (0, recipient, 15 * COIN // 10, 1_000, b"", 1_700_000_123),
        "payment with a note": (7, recipient, 1, 0, "für Käse".encode(), 1_700_000_124),
        "notarized document": (8, bytes(20), 0, 5_000, b"cairn:doc:v1" + digest, 1_700_000_125),
        "to oneself": (9, make_key(0).address, COIN, 1, b"", 1_700_000_126),
        "largest fields": (
            *(_U64_MAX, b"\xff" * 20, _U64_MAX - 1, 1),
            *(b"\xff" * 1_024, _U64_MAX),
        ),
        "smallest fields": (0, bytes(20), 0, 0, b"", 0),
    }
    vectors = []
    for name, (sequence, to, amount, fee, data, timestamp) in cases.items():
        transaction = builders.make_transaction(
            make_key(0), params, sequence, to, amount, fee, data, timestamp
        )
        vectors.append({"name": name, **_transaction(transaction, params)})
    return vectors


def networks() -> list[dict[str, str]]:
    """Genesis files, what the genesis coinbase commits to, genesis blocks and network ids."""
    return [_network(REGTEST_GENESIS), _network(_custom_genesis())]


def blocks() -> list[dict[str, object]]:
    """A chain of five blocks on the network of the second genesis file."""
    chain, params = _chain()
    return [_block(block, params) for block in chain.blocks]


def merkle() -> list[dict[str, object]]:
    """Trees of 1 to 17 leaves: their leaves, root, and the path of each leaf."""
    trees = []
    for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17):
        leaves = [bytes([count]) * index for index in range(count)]
        trees.append(
            {
                "leaves": [leaf.hex() for leaf in leaves],
                "root": builders.tree_root(leaves).hex(),
                "paths": [[node.hex() for node in _path(leaves, index)] for index in range(count)],
            }
        )
    return trees


def proofs() -> list[dict[str, object]]:
    """The proof of each transaction of the chain in `blocks.json`, against its headers."""
    chain, _ = _chain()
    headers = [builders.header_bytes(block.header) for block in chain.blocks]
    vectors: list[dict[str, object]] = []
    for block in chain.blocks:
        leaves = [builders.coinbase_bytes(block.coinbase), *(t.raw for t in block.transactions)]
        for position, transaction in enumerate(block.transactions):
            vectors.append(
                {
                    "transaction": transaction.raw.hex(),
                    "height": str(block.header.height),
                    "leaf_index": str(position + 1),
                    "leaf_count": str(len(leaves)),
                    "path": [node.hex() for node in _path(leaves, position + 1)],
                    "headers": [header.hex() for header in headers],
                    "transaction_id": transaction.id.hex(),
                    "block_hash": _sha256d(headers[block.header.height - 1]).hex(),
                    "timestamp": str(block.header.timestamp),
                    "confirmations": str(len(headers) - block.header.height + 1),
                    "work": str(2 * (len(headers) - block.header.height + 1)),
                }
            )
    return vectors


GENERATORS: dict[str, Callable[[], object]] = {
    "addresses": addresses,
    "transactions": transactions,
    "networks": networks,
    "blocks": blocks,
    "merkle": merkle,
    "proofs": proofs,
}


def _custom_genesis() -> str:
    first, second = (_bech32m("vec", make_key(number).address) for number in (0, 1))
    return CUSTOM_GENESIS.format(first=first, second=second)


def _chain() -> tuple[ChainBuilder, NetworkParams]:
    params = parse_genesis(_custom_genesis())
    chain = ChainBuilder(params)
    sender, other, miner = (make_key(number) for number in (0, 1, 2))
    chain.mine(recipient=miner.address)
    payment = chain.send(sender, other.address, 250 * COIN, fee=2_000)
    chain.mine([payment], recipient=miner.address, extra=b"node 1")
    several = [
        builders.make_transaction(sender, params, sequence, other.address, COIN, 300 + sequence)
        for sequence in (1, 2, 3)
    ]
    note = chain.send(other, sender.address, 0, fee=10, data=b"thanks")
    chain.mine([*several, note], recipient=miner.address, extra=bytes(range(64)))
    chain.mine(recipient=miner.address, claim=0)
    chain.mine([chain.send(miner, other.address, 1)], recipient=other.address)
    return chain, params


def _transaction(transaction: Transaction, params: NetworkParams) -> dict[str, str]:
    unsigned = builders.transaction_body(
        transaction.public_key,
        transaction.sequence,
        transaction.recipient,
        transaction.amount,
        transaction.fee,
        transaction.timestamp,
        transaction.data,
    )
    network_id = _genesis_hash(params)
    message = b"cairn:tx:v1" + network_id + unsigned
    return {
        "network_id": network_id.hex(),
        "private_key": f"{make_key(0).private_key:064x}",
        "public_key": transaction.public_key.hex(),
        "sequence": str(transaction.sequence),
        "recipient": transaction.recipient.hex(),
        "amount": str(transaction.amount),
        "fee": str(transaction.fee),
        "timestamp": str(transaction.timestamp),
        "data": transaction.data.hex(),
        "unsigned": unsigned.hex(),
        "signing_message": message.hex(),
        "signature": transaction.signature.hex(),
        "raw": (unsigned + transaction.signature).hex(),
        "id": _sha256d(message).hex(),
        "sender": _address(transaction.public_key).hex(),
    }


def _network(genesis: str) -> dict[str, str]:
    params = parse_genesis(genesis)
    raw = _genesis_bytes(params)
    return {
        "genesis_file": genesis,
        "commitment": _commitment(params).hex(),
        "genesis_block": raw.hex(),
        "network_id": _sha256d(raw[:96]).hex(),
    }


def _block(block: Block, params: NetworkParams) -> dict[str, object]:
    header, coinbase = block.header, block.coinbase
    raw_header = builders.header_bytes(header)
    return {
        "network_id": _genesis_hash(params).hex(),
        "header": {
            "version": str(header.version),
            "height": str(header.height),
            "previous_hash": header.previous_hash.hex(),
            "merkle_root": header.merkle_root.hex(),
            "timestamp": str(header.timestamp),
            "bits": f"{header.bits:08x}",
            "nonce": str(header.nonce),
            "raw": raw_header.hex(),
        },
        "coinbase": {
            "recipient": coinbase.recipient.hex(),
            "amount": str(coinbase.amount),
            "extra": coinbase.extra.hex(),
            "raw": builders.coinbase_bytes(coinbase).hex(),
        },
        "transactions": [transaction.raw.hex() for transaction in block.transactions],
        "hash": _sha256d(raw_header).hex(),
        "raw": builders.block_bytes(header, coinbase, block.transactions).hex(),
    }


def _commitment(params: NetworkParams) -> bytes:
    """Tag; each text behind its length; each integer and the count in 8 bytes; allocations."""
    parts = [b"cairn:genesis:v1"]
    for item in fields(params):
        value = getattr(params, item.name)
        if isinstance(value, str):
            parts.append(bytes([len(value)]) + value.encode())
        elif isinstance(value, int):
            parts.append(value.to_bytes(8, "big"))
    parts.append(len(params.allocations).to_bytes(8, "big"))
    for address, amount in sorted(params.allocations):
        parts.append(address + amount.to_bytes(8, "big"))
    return sha256(b"".join(parts)).digest()


def _genesis_bytes(params: NetworkParams) -> bytes:
    coinbase = Coinbase(bytes(20), 0, _commitment(params))
    root = builders.tree_root([builders.coinbase_bytes(coinbase)])
    header = Header(0, bytes(32), root, params.genesis_time, params.initial_target, 0)
    return builders.block_bytes(header, coinbase, [])


def _genesis_hash(params: NetworkParams) -> bytes:
    return _sha256d(_genesis_bytes(params)[:96])


def _path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 6962, 2.1.1: the audit path, by its recursive definition."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*_path(leaves[:split], index), builders.tree_root(leaves[split:])]
    return [*_path(leaves[split:], index - split), builders.tree_root(leaves[:split])]


def _address(public_key: bytes) -> bytes:
    return sha256(b"cairn:address:v1" + public_key).digest()[:20]


def _bech32m(prefix: str, address: bytes) -> str:
    """Bech32m by polynomial division over GF(32), as BIP-173 describes it."""
    number = int.from_bytes(address, "big")
    values = [number >> shift & 31 for shift in range(155, -1, -5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    remainder = 1
    for value in [*expanded, *values, 0, 0, 0, 0, 0, 0]:
        top, remainder = remainder >> 25, (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, polynomial in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            remainder ^= polynomial * (top >> bit & 1)
    checksum = remainder ^ 0x2BC830A3
    values += [checksum >> shift & 31 for shift in range(25, -1, -5)]
    return prefix + "1" + "".join(_CHARSET[value] for value in values)


def _sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


if __name__ == "__main__":
    main()
