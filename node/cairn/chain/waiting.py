"""A second look at waiting transactions: when they are read again, and before they are mined.

The pool's rows are nothing more than a promise of this node to itself; what the disk, or
another hand, made of them must not get into a block that everyone then refuses.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from cairn.chain.pool import Pool
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import ChainStore, PoolRow
from cairn.consensus.block import Block
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import Account, apply_transaction
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import check_transaction_sanity

Progress = Callable[[str], None]
"""Told between the steps of a long job what was done so far, as one line for people. What it
raises ends the job: a database transaction under way is rolled back, so nothing is lost."""

_BATCH = 500
"""Signatures between two reports: a fraction of a second, also on a slow machine."""
_logger = logging.getLogger(__name__)


def no_progress(_done: str) -> None:
    """Tells nobody."""


def restore_pool(
    pool: Pool,
    store: ChainStore,
    params: NetworkParams,
    network_id: bytes,
    signatures: SignatureChecker,
    progress: Progress = no_progress,
) -> None:
    """Fills the pool with what is stored and sound, and deletes the other rows."""
    sound, unsound = sound_rows(store.load_pool(), params, network_id, signatures, progress)
    removed = pool.restore(sound, senders_of(sound, store, progress)).removed | unsound
    if removed:
        with store.transaction():
            store.change_pool((), removed)


def sound_rows(
    rows: Sequence[PoolRow],
    params: NetworkParams,
    network_id: bytes,
    signatures: SignatureChecker,
    progress: Progress = no_progress,
) -> tuple[list[tuple[Transaction, int]], set[bytes]]:
    """The stored transactions that are what they were when they were admitted, each with its
    time of arrival; and the row ids of all others.

    Bytes, id, the rules of a transaction alone, and signatures, those not lately seen.
    """
    sound: list[tuple[Transaction, int]] = []
    unsound: dict[bytes, str] = {}
    for start in range(0, len(rows), _BATCH):
        if start:
            progress(f"checking waiting transactions: {start:,}/{len(rows):,}")
        decoded: list[tuple[Transaction, int]] = []
        for row in rows[start : start + _BATCH]:
            try:
                decoded.append((_decoded(row, params, network_id), row.received_at))
            except (RuleError, ValueError) as error:
                unsound[row.id] = str(error)
        faults = signatures.faults([transaction for transaction, _ in decoded])
        for item, fault in zip(decoded, faults, strict=True):
            if fault is None:
                sound.append(item)
            else:
                unsound[item[0].id] = str(fault)
    if unsound:
        row_id, reason = next(iter(unsound.items()))
        _logger.warning(
            "%d stored waiting transactions are damaged and dropped; the first is %s: %s",
            len(unsound),
            row_id.hex(),
            reason,
        )
    return sound, set(unsound)


def senders_of(
    waiting: Sequence[tuple[Transaction, int]], store: ChainStore, progress: Progress
) -> dict[bytes, Account]:
    """The accounts, as far as they exist, that sent these transactions."""
    addresses = list({transaction.sender for transaction, _ in waiting})
    found: dict[bytes, Account] = {}
    for start in range(0, len(addresses), _BATCH):
        if start:
            progress(f"reading accounts of waiting transactions: {start:,}/{len(addresses):,}")
        found |= store.load_accounts(addresses[start : start + _BATCH])
    return found


def _decoded(row: PoolRow, params: NetworkParams, network_id: bytes) -> Transaction:
    transaction = decode_transaction(row.raw, network_id)
    if transaction.id != row.id:
        raise ValueError(f"its bytes are those of {transaction.id.hex()}")
    check_transaction_sanity(transaction, params)
    return transaction


def unminable(
    chosen: Sequence[Transaction],
    accounts: Mapping[bytes, Account],
    params: NetworkParams,
    signatures: SignatureChecker,
) -> list[Transaction]:
    """Those that a block of `chosen` must not hold. `accounts`: all senders, confirmed."""
    state = dict(accounts)
    culprits = []
    for transaction, fault in zip(chosen, signatures.faults(chosen), strict=True):
        try:
            if fault is not None:
                raise fault
            check_transaction_sanity(transaction, params)
            apply_transaction(state, transaction)
        except RuleError as error:
            _logger.warning("waiting transaction %s is dropped: %s", transaction.id.hex(), error)
            culprits.append(transaction)
    return culprits


def in_chain_order(disconnected: Sequence[Block]) -> list[Transaction]:
    """The transactions of these blocks, newest block first, as the chain had them."""
    return [transaction for block in reversed(disconnected) for transaction in block.transactions]
