"""The doctor's look at the pool: what waits must be able to be mined."""

from cairn.chain.audit_store import AuditStore, StoredPoolRow
from cairn.chain.branches import Branch, Replay
from cairn.chain.findings import Findings, Kind, shown
from cairn.chain.pool import fee_rate
from cairn.chain.signatures import SignatureChecker
from cairn.consensus.encoding import U64_MAX
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import EMPTY_ACCOUNT
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction, decode_transaction

_POOL_FIELDS = ("id", "sender", "recipient", "sequence", "amount", "fee")
_POOL_BATCH = 256


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
                decoded.append((row, decode_transaction(row.raw, self._network_id)))
            except RuleError as error:
                self._drop(row, str(error), "a transaction's bytes")
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
        """Sequences not used up, and a balance for all that a sender has waiting."""
        spent: dict[bytes, int] = {}
        self.sound.sort(key=lambda item: (item[1].sender, item[1].sequence))
        kept = []
        for row, transaction in self.sound:
            account = EMPTY_ACCOUNT
            if self._tip is not None:
                account = self._replay.account_at(self._tip, transaction.sender)
            if transaction.sequence < account.next_sequence:
                expected = f"{account.next_sequence} or more"
                self._drop(row, f"sequence {transaction.sequence}", expected)
                continue
            total = spent.get(transaction.sender, 0) + transaction.cost
            spent[transaction.sender] = min(total, U64_MAX)
            if total > account.balance:
                stored = f"{total} to be spent with those before it"
                self._drop(row, stored, f"at most the balance {account.balance}")
                continue
            kept.append((row, transaction))
        self.sound = kept

    def _drop(self, row: StoredPoolRow, stored: str, expected: str) -> None:
        self.unfit.add(row.id)
        self._findings.add(Kind.POOL, f"waiting transaction {row.id.hex()}", stored, expected)


def pool_columns(transaction: Transaction) -> dict[str, int | bytes]:
    """What the columns of a waiting transaction repeat of its bytes, by `StoredPoolRow` field."""
    columns = {name: getattr(transaction, name) for name in _POOL_FIELDS}
    size = len(transaction.raw)
    return {**columns, "size_bytes": size, "fee_rate": fee_rate(transaction.fee, size)}
