"""Replays every stored block from genesis, side branches included, checking all rules anew.

Blocks come by height, so what must be remembered is one height's worth: the state of each
branch that ends there. One branch, the main one, owns the accounts; the others hold only
what differs from it, and keep the old value of whatever the main branch changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from cairn.chain.audit_store import AuditStore, StoredBlock
from cairn.chain.branches import Branch, Replay
from cairn.chain.findings import Findings, Kind, shown
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block, decode_block, decode_header
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.ledger import (
    EMPTY_ACCOUNT,
    Account,
    apply_block,
    genesis_accounts,
    total_fees,
    touched_addresses,
)
from cairn.consensus.merkle import merkle_root
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.validation import (
    check_block_sanity,
    check_header,
    genesis_context,
)

WINDOW_BYTES = 8 * 1024 * 1024
WINDOW_BLOCKS = 256
"""Blocks are read and their signatures checked in windows of about these (or one height)."""
PATH_BATCH_BLOCKS = 16
MAX_COLUMN = 2**63 - 1
"""A database's largest integer; what a block claims beyond it is stored as this."""
_ANY_TIME = 2**63
"""A stored block was judged by the clock when it came; that is not judged again."""

OnProgress = Callable[[str, int, int], None]
"""Told what is being done, how many blocks of it are done, and of how many."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A stored block with its bytes decoded; None and why where they are damaged."""

    row: StoredBlock
    block: Block | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A valid block, its parent's branch (None for genesis) and the accounts it changes."""

    row: StoredBlock
    block: Block
    parent: Branch | None
    changed: dict[bytes, Account]

    @property
    def preference(self) -> tuple[bool, int]:
        """Orders candidates for the main branch."""
        return self.row.status == BlockStatus.ACTIVE, -self.row.received_at


class Replayer:
    """One replay over a store. `fast` believes the signatures of blocks marked ACTIVE."""

    def __init__(
        self,
        store: AuditStore,
        params: NetworkParams,
        findings: Findings,
        signatures: SignatureChecker,
        on_progress: OnProgress,
        *,
        fast: bool,
    ) -> None:
        self._store = store
        self._params = params
        self._genesis = params.genesis_block()
        self._findings = findings
        self._signatures = signatures
        self._fast = fast
        self._on_progress = on_progress
        self._result = Replay(genesis_accounts(params))
        self._branches: dict[bytes, Branch] = {}
        """Valid branches that end at the height before the one being replayed."""

    def run(self) -> Replay:
        """Replays all blocks."""
        total = self._store.block_count()
        for window in self._windows():
            raws = self._load_bytes(window)
            heights = [[self._read(row, raws) for row in rows] for rows in window]
            faults = self._signature_faults(heights)
            for reads in heights:
                self._replay_height(reads, faults)
            self._on_progress("Replaying", self._result.blocks, total)
        return self._result

    # -- reading -------------------------------------------------------------------------------

    def _windows(self) -> Iterator[list[list[StoredBlock]]]:
        """Rows of whole heights, as many as a window holds."""
        window: list[list[StoredBlock]] = []
        size = count = 0
        for _, group in groupby(self._store.blocks(), key=lambda row: row.height):
            rows = list(group)
            window.append(rows)
            size += sum(row.raw_length for row in rows)
            count += len(rows)
            if size >= WINDOW_BYTES or count >= WINDOW_BLOCKS:
                yield window
                window, size, count = [], 0, 0
        if window:
            yield window

    def _load_bytes(self, window: Sequence[Sequence[StoredBlock]]) -> dict[bytes, bytes]:
        limit = self._params.max_block_bytes  # what is longer is damaged, whatever it holds
        wanted = [row.hash for rows in window for row in rows if row.raw_length <= limit]
        return self._store.block_bytes(wanted)

    def _read(self, row: StoredBlock, raws: Mapping[bytes, bytes]) -> _Read:
        try:
            raw = raws.get(row.hash, b"")
            return _Read(row, read_block(row.hash, raw, self._params, self._genesis.hash))
        except RuleError as error:
            return _Read(row, None, str(error))

    def _signature_faults(self, heights: Sequence[Sequence[_Read]]) -> dict[bytes, RuleError]:
        """The first bad signature of each block that has one, by block hash."""
        blocks = [
            read.block
            for reads in heights
            for read in reads
            if read.block and not (self._fast and read.row.status == BlockStatus.ACTIVE)
        ]
        transactions = [transaction for block in blocks for transaction in block.transactions]
        results = iter(self._signatures.faults(transactions))
        found: dict[bytes, RuleError] = {}
        for block in blocks:
            for _ in block.transactions:
                fault = next(results)
                if fault is not None:
                    found.setdefault(block.hash, fault)
        return found

    # -- replaying -----------------------------------------------------------------------------

    def _replay_height(self, reads: Sequence[_Read], faults: Mapping[bytes, RuleError]) -> None:
        """Replays all blocks of one height."""
        self._result.blocks += len(reads)
        judged = [self._judge(read, faults) for read in reads]
        sound = [item for item in judged if item is not None]
        heirs = [item for item in sound if item.parent is None or item.parent.is_main]
        main = max(heirs, key=lambda item: item.preference, default=None)
        reached = {item.row.hash: self._side_branch(item) for item in sound if item is not main}
        if main is not None:
            reached[main.row.hash] = self._advance_main(main, reached.values())
        self._branches = reached
        for branch in reached.values():
            self._note_best(branch)

    def _judge(self, read: _Read, faults: Mapping[bytes, RuleError]) -> _Judged | None:
        """Checks one block against everything; None, with a finding, when it cannot stand."""
        row, block, result = read.row, read.block, self._result
        if block is None:
            self._give_up(row, Kind.BLOCK_BYTES, result.unreadable, read.fault)
            return None
        previous_hash = block.header.previous_hash
        parent = self._branches.get(previous_hash)
        is_genesis = block.hash == self._genesis.hash
        if parent is None and not is_genesis:
            if previous_hash in result.invalid:
                self._reject(row, RuleError(Rule.PARENT_INVALID, "its parent is invalid"))
                return None
            reason = f"its parent {previous_hash.hex()} is missing or damaged"
            self._give_up(row, Kind.BLOCK_UNREACHABLE, result.unreachable, reason)
            return None
        self._check_columns(row, block, parent)
        try:
            changed = self._check_rules(block, None if is_genesis else parent, faults)
        except RuleError as error:
            self._reject(row, error)
            return None
        if row.status not in (BlockStatus.STORED, BlockStatus.ACTIVE):
            self._findings.add(
                Kind.BLOCK_STATUS, _name(row), status_name(row.status), "not invalid: it is sound"
            )
        return _Judged(row, block, None if is_genesis else parent, changed)

    def _check_rules(
        self, block: Block, parent: Branch | None, faults: Mapping[bytes, RuleError]
    ) -> dict[bytes, Account]:
        if parent is None:
            return {}
        check_header(block.header, block.hash, parent.context, self._params, _ANY_TIME)
        check_block_sanity(block, self._params)
        if block.hash in faults:
            raise faults[block.hash]
        before = {
            address: self._result.account_at(parent, address)
            for address in touched_addresses(block)
        }
        return apply_block(before, block, self._params)

    def _check_columns(self, row: StoredBlock, block: Block, parent: Branch | None) -> None:
        for column, expected in block_columns(block).items():
            stored = getattr(row, column)
            if stored != expected:
                where = f"{_name(row)}, column {column}"
                self._findings.add(Kind.BLOCK_COLUMN, where, shown(stored), shown(expected))
        sums = _sums(block, parent)
        stored_sums = row.chain_work, row.chain_transactions
        if stored_sums != sums:
            self._result.wrong_sums[row.hash] = sums
            where = f"{_name(row)}, columns chain_work, chain_transactions"
            self._findings.add(Kind.BLOCK_COLUMN, where, stored_sums, sums)

    def _give_up(self, row: StoredBlock, kind: Kind, kept: set[bytes], reason: str) -> None:
        """A block that cannot be judged: nor can what builds on it."""
        kept.add(row.hash)
        if row.status == BlockStatus.ACTIVE:
            self._result.is_state_known = False
        self._findings.add(kind, _name(row), reason, "the block's own bytes, back to genesis")

    def _reject(self, row: StoredBlock, error: RuleError) -> None:
        """A block that breaks a rule. That is worth a word only where the node follows it."""
        self._result.invalid.add(row.hash)
        if row.status == BlockStatus.ACTIVE:
            self._result.is_state_known = False
            self._findings.add(Kind.BLOCK_RULE, _name(row), str(error), "a valid block")

    # -- branches ------------------------------------------------------------------------------

    def _side_branch(self, judged: _Judged) -> Branch:
        parent = judged.parent
        if parent is None:
            raise AssertionError("unreachable: genesis has no rival of the same hash")
        branch = self._branch(judged, is_main=False)
        branch.fork_height = parent.fork_height
        branch.side = (*parent.side, judged.row.hash)
        branch.overlay = {**parent.overlay, **judged.changed}
        return branch

    def _advance_main(self, judged: _Judged, rivals: Iterable[Branch]) -> Branch:
        """Moves the accounts on, after the others have kept what it changes."""
        result = self._result
        branch = self._branch(judged, is_main=True)
        behind = [branch for branch in (result.best, result.best_active) if branch is not None]
        if result.best_active is judged.parent and judged.parent and not branch.is_active:
            judged.parent.is_main = False  # left behind: from here on it keeps its own values
        keepers = [kept for kept in (*rivals, *behind) if not kept.is_main]
        for address, account in judged.changed.items():
            old = result.accounts.get(address, EMPTY_ACCOUNT)
            for keeper in keepers:
                keeper.overlay.setdefault(address, old)
            result.accounts[address] = account
        result.main_hashes += judged.row.hash
        return branch

    def _branch(self, judged: _Judged, *, is_main: bool) -> Branch:
        parent, header = judged.parent, judged.block.header
        is_active = judged.row.status == BlockStatus.ACTIVE and (parent is None or parent.is_active)
        if parent is None:
            context = genesis_context(self._params)
        else:
            context = parent.context.extended_by(header, judged.row.hash)
        work, transactions = _sums(judged.block, parent)
        return Branch(
            context=context,
            chain_work=work,
            chain_transactions=transactions,
            is_main=is_main,
            fork_height=header.height,
            side=(),
            overlay={},
            is_active=is_active,
            active_height=header.height if is_active or parent is None else parent.active_height,
            received_at=judged.row.received_at,
        )

    def _note_best(self, branch: Branch) -> None:
        result = self._result
        if result.best is None or branch.preference > result.best.preference:
            result.best = branch
        if branch.is_active and (
            result.best_active is None or branch.preference > result.best_active.preference
        ):
            result.best_active = branch


def read_block(block_hash: bytes, raw: bytes, params: NetworkParams, network_id: bytes) -> Block:
    """The block these bytes are. Raises RuleError when they are not the block of this hash."""
    found = decode_header(raw[:96]).hash()
    if found != block_hash:
        raise RuleError(Rule.BLOCK_INVALID, f"its bytes hash to {found.hex()}")
    block = decode_block(raw, network_id, params.max_block_bytes)
    root = merkle_root(block.leaves())
    if root != block.header.merkle_root:
        raise RuleError(Rule.MERKLE_ROOT_MISMATCH, f"its body has the merkle root {root.hex()}")
    return block


def blocks_of(
    store: AuditStore, path: Sequence[bytes], params: NetworkParams, network_id: bytes
) -> Iterator[list[Block]]:
    """The blocks of a replayed path again, in batches, in order."""
    for start in range(0, len(path), PATH_BATCH_BLOCKS):
        hashes = path[start : start + PATH_BATCH_BLOCKS]
        raws = store.block_bytes(hashes)
        yield [read_block(name, raws[name], params, network_id) for name in hashes]


def block_columns(block: Block) -> dict[str, int | bytes]:
    """What the columns of a stored block repeat of its bytes, by `StoredBlock` field."""
    return {
        "height": block.header.height,
        "previous_hash": block.header.previous_hash,
        "header": block.header.encode(),
        "transaction_count": len(block.transactions),
        "size_bytes": len(block.raw),
        "fees": min(total_fees(block.transactions), MAX_COLUMN),
        "coinbase_recipient": block.coinbase.recipient,
        "coinbase_amount": min(block.coinbase.amount, MAX_COLUMN),
        "coinbase_extra": block.coinbase.extra,
    }


def _sums(block: Block, parent: Branch | None) -> tuple[int, int]:
    """Work and transactions of the chain up to `block`."""
    work, transactions = (parent.chain_work, parent.chain_transactions) if parent else (0, 0)
    return work + work_of(block.header.bits), transactions + len(block.transactions)


def status_name(status: int) -> str:
    """A status for people, known or not."""
    return BlockStatus(status).name.lower() if status in set(BlockStatus) else f"status {status}"


def _name(row: StoredBlock) -> str:
    return f"block {row.height} ({row.hash.hex()[:16]}…)"
