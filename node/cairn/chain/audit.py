"""The doctor: what the stored blocks say the state must be, against the state that is stored.

Block bytes are the truth. Accounts, the index of mined transactions, block statuses and the
columns that repeat what bytes say are derived, and compared row by row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from cairn.chain.audit_pool import PoolCheck
from cairn.chain.audit_store import AuditStore, IndexRow
from cairn.chain.branches import Branch, Replay
from cairn.chain.findings import DEFAULT_LISTED, Findings, Kind, shown
from cairn.chain.replay import OnProgress, Replayer, blocks_of, status_name
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.crypto import encode_address
from cairn.consensus.ledger import Account
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction

_INDEX_FIELDS = ("id", "sender", "recipient", "amount", "fee", "raw")


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How thorough an audit is."""

    max_reorg_blocks: int = 100
    """As the node's policy has it: a branch that forks deeper is not followed, by intent."""
    listed_per_kind: int = DEFAULT_LISTED
    fast: bool = False
    """Believe the signatures of blocks marked ACTIVE: by far the most of the time."""
    threads: int = 2


DEFAULT_OPTIONS = AuditOptions()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was looked at, and what differs."""

    findings: Findings
    blocks: int
    height: int
    """Of the tip that follows from the blocks; -1 when there are none."""
    tip: bytes
    transactions: int
    accounts: int
    """Compared; 0 when the state could not be compared."""
    waiting: int
    """Pool rows looked at."""
    is_state_compared: bool
    refused_branch: bytes
    """Tip of a heavier branch that policy keeps the node from following; empty when none."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return self.findings.total == 0


def audit(
    store: AuditStore,
    params: NetworkParams,
    options: AuditOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress = lambda what, done, total: None,
) -> AuditReport:
    """Replays all stored blocks and compares."""
    findings = Findings(options.listed_per_kind)
    checker = SignatureChecker(params.network_id(), options.threads, remembered=4_096)
    try:
        check_network(store, params, findings)
        replay = Replayer(store, params, findings, checker, on_progress, fast=options.fast).run()
        expected, refused = expected_tip(replay, options.max_reorg_blocks)
        path = replay.path(expected) if expected else []
        compare_statuses(store, replay, path, findings)
        index = _IndexComparison(store.index_rows(), findings)
        for blocks in blocks_of(store, path, params, params.network_id()):
            for block in blocks:
                index.compare(block)
            on_progress("Comparing", blocks[-1].header.height + 1, len(path))
        if replay.is_state_known:
            index.finish()
        accounts = 0
        if replay.is_state_known and expected is not None:
            accounts = compare_accounts(store, replay.accounts_at(expected), params, findings)
        waiting = PoolCheck(store, params, replay, expected, findings, checker).run()
    finally:
        checker.close()
    return AuditReport(
        findings=findings,
        blocks=replay.blocks,
        height=expected.height if expected else -1,
        tip=expected.context.hash if expected else b"",
        transactions=expected.chain_transactions if expected else 0,
        accounts=accounts,
        waiting=waiting,
        is_state_compared=replay.is_state_known,
        refused_branch=refused,
    )


def check_network(store: AuditStore, params: NetworkParams, findings: Findings) -> None:
    """Notes a database of another network; one that says none is new, or lost its word."""
    stored = store.network_id()
    wanted = params.network_id()
    if stored != wanted and (stored is not None or store.block_count()):
        named = stored.hex() if stored else "none"
        findings.add(Kind.NETWORK, "network id", named, wanted.hex())


def expected_tip(replay: Replay, max_reorg_blocks: int) -> tuple[Branch | None, bytes]:
    """The branch the node should follow, and the tip of a heavier one that policy refuses."""
    best, active = replay.best, replay.best_active
    if best is None or active is None:
        return best, b""
    if active.height - best.active_height > max_reorg_blocks:
        return active, best.context.hash
    return best, b""


def compare_statuses(
    store: AuditStore, replay: Replay, path: Sequence[bytes], findings: Findings
) -> None:
    """Notes blocks of the expected chain that are not marked ACTIVE, and others that are."""
    unfit = replay.unreadable | replay.unreachable | replay.invalid
    for row in store.blocks():
        where = f"block {row.height} ({row.hash.hex()[:16]}…)"
        on_path = row.height < len(path) and path[row.height] == row.hash
        if on_path and row.status == BlockStatus.STORED:
            findings.add(Kind.BLOCK_STATUS, where, "stored", "active: it is in the chain")
        elif not on_path and row.status == BlockStatus.ACTIVE and row.hash not in unfit:
            findings.add(Kind.CHAIN_TIP, where, status_name(row.status), "not in the chain")


def compare_accounts(
    store: AuditStore,
    expected: Iterable[tuple[bytes, Account]],
    params: NetworkParams,
    findings: Findings,
) -> int:
    """Compares accounts, both sorted by address; returns how many are right."""
    stored_rows, right = iter(store.accounts()), 0
    stored = next(stored_rows, None)
    for address, account in expected:
        while stored is not None and stored[0] < address:
            _note_extra_account(stored, params, findings)
            stored = next(stored_rows, None)
        name = encode_address(params.address_prefix, address)
        if stored is None or stored[0] != address:
            findings.add(Kind.ACCOUNT_MISSING, name, "no account", _account_text(account))
            continue
        if stored[1] != account:
            text = _account_text(stored[1])
            findings.add(Kind.ACCOUNT_DIFFERENT, name, text, _account_text(account))
        else:
            right += 1
        stored = next(stored_rows, None)
    while stored is not None:
        _note_extra_account(stored, params, findings)
        stored = next(stored_rows, None)
    return right


def _note_extra_account(
    stored: tuple[bytes, Account], params: NetworkParams, findings: Findings
) -> None:
    name = encode_address(params.address_prefix, stored[0])
    findings.add(Kind.ACCOUNT_EXTRA, name, _account_text(stored[1]), "no account")


def _account_text(account: Account) -> str:
    return f"balance {account.balance}, next sequence {account.next_sequence}"


class _IndexComparison:
    """Walks the index beside the blocks, both by height."""

    def __init__(self, rows: Iterator[IndexRow], findings: Findings) -> None:
        self._groups = groupby(rows, key=lambda row: row.height)
        self._findings = findings
        self._height = -1
        self._rows: list[IndexRow] = []
        self._advance()

    def compare(self, block: Block) -> None:
        """Compares the index at this block's height; blocks come by height."""
        height = block.header.height
        while self._rows and self._height < height:
            self._note_extra()
        found = {row.position: row for row in self._rows} if self._height == height else {}
        if found:
            self._advance()
        for position, transaction in enumerate(block.transactions):
            row = found.pop(position, None)
            where = f"transaction {transaction.id.hex()} at block {height}, position {position}"
            if row is None:
                self._findings.add(Kind.INDEX_MISSING, where, "no row", "a row")
                continue
            for name in _INDEX_FIELDS:
                self._compare_field(where, row, transaction, name)
        for row in found.values():
            self._note_row(row)

    def finish(self) -> None:
        """Notes what the index has above the last block."""
        while self._rows:
            self._note_extra()

    def _compare_field(
        self, where: str, row: IndexRow, transaction: Transaction, name: str
    ) -> None:
        stored, expected = getattr(row, name), getattr(transaction, name)
        if stored != expected:
            self._findings.add(
                Kind.INDEX_DIFFERENT, f"{where}, {name}", shown(stored), shown(expected)
            )

    def _note_extra(self) -> None:
        for row in self._rows:
            self._note_row(row)
        self._advance()

    def _note_row(self, row: IndexRow) -> None:
        where = f"transaction {row.id.hex()} at block {row.height}, position {row.position}"
        self._findings.add(Kind.INDEX_EXTRA, where, "a row", "no row")

    def _advance(self) -> None:
        height, rows = next(self._groups, (-1, iter(())))
        self._height, self._rows = height, list(rows)
