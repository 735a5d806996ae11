"""Keys, transactions and mined blocks for tests.

Byte layouts, hashes and the merkle tree are written out here a second time, apart from
`cairn.consensus`, so that a mistake in the node's encoders cannot agree with itself. What
comes back are the node's own types, decoded from these bytes.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from hashlib import sha256

from cairn.consensus.block import Block, Coinbase, Header, build_block, decode_block
from cairn.consensus.crypto import CURVE_ORDER, encode_address
from cairn.consensus.ledger import Account, apply_block, genesis_accounts, touched_addresses
from cairn.consensus.params import REGTEST_GENESIS, NetworkParams, parse_genesis
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import ParentContext, genesis_context, next_bits
from cairn.wallet import AccountKey

COIN = 10**8
NOBODY = bytes(20)
"""An address nobody holds the key of."""
_UNLIMITED = 2**32


@cache
def make_key(number: int) -> AccountKey:
    """The same key for the same number, in every run."""
    seed = sha256(b"cairn test key" + number.to_bytes(8, "big")).digest()
    return AccountKey(int.from_bytes(seed, "big") % (CURVE_ORDER - 1) + 1)


def make_params(
    allocations: Mapping[bytes, int] | None = None, **overrides: object
) -> NetworkParams:
    """A network as easy as regtest, with these allocations (address to base units).

    `overrides` are fields of NetworkParams. By default keys 0 to 9 hold 1,000 coins each.
    """
    if allocations is None:
        allocations = {make_key(number).address: 1_000 * COIN for number in range(10)}
    values = {"allocations": tuple(sorted(allocations.items())), **overrides}
    return replace(parse_genesis(REGTEST_GENESIS), **values)


def genesis_text(params: NetworkParams) -> str:
    """The genesis file (TOML) that defines `params`."""
    lines = [
        f"{item.name} = {_toml_value(getattr(params, item.name))}"
        for item in fields(params)
        if item.name != "allocations"
    ]
    lines.append("[allocations]")
    for address, amount in params.allocations:
        lines.append(f'"{encode_address(params.address_prefix, address)}" = {amount}')
    return "\n".join(lines) + "\n"


def make_transaction(
    key: AccountKey,
    params: NetworkParams,
    sequence: int,
    recipient: bytes,
    amount: int,
    fee: int,
    data: bytes = b"",
    timestamp: int = 1_700_000_000,
) -> Transaction:
    """A signed transaction; nothing about it is checked."""
    network_id = params.network_id()
    body = transaction_body(key.public_key, sequence, recipient, amount, fee, timestamp, data)
    signature = key.sign(b"cairn:tx:v1" + network_id + body)
    return decode_transaction(body + signature, network_id)


def transaction_body(
    public_key: bytes,
    sequence: int,
    recipient: bytes,
    amount: int,
    fee: int,
    timestamp: int,
    data: bytes,
    version: int = 1,
) -> bytes:
    """All bytes of a transaction before its signature."""
    numbers = struct.pack(">QQQH", amount, fee, timestamp, len(data))
    head = bytes([version]) + public_key + struct.pack(">Q", sequence)
    return head + recipient + numbers + data


def mine_block(
    params: NetworkParams,
    parent: ParentContext,
    transactions: Sequence[Transaction] = (),
    recipient: bytes = NOBODY,
    timestamp: int | None = None,
    claim: int | None = None,
    extra: bytes = b"",
) -> Block:
    """A block on `parent` with work done. Its transactions are taken as they are.

    By default it comes one interval after its parent and claims all it may. Another `extra`
    makes another block of otherwise the same content.
    """
    if timestamp is None:
        due = parent.timestamp + params.target_interval_seconds
        timestamp = max(due, parent.median_time + 1)
    height = parent.height + 1
    if claim is None:
        claim = params.subsidy(height) + sum(item.fee for item in transactions)
    coinbase = Coinbase(recipient, claim, extra)
    root = _tree_root(coinbase, transactions)
    header = Header(height, parent.hash, root, timestamp, next_bits(parent, params), 0)
    return _assemble(mine_header(header), coinbase, transactions, params)


def altered_block(
    block: Block,
    params: NetworkParams,
    coinbase: Coinbase | None = None,
    transactions: Iterable[Transaction] | None = None,
    mined: bool = True,
    **header_fields: object,
) -> Block:
    """`block` with other parts, its merkle root and work made to fit again.

    A `merkle_root` among `header_fields` is kept as given; `mined=False` keeps the nonce,
    whatever the hash.
    """
    coinbase = coinbase or block.coinbase
    transactions = block.transactions if transactions is None else tuple(transactions)
    header_fields.setdefault("merkle_root", _tree_root(coinbase, transactions))
    header = replace(block.header, **header_fields)
    return _assemble(mine_header(header) if mined else header, coinbase, transactions, params)


def mine_header(header: Header, *, met: bool = True) -> Header:
    """The header with the first nonce whose hash meets its bits (or, not `met`, misses them)."""
    exponent, mantissa = header.bits >> 24, header.bits & 0x7FFFFF
    target = mantissa << 8 * (exponent - 3)
    if target < 2**240:
        raise ValueError(f"bits {header.bits:#010x} ask more work than a test should do")
    for nonce in range(2**32):
        candidate = replace(header, nonce=nonce)
        if (int.from_bytes(_sha256d(header_bytes(candidate)), "big") <= target) == met:
            return candidate
    raise AssertionError("unreachable: half of all hashes meet a test's target")


def header_bytes(header: Header, reserved: int = 0) -> bytes:
    """The 96 bytes of a header."""
    return (
        struct.pack(">II", header.version, header.height)
        + header.previous_hash
        + header.merkle_root
        + struct.pack(">QIIQ", header.timestamp, header.bits, reserved, header.nonce)
    )


def coinbase_bytes(coinbase: Coinbase) -> bytes:
    """Recipient, amount, length of extra, extra."""
    amount = struct.pack(">QB", coinbase.amount, len(coinbase.extra))
    return coinbase.recipient + amount + coinbase.extra


def block_bytes(header: Header, coinbase: Coinbase, transactions: Sequence[Transaction]) -> bytes:
    """A whole block's bytes."""
    count = struct.pack(">I", len(transactions))
    body = b"".join(item.raw for item in transactions)
    return header_bytes(header) + coinbase_bytes(coinbase) + count + body


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962's recursive definition of the root over full leaves, with SHA-256d."""
    if len(leaves) == 1:
        return _sha256d(b"\x00" + leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return _sha256d(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:]))


@dataclass(slots=True)
class ChainBuilder:
    """A valid chain growing in memory, with the accounts at its tip."""

    params: NetworkParams = field(default_factory=make_params)
    blocks: list[Block] = field(default_factory=list)
    """Heights 1 to the tip."""
    parents: list[ParentContext] = field(default_factory=list)
    """The context for a child of each height, from 0."""
    accounts: dict[bytes, Account] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parents:
            self.parents.append(genesis_context(self.params))
            self.accounts = genesis_accounts(self.params)

    @property
    def parent(self) -> ParentContext:
        """The context for the next block."""
        return self.parents[-1]

    def mine(
        self,
        transactions: Sequence[Transaction] = (),
        recipient: bytes = NOBODY,
        timestamp: int | None = None,
        claim: int | None = None,
        extra: bytes = b"",
    ) -> Block:
        """Mines a block on the tip and applies it. Raises RuleError where it is invalid."""
        block = mine_block(
            self.params, self.parent, transactions, recipient, timestamp, claim, extra
        )
        before = {
            address: self.accounts[address]
            for address in touched_addresses(block)
            if address in self.accounts
        }
        self.accounts.update(apply_block(before, block, self.params))
        self.parents.append(self.parent.extended_by(block.header, block.hash))
        self.blocks.append(block)
        return block

    def send(
        self, key: AccountKey, recipient: bytes, amount: int, fee: int = 1_000, data: bytes = b""
    ) -> Transaction:
        """A transaction with the account's next sequence at the tip; it is not mined yet."""
        account = self.accounts.get(key.address, Account(0, 0))
        return make_transaction(
            key, self.params, account.next_sequence, recipient, amount, fee, data
        )

    def fork(self, height: int) -> "ChainBuilder":
        """Another chain that shares this one's blocks up to `height`."""
        branch = ChainBuilder(self.params)
        for block in self.blocks[:height]:
            before = {
                address: branch.accounts.get(address, Account(0, 0))
                for address in touched_addresses(block)
            }
            branch.accounts.update(apply_block(before, block, self.params))
        branch.blocks = self.blocks[:height]
        branch.parents = self.parents[: height + 1]
        return branch


def _assemble(
    header: Header, coinbase: Coinbase, transactions: Sequence[Transaction], params: NetworkParams
) -> Block:
    raw = block_bytes(header, coinbase, transactions)
    if header.version != 1 or len(coinbase.extra) > 64:  # bytes the node refuses to decode
        return build_block(header, coinbase, transactions)
    return decode_block(raw, params.network_id(), _UNLIMITED)


def _tree_root(coinbase: Coinbase, transactions: Sequence[Transaction]) -> bytes:
    return tree_root([coinbase_bytes(coinbase), *(item.raw for item in transactions)])


def _sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def _toml_value(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
