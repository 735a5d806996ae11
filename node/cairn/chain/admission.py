"""Taking offered transactions into the pool: many at a time, in one database transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.chain.blockchain import Blockchain
from cairn.chain.pool import PoolChange
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import ChainStore
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import check_transaction_sanity


@dataclass(slots=True)
class Admission:
    """The fate of one offered transaction."""

    transaction: Transaction | None = None
    """None when the bytes were no transaction."""
    problem: RuleError | None = None
    """None when it was taken, and is durable."""


class Admitter:
    """Checks offered bytes from the cheapest rule to the dearest and keeps what passes.

    Not thread-safe: the writer alone calls it.
    """

    def __init__(self, store: ChainStore, chain: Blockchain, signatures: SignatureChecker) -> None:
        self._store = store
        self._chain = chain
        self._signatures = signatures

    def admit(self, offered: Sequence[bytes], now: int) -> list[Admission]:
        """One result for each, in order. What is taken is durable when this returns.

        Raises the store's error when the database fails; `Blockchain.reload` must follow.
        """
        admissions = [self._decode(raw, now) for raw in offered]
        self._check_accounts(admissions)
        self._check_signatures(admissions)
        hopeful = [entry for entry in admissions if entry.problem is None]
        if hopeful:
            self._take(hopeful, now)
        return admissions

    def expire(self, now: int) -> int:
        """Drops what has waited too long; how many that were."""
        change = self._chain.pool.expire(now)
        if change.removed:
            with self._store.transaction():
                self._store.change_pool((), change.removed)
        return len(change.removed)

    def _decode(self, raw: bytes, now: int) -> Admission:
        admission = Admission()
        try:
            admission.transaction = decode_transaction(raw, self._chain.network_id)
            check_transaction_sanity(admission.transaction, self._chain.params)
            self._chain.pool.check_form(admission.transaction, now)
        except RuleError as error:
            admission.problem = error
        return admission

    def _check_accounts(self, admissions: Sequence[Admission]) -> None:
        """Refuses what no signature could save: mined already, out of sequence, unaffordable."""
        hopeful = [entry for entry in admissions if entry.problem is None]
        transactions = [entry.transaction for entry in hopeful if entry.transaction is not None]
        accounts = self._chain.accounts_of({each.sender for each in transactions})
        mined = self._mined(transactions, accounts)
        for admission, transaction in zip(hopeful, transactions, strict=True):
            try:
                if transaction.id in mined:
                    raise RuleError(
                        Rule.POOL_ALREADY_MINED, f"{transaction.id.hex()} is in the chain already"
                    )
                self._chain.pool.check_account(transaction, accounts[transaction.sender])
            except RuleError as error:
                admission.problem = error

    def _check_signatures(self, admissions: Sequence[Admission]) -> None:
        waiting = [entry for entry in admissions if entry.problem is None]
        transactions = [entry.transaction for entry in waiting if entry.transaction is not None]
        for entry, fault in zip(waiting, self._signatures.faults(transactions), strict=True):
            entry.problem = fault

    def _take(self, admissions: Sequence[Admission], now: int) -> None:
        transactions = [entry.transaction for entry in admissions if entry.transaction is not None]
        accounts = self._chain.accounts_of({each.sender for each in transactions})
        change = PoolChange()
        for admission, transaction in zip(admissions, transactions, strict=True):
            try:
                self._chain.pool.admit(transaction, accounts[transaction.sender], now, change)
            except RuleError as error:
                admission.problem = error
        self._refuse_displaced(admissions, change)
        if change.added or change.removed:
            with self._store.transaction():
                self._store.change_pool(change.rows(), change.removed)

    def _refuse_displaced(self, admissions: Sequence[Admission], change: PoolChange) -> None:
        """What gave way to a later one of its batch never waits: nobody may be told it does."""
        for admission in admissions:
            transaction = admission.transaction
            if transaction is None or admission.problem or transaction.id in change.added:
                continue
            replaced = self._chain.pool.is_taken(transaction)
            admission.problem = RuleError(
                Rule.POOL_REPLACEMENT_FEE_TOO_LOW if replaced else Rule.POOL_FULL,
                f"{transaction.id.hex()} gave way to one that came with it and pays more",
                fee=transaction.fee,
            )

    def _mined(
        self, transactions: Sequence[Transaction], accounts: dict[bytes, Account]
    ) -> set[bytes]:
        """Which of those with a used sequence are in the chain: a repeat is no conflict."""
        used = [
            transaction.id
            for transaction in transactions
            if transaction.sequence < accounts[transaction.sender].next_sequence
        ]
        return self._store.mined_ids(used) if used else set()
