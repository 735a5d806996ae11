"""Rebuilds all derived state from the stored blocks, in one database transaction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from cairn.chain.audit import DEFAULT_OPTIONS, AuditOptions, expected_tip
from cairn.chain.audit_pool import PoolCheck, pool_columns
from cairn.chain.audit_store import RepairStore
from cairn.chain.branches import Branch, Replay
from cairn.chain.findings import Findings
from cairn.chain.replay import (
    OnProgress,
    Replayer,
    block_columns,
    blocks_of,
    read_block,
)
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockStatus
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams

Item = TypeVar("Item")

_BATCH_BLOCKS = 64


class WrongNetwork(Exception):
    """The database belongs to another network: rebuilding it would destroy it."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did."""

    height: int
    """Of the tip now; -1 when no block is left."""
    columns_rewritten: int
    """Blocks whose columns were set from their bytes."""
    blocks_deleted: int
    """Damaged ones and those above them; the node fetches them from its peers again."""
    pool_deleted: int


def repair(
    store: RepairStore,
    params: NetworkParams,
    options: AuditOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress = lambda what, done, total: None,
) -> RepairReport:
    """Sets right whatever an audit can find. Nothing else may write meanwhile.

    Raises WrongNetwork when the database says it is another network's.
    """
    checker = SignatureChecker(params.network_id(), options.threads, remembered=4_096)
    try:
        with store.transaction():
            _check_network(store, params)
            columns = _rewrite_columns(store, params)
            ignored = Findings(0)
            replay = Replayer(store, params, ignored, checker, on_progress, fast=options.fast).run()
            tip, _ = expected_tip(replay, options.max_reorg_blocks)
            unfit = sorted(replay.unreadable | replay.unreachable)
            for hashes in _batches(unfit, _BATCH_BLOCKS):
                store.delete_blocks(hashes)
            for block_hash, (work, transactions) in replay.wrong_sums.items():
                store.set_chain_sums(block_hash, work, transactions)
            path = replay.path(tip) if tip else []
            _set_statuses(store, replay, path)
            _rebuild_index(store, params, path)
            # Every block left can be replayed, so the state is known now.
            replay.is_state_known = True
            store.replace_accounts(replay.accounts_at(tip) if tip else ())
            dropped = _mend_pool(store, params, replay, tip, checker)
    finally:
        checker.close()
    return RepairReport(tip.height if tip else -1, columns, len(unfit), dropped)


def _check_network(store: RepairStore, params: NetworkParams) -> None:
    stored, wanted = store.network_id(), params.network_id()
    if stored is not None and stored != wanted:
        raise WrongNetwork(
            f"the database belongs to network {stored.hex()}, the configuration to {wanted.hex()}"
        )


def _rewrite_columns(store: RepairStore, params: NetworkParams) -> int:
    """Sets damaged columns from sound bytes first, since the replay goes by height."""
    network_id = params.network_id()
    rewritten = 0
    for rows in _batches(store.blocks(), _BATCH_BLOCKS):
        readable = [row.hash for row in rows if row.raw_length <= params.max_block_bytes]
        raws = store.block_bytes(readable)
        for row in rows:
            try:
                block = read_block(row.hash, raws.get(row.hash, b""), params, network_id)
            except RuleError:
                continue  # the replay finds it unreadable, too
            columns = block_columns(block).items()
            if any(getattr(row, name) != value for name, value in columns):
                store.rewrite_block(block)
                rewritten += 1
    return rewritten


def _set_statuses(store: RepairStore, replay: Replay, path: Sequence[bytes]) -> None:
    wrong: dict[BlockStatus, list[bytes]] = {status: [] for status in BlockStatus}
    for row in store.blocks():
        on_path = row.height < len(path) and path[row.height] == row.hash
        if on_path:
            status = BlockStatus.ACTIVE
        elif row.hash in replay.invalid:
            status = BlockStatus.INVALID
        else:
            status = BlockStatus.STORED
        if row.status != status:
            wrong[status].append(row.hash)
    for status, hashes in wrong.items():
        for batch in _batches(hashes, _BATCH_BLOCKS):
            store.set_status(batch, status)


def _rebuild_index(store: RepairStore, params: NetworkParams, path: Sequence[bytes]) -> None:
    store.clear_index()
    for blocks in blocks_of(store, path, params, params.network_id()):
        store.insert_index(blocks)


def _mend_pool(
    store: RepairStore,
    params: NetworkParams,
    replay: Replay,
    tip: Branch | None,
    signatures: SignatureChecker,
) -> int:
    """Drops what can never be mined, and writes damaged rows anew from their bytes."""
    findings = Findings(0)
    check = PoolCheck(store, params, replay, tip, findings, signatures)
    check.run()
    damaged = [
        (row, transaction)
        for row, transaction in check.sound
        if any(getattr(row, name) != value for name, value in pool_columns(transaction).items())
    ]
    removed = check.unfit | {row.id for row, _ in damaged}
    if removed:
        added = [(transaction, row.received_at) for row, transaction in damaged]
        store.replace_pool_rows(removed, added)
    return len(check.unfit)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
