"""What the pool asks of one transaction, whatever others wait: policy, not consensus."""

from cairn.chain.pool_entry import PoolPolicy
from cairn.chain.pool_sender import Sender
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import Account, check_spendable
from cairn.consensus.transaction import Transaction

MAX_WAITING_PER_SENDER = 64
MAX_HELD_PER_SENDER = 16
MAX_AHEAD = MAX_WAITING_PER_SENDER + MAX_HELD_PER_SENDER
"""Sequences past the next one that may be held for a gap."""
MAX_AGE_SECONDS = 86_400
MAX_AHEAD_SECONDS = 600
REPLACEMENT_PERCENT = 110


def check_form(transaction: Transaction, policy: PoolPolicy, largest: int, now: int) -> None:
    """The policy that needs no account. `largest`: bytes that a block has room for.

    Raises RuleError `pool-transaction-too-large`, `pool-timestamp` or `pool-fee-too-low`.
    """
    size = len(transaction.raw)
    check_size(transaction, largest)
    if not now - MAX_AGE_SECONDS <= transaction.timestamp <= now + MAX_AHEAD_SECONDS:
        raise RuleError(
            Rule.POOL_TIMESTAMP,
            f"timestamp {transaction.timestamp} is not within {MAX_AGE_SECONDS} s before"
            f" and {MAX_AHEAD_SECONDS} s after {now}",
            timestamp=transaction.timestamp,
            now=now,
        )
    least = size * policy.min_fee_per_byte
    if transaction.fee < least:
        raise RuleError(
            Rule.POOL_FEE_TOO_LOW,
            f"fee {transaction.fee} < {size} bytes x {policy.min_fee_per_byte}",
            fee=transaction.fee,
            minimum=least,
        )


def check_size(transaction: Transaction, largest: int) -> None:
    """Raises RuleError `pool-transaction-too-large`."""
    size = len(transaction.raw)
    if size > largest:
        raise RuleError(
            Rule.POOL_TRANSACTION_TOO_LARGE,
            f"transaction is {size} bytes, a block has room for {largest}",
            length=size,
            limit=largest,
        )


def check_reach(transaction: Transaction, account: Account) -> None:
    """What the confirmed account alone rules out.

    Raises RuleError `sequence-mismatch`, `pool-gap-too-wide` or `balance-insufficient`.
    """
    sequence, expected = transaction.sequence, account.next_sequence
    if sequence < expected:
        check_spendable(transaction, account)  # raises sequence-mismatch
    furthest = expected + MAX_AHEAD
    if sequence >= furthest:
        raise RuleError(
            Rule.POOL_GAP_TOO_WIDE,
            f"sequence {sequence} is too far ahead of {expected}: at most {furthest - 1}",
            sequence=sequence,
            expected=expected,
            limit=furthest - 1,
        )
    check_balance(transaction, account, waiting=0)


def check_replacement(transaction: Transaction, replaced: Transaction) -> None:
    """Raises RuleError `pool-replacement-fee-too-low`."""
    if transaction.fee * 100 < replaced.fee * REPLACEMENT_PERCENT or (
        transaction.fee <= replaced.fee
    ):
        raise RuleError(
            Rule.POOL_REPLACEMENT_FEE_TOO_LOW,
            f"fee {transaction.fee} < {REPLACEMENT_PERCENT} % of the {replaced.fee} that"
            f" {replaced.id.hex()} pays at the same sequence",
            fee=transaction.fee,
            replaced_fee=replaced.fee,
        )


def check_place(transaction: Transaction, sender: Sender) -> None:
    """Raises RuleError `pool-sender-full` or `pool-gap-too-wide`."""
    ready = sender.ready
    if ready >= MAX_WAITING_PER_SENDER:  # beyond a gap too: what fills it is refused
        raise RuleError(
            Rule.POOL_SENDER_FULL,
            f"{ready} of this sender wait, at most {MAX_WAITING_PER_SENDER}",
            waiting=ready,
            limit=MAX_WAITING_PER_SENDER,
        )
    sequence, expected, held = transaction.sequence, sender.first_gap, sender.held
    if sequence > expected and held >= MAX_HELD_PER_SENDER:
        raise RuleError(
            Rule.POOL_GAP_TOO_WIDE,
            f"sequence {sequence} comes before {expected} has;"
            f" {held} are held for gaps, at most {MAX_HELD_PER_SENDER}",
            sequence=sequence,
            expected=expected,
            held=held,
        )


def check_balance(transaction: Transaction, account: Account, waiting: int) -> None:
    """Raises RuleError `balance-insufficient`. `waiting`: what others of the sender spend."""
    if waiting + transaction.cost > account.balance:
        raise RuleError(
            Rule.BALANCE_INSUFFICIENT,
            f"amount {transaction.amount} + fee {transaction.fee} + {waiting} already waiting"
            f" > balance {account.balance}",
            amount=transaction.amount,
            fee=transaction.fee,
            waiting=waiting,
            balance=account.balance,
        )
