"""A block that waits for its nonce: what a miner works on."""

from dataclasses import dataclass

from cairn.chain.blockchain import Blockchain
from cairn.chain.pool import BLOCK_OVERHEAD_BYTES
from cairn.chain.store import LedgerDamagedError
from cairn.consensus.block import Block, Coinbase, Header, build_block, build_header
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import total_fees
from cairn.consensus.transaction import Transaction
from cairn.consensus.validation import MAX_FUTURE_SECONDS, next_bits


@dataclass(frozen=True, slots=True)
class BlockTemplate:
    """The parts of a valid block, but for its nonce."""

    header: Header
    coinbase: Coinbase
    transactions: tuple[Transaction, ...]

    def solved(self, nonce: int) -> Block:
        """The block with this nonce (u64); whether it meets the target is for others."""
        header = Header(
            self.header.height,
            self.header.previous_hash,
            self.header.merkle_root,
            self.header.timestamp,
            self.header.bits,
            nonce,
        )
        return build_block(header, self.coinbase, self.transactions)


def build_template(
    chain: Blockchain, recipient: bytes, now: int, extra: bytes = b""
) -> BlockTemplate:
    """A block on the present tip that pays `recipient` (20 bytes) subsidy and fees.

    Takes the waiting transactions that pay best per byte. The timestamp is `now`, or one
    second past the median of the last blocks where the clock lags behind it. Raises RuleError
    `timestamp-too-new` where it lags so far that no node would take the block yet.
    """
    parent = chain.context_of(chain.tip.hash)
    if parent is None:
        raise LedgerDamagedError("the tip is not stored")
    timestamp = max(now, parent.median_time + 1)
    if timestamp > now + MAX_FUTURE_SECONDS:
        raise RuleError(
            Rule.TIMESTAMP_TOO_NEW,
            f"the next block needs {timestamp} > now {now} + {MAX_FUTURE_SECONDS} s",
            timestamp=timestamp,
            now=now,
        )
    height = parent.height + 1
    room = chain.params.max_block_bytes - BLOCK_OVERHEAD_BYTES
    transactions = chain.minable(room)
    reward = chain.params.subsidy(height) + total_fees(transactions)
    coinbase = Coinbase(recipient, reward, extra)
    bits = next_bits(parent, chain.params)
    header = build_header(parent.hash, height, timestamp, bits, coinbase, transactions)
    return BlockTemplate(header, coinbase, transactions)
