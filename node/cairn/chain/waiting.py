"""A second look at waiting transactions: when they are read again, and before they are mined.

The pool's rows are nothing more than a promise of this node to itself; what the disk, or
another hand, made of them must not get into a block that everyone then refuses.
"""

import logging
from collections.abc import Mapping, Sequence

from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import PoolRow
from cairn.consensus.block import Block
from cairn.consensus.errors import RuleError
from cairn.consensus.ledger import Account, apply_transaction
from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.consensus.validation import check_transaction_sanity

_BATCH = 2_000
_logger = logging.getLogger(__name__)


def sound_rows(
    rows: Sequence[PoolRow],
    params: NetworkParams,
    network_id: bytes,
    signatures: SignatureChecker,
) -> tuple[list[tuple[Transaction, int]], set[bytes]]:
    """The stored transactions that are what they were when they were admitted, each with its
    time of arrival; and the row ids of all others.

    Bytes, id, the rules of a transaction alone, and signatures, those not lately seen.
    """
    sound: list[tuple[Transaction, int]] = []
    unsound: dict[bytes, str] = {}
    for start in range(0, len(rows), _BATCH):
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
