"""The doctor's look at the pool: what waits must be able to be mined."""

from itertools import groupby

from cairn.chain.audit_store import AuditStore, StoredPoolRow
from cairn.chain.branches import Branch, Replay
from cairn.chain.findings import Findings, Kind, shown
from cairn.chain.pool_entry import fee_rate
from cairn.chain.pool_rules import MAX_AHEAD
from cairn.chain.signatures import SignatureChecker
from cairn.consensus.encoding import U64_MAX
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import check_transaction_sanity

_POOL_FIELDS = ("id", "sender", "recipient", "sequence", "amount", "fee")
_POOL_BATCH = 256

_Item = tuple[StoredPoolRow, Transaction]


class PoolCheck:
    """Checks every waiting transaction against its bytes, the chain and its sender's account."""

    def __init__(
        self,
        store: AuditStore,
        params: NetworkParams,
        replay: Replay,
        tip: Branch | None,
        findings: Findings,
        signatures: SignatureChecker,
    ) -> None:
        self._store = store
        self._params = params
        self._network_id = params.network_id()
        self._replay = replay
        self._tip = tip
        self._findings = findings
        self._signatures = signatures
        self.unfit: set[bytes] = set()
        """Row ids that must go."""
        self.sound: list[tuple[StoredPoolRow, Transaction]] = []
        """Rows whose bytes are good and can be mined, with damaged columns or not."""

    def run(self) -> int:
        """Checks all; returns how many rows there are."""
        count = 0
        batch: list[StoredPoolRow] = []
        for row in self._store.pool():
            count += 1
            batch.append(row)
            if len(batch) == _POOL_BATCH:
                self._check_batch(batch)
                batch = []
        self._check_batch(batch)
        if self._replay.is_state_known:
            self._check_spendable()
        return count

    def _check_batch(self, rows: list[StoredPoolRow]) -> None:
        decoded: list[tuple[StoredPoolRow, Transaction]] = []
        for row in rows:
            try:
                transaction = decode_transaction(row.raw, self._network_id)
                check_transaction_sanity(transaction, self._params)
                decoded.append((row, transaction))
            except RuleError as error:
                self._drop(row, str(error), "the bytes of a transaction that keeps the rules")
        transactions = [transaction for _, transaction in decoded]
        mined = self._store.mined_ids({transaction.id for transaction in transactions})
        faults = self._signatures.faults(transactions)
        for (row, transaction), fault in zip(decoded, faults, strict=True):
            if fault is not None:
                self._drop(row, str(fault), "a valid signature")
            elif transaction.id in mined:
                self._drop(row, "waiting", "not waiting: it is mined")
            else:
                self._check_columns(row, transaction)
                self.sound.append((row, transaction))

    def _check_columns(self, row: StoredPoolRow, transaction: Transaction) -> None:
        for name, value in pool_columns(transaction).items():
            stored = getattr(row, name)
            if stored != value:
                where = f"waiting transaction {row.id.hex()}, {name}"
                self._findings.add(Kind.POOL, where, shown(stored), shown(value))

    def _check_spendable(self) -> None:
        """One for each sequence, none used up or far ahead, and a balance for all of a sender."""
        # Of two for one place the one whose row has its true id comes first.
        self.sound.sort(key=lambda item: (_place(item[1]), item[0].id != item[1].id))
        kept = []
        for _, rows in groupby(self.sound, key=lambda item: item[1].sender):
            kept += self._check_sender(list(rows))
        self.sound = kept

    def _check_sender(self, rows: list[_Item]) -> list[_Item]:
        account = EMPTY_ACCOUNT
        if self._tip is not None:
            account = self._replay.account_at(self._tip, rows[0][1].sender)
        first_gap, last, total = account.next_sequence, -1, 0
        kept = []
        for row, transaction in rows:
            sequence, name = transaction.sequence, f"sequence {transaction.sequence}"
            total = min(total + transaction.cost, U64_MAX)
            if sequence < account.next_sequence:
                self._drop(row, name, f"{account.next_sequence} or more")
                total -= transaction.cost
            elif sequence == last:
                self._drop(row, f"another of its sender with {name}", "one")
                total -= transaction.cost
            elif total > account.balance:
                stored = f"{total} to be spent with those before it"
                self._drop(row, stored, f"at most the balance {account.balance}")
            elif sequence >= first_gap + MAX_AHEAD:
                self._drop(row, f"{name}, {first_gap} missing", f"below {first_gap + MAX_AHEAD}")
            else:
                kept.append((row, transaction))
                last = sequence
                first_gap += sequence == first_gap
        return kept

    def _drop(self, row: StoredPoolRow, stored: str, expected: str) -> None:
        self.unfit.add(row.id)
        self._findings.add(Kind.POOL, f"waiting transaction {row.id.hex()}", stored, expected)


def _place(transaction: Transaction) -> tuple[bytes, int]:
    return transaction.sender, transaction.sequence


def pool_columns(transaction: Transaction) -> dict[str, int | bytes]:
    """What the columns of a waiting transaction repeat of its bytes, by `StoredPoolRow` field."""
    columns = {name: getattr(transaction, name) for name in _POOL_FIELDS}
    size = len(transaction.raw)
    return {**columns, "size_bytes": size, "fee_rate": fee_rate(transaction.fee, size)}
