"""Checks of blocks and transactions, from the cheapest to the dearest.

*Sanity* needs the bytes alone, *context* the parent's header and the clock's reading;
`ledger.apply_block` then needs the state. Signatures come between, as they cost most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.consensus.block import Block, Header
from cairn.consensus.crypto import verify_signature
from cairn.consensus.encoding import U32_MAX, U64_MAX
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.merkle import merkle_root
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import asert_bits, check_proof_of_work
from cairn.consensus.transaction import Transaction

MEDIAN_TIME_BLOCKS = 11
MAX_FUTURE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ParentContext:
    """What a header is judged against: its parent, and the times of the blocks before it."""

    hash: bytes
    height: int
    timestamp: int
    recent_timestamps: tuple[int, ...]
    """Of the last 1 to 11 blocks up to and including the parent, oldest first."""

    @property
    def median_time(self) -> int:
        """The middle of the recent timestamps; the upper of two middles."""
        return sorted(self.recent_timestamps)[len(self.recent_timestamps) // 2]

    def extended_by(self, header: Header, block_hash: bytes) -> "ParentContext":
        """The context for a child of `header`, which is a child of this parent."""
        times = (*self.recent_timestamps, header.timestamp)[-MEDIAN_TIME_BLOCKS:]
        return ParentContext(block_hash, header.height, header.timestamp, times)


def genesis_context(params: NetworkParams) -> ParentContext:
    """The context for the block at height 1."""
    genesis = params.genesis_block()
    time = genesis.header.timestamp
    return ParentContext(genesis.hash, 0, time, (time,))


def next_bits(parent: ParentContext, params: NetworkParams) -> int:
    """The compact bits that a child of `parent` must carry (ASERT, anchored at genesis)."""
    return asert_bits(
        anchor_bits=params.initial_target,
        anchor_height=0,
        anchor_parent_time=params.genesis_time - params.target_interval_seconds,
        height=parent.height,
        time=parent.timestamp,
        target_interval=params.target_interval_seconds,
        half_life=params.half_life_seconds,
        limit_bits=params.target_limit,
    )


def check_header(
    header: Header, block_hash: bytes, parent: ParentContext, params: NetworkParams, now: int
) -> None:
    """Raises RuleError unless `header` may follow `parent` at time `now` (seconds).

    `timestamp-too-new` is checked last and alone depends on `now`: a header refused for it
    is sound otherwise, and may be offered again later.
    """
    if header.previous_hash != parent.hash:
        raise RuleError(
            Rule.PARENT_UNKNOWN,
            f"parent is {header.previous_hash.hex()}, expected {parent.hash.hex()}",
        )
    if header.height != parent.height + 1 or header.height > U32_MAX:
        raise RuleError(
            Rule.HEIGHT_MISMATCH,
            f"height {header.height} on a parent of height {parent.height}",
            height=header.height,
            parent_height=parent.height,
        )
    expected_bits = next_bits(parent, params)
    if header.bits != expected_bits:
        raise RuleError(
            Rule.BITS_MISMATCH,
            f"bits {header.bits:#010x}, the schedule asks {expected_bits:#010x}",
            bits=header.bits,
            expected=expected_bits,
        )
    check_proof_of_work(block_hash, header.bits)
    if header.timestamp <= parent.median_time:
        raise RuleError(
            Rule.TIMESTAMP_TOO_OLD,
            f"{header.timestamp} ≤ median {parent.median_time}",
            timestamp=header.timestamp,
            median=parent.median_time,
        )
    if header.timestamp > now + MAX_FUTURE_SECONDS:
        raise RuleError(
            Rule.TIMESTAMP_TOO_NEW,
            f"{header.timestamp} > now {now} + {MAX_FUTURE_SECONDS} s",
            timestamp=header.timestamp,
            now=now,
        )


def check_header_chain(
    headers: Sequence[Header], parent: ParentContext, params: NetworkParams, now: int
) -> ParentContext:
    """Checks headers that follow one another; the context after the last of them."""
    for header in headers:
        block_hash = header.hash()
        check_header(header, block_hash, parent, params, now)
        parent = parent.extended_by(header, block_hash)
    return parent


def check_block_sanity(block: Block, params: NetworkParams) -> None:
    """Raises RuleError when the block's body breaks a rule that needs no other block."""
    if len(block.raw) > params.max_block_bytes:
        raise RuleError(
            Rule.BLOCK_TOO_LARGE,
            f"block is {len(block.raw)} bytes, at most {params.max_block_bytes}",
            length=len(block.raw),
            limit=params.max_block_bytes,
        )
    root = merkle_root(block.leaves())
    if root != block.header.merkle_root:
        raise RuleError(
            Rule.MERKLE_ROOT_MISMATCH,
            f"header says {block.header.merkle_root.hex()}, the body gives {root.hex()}",
        )
    for transaction in block.transactions:
        check_transaction_sanity(transaction, params)


def check_transaction_sanity(transaction: Transaction, params: NetworkParams) -> None:
    """Raises RuleError when a transaction breaks a rule that needs no state or signature."""
    size = len(transaction.data)
    if size > params.max_data_bytes:
        raise RuleError(
            Rule.TRANSACTION_DATA_TOO_LARGE,
            f"data is {size} bytes, at most {params.max_data_bytes}",
            length=size,
            limit=params.max_data_bytes,
        )
    if transaction.amount == 0 and not transaction.data:
        raise RuleError(Rule.TRANSACTION_EMPTY, "amount is 0 and there is no data")
    if transaction.cost > U64_MAX:
        raise RuleError(
            Rule.AMOUNT_OVERFLOW,
            f"amount {transaction.amount} + fee {transaction.fee} > {U64_MAX}",
            amount=transaction.amount,
            fee=transaction.fee,
        )


def check_signature(transaction: Transaction, network_id: bytes) -> None:
    """Raises RuleError `signature-invalid` unless the sender signed exactly these bytes."""
    message = transaction.signing_message(network_id)
    if not verify_signature(transaction.public_key, message, transaction.signature):
        raise RuleError(
            Rule.SIGNATURE_INVALID,
            f"the signature of {transaction.id.hex()} is not its sender's (P-256, low s)",
        )
