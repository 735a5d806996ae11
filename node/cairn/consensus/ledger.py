"""What a block does to balances: applied forward when it connects, backward when it leaves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cairn.consensus.block import Block
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Account:
    """An account's state. An address never seen is `Account(0, 0)`."""

    balance: int
    """Base units, 0 … 2^63-1."""
    next_sequence: int
    """How many transactions it has sent; its next one carries this sequence."""


EMPTY_ACCOUNT = Account(0, 0)


def touched_addresses(block: Block) -> set[bytes]:
    """Every address whose account the block reads or changes."""
    touched = {block.coinbase.recipient}
    for transaction in block.transactions:
        touched.add(transaction.sender)
        touched.add(transaction.recipient)
    return touched


def genesis_accounts(params: NetworkParams) -> dict[bytes, Account]:
    """The accounts after block 0: the allocations."""
    return {address: Account(amount, 0) for address, amount in params.allocations}


def apply_block(
    accounts: Mapping[bytes, Account], block: Block, params: NetworkParams
) -> dict[bytes, Account]:
    """The new values of every account the block touches, given their values before it.

    `accounts` holds the touched addresses (absent ones are empty). Transactions apply in
    order, then the coinbase is paid: a block cannot spend its own reward.
    Raises RuleError `sequence-mismatch`, `balance-insufficient` or `coinbase-amount`.
    """
    state = dict(accounts)
    for transaction in block.transactions:
        apply_transaction(state, transaction)
    check_coinbase_amount(block, params)
    recipient = block.coinbase.recipient
    _credit(state, recipient, block.coinbase.amount)
    return {address: state[address] for address in touched_addresses(block)}


def revert_block(accounts: Mapping[bytes, Account], block: Block) -> dict[bytes, Account]:
    """The values before the block of every account it touches, given those after it.

    The exact inverse of `apply_block`: balances are sums and sequences are counts, so a
    block's effect is undone by the same numbers with their signs turned.
    """
    state = dict(accounts)
    _credit(state, block.coinbase.recipient, -block.coinbase.amount)
    for transaction in reversed(block.transactions):
        _credit(state, transaction.recipient, -transaction.amount)
        sender = state[transaction.sender]
        state[transaction.sender] = Account(
            sender.balance + transaction.cost, sender.next_sequence - 1
        )
    return {address: state[address] for address in touched_addresses(block)}


def apply_transaction(state: dict[bytes, Account], transaction: Transaction) -> None:
    """Moves the amount and takes the fee, in place. Raises RuleError, changing nothing."""
    sender = state.get(transaction.sender, EMPTY_ACCOUNT)
    check_spendable(transaction, sender)
    state[transaction.sender] = Account(sender.balance - transaction.cost, sender.next_sequence + 1)
    _credit(state, transaction.recipient, transaction.amount)


def check_spendable(transaction: Transaction, sender: Account) -> None:
    """Raises RuleError unless the sequence is next and the balance covers amount and fee."""
    if transaction.sequence != sender.next_sequence:
        raise RuleError(
            Rule.SEQUENCE_MISMATCH,
            f"sequence {transaction.sequence}, the account's next is {sender.next_sequence}",
            sequence=transaction.sequence,
            expected=sender.next_sequence,
        )
    if transaction.cost > sender.balance:
        raise RuleError(
            Rule.BALANCE_INSUFFICIENT,
            f"amount {transaction.amount} + fee {transaction.fee} > balance {sender.balance}",
            amount=transaction.amount,
            fee=transaction.fee,
            balance=sender.balance,
        )


def total_fees(transactions: Iterable[Transaction]) -> int:
    """The sum of fees, base units."""
    return sum(transaction.fee for transaction in transactions)


def check_coinbase_amount(block: Block, params: NetworkParams) -> None:
    """Raises RuleError `coinbase-amount` when the miner claims more than subsidy and fees."""
    subsidy = params.subsidy(block.header.height)
    fees = total_fees(block.transactions)
    if block.coinbase.amount > subsidy + fees:
        raise RuleError(
            Rule.COINBASE_AMOUNT,
            f"coinbase claims {block.coinbase.amount} > subsidy {subsidy} + fees {fees}",
            amount=block.coinbase.amount,
            subsidy=subsidy,
            fees=fees,
        )


def _credit(state: dict[bytes, Account], address: bytes, amount: int) -> None:
    account = state.get(address, EMPTY_ACCOUNT)
    state[address] = Account(account.balance + amount, account.next_sequence)
