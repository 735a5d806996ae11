"""Checks signatures in threads, and remembers which transactions have passed.

OpenSSL verifies outside the interpreter lock, so threads share the work over the cores.
"""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from cairn.consensus.errors import RuleError
from cairn.consensus.transaction import Transaction
from cairn.consensus.validation import check_signature

DEFAULT_REMEMBERED = 65_536
_TASK_TRANSACTIONS = 64
"""Fewer to a task than this costs more in handing over than the second core gains."""


class SignatureChecker:
    """Not thread-safe itself: one caller, the writer. Remembers at most `remembered` passes."""

    def __init__(
        self, network_id: bytes, workers: int = 2, remembered: int = DEFAULT_REMEMBERED
    ) -> None:
        self._network_id = network_id
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="signatures")
        self._remembered = remembered
        # The signature is part of the key: an id alone does not cover it.
        self._passed: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()

    def faults(self, transactions: Sequence[Transaction]) -> list[RuleError | None]:
        """For each transaction None, or the `signature-invalid` it deserves."""
        results: list[RuleError | None] = [None] * len(transactions)
        unknown = [
            position
            for position, transaction in enumerate(transactions)
            if (transaction.id, transaction.signature) not in self._passed
        ]
        slices = [
            unknown[start : start + _TASK_TRANSACTIONS]
            for start in range(0, len(unknown), _TASK_TRANSACTIONS)
        ]
        checked = [[transactions[position] for position in positions] for positions in slices]
        run = map if len(slices) == 1 else self._threads.map
        for positions, faults in zip(slices, run(self._check_slice, checked), strict=True):
            for position, fault in zip(positions, faults, strict=True):
                results[position] = fault
                if fault is None:
                    self._remember(transactions[position])
        return results

    def check(self, transactions: Sequence[Transaction]) -> None:
        """Raises RuleError `signature-invalid` when any transaction fails."""
        for fault in self.faults(transactions):
            if fault is not None:
                raise fault

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check_slice(self, transactions: Sequence[Transaction]) -> list[RuleError | None]:
        return [self._fault(transaction) for transaction in transactions]

    def _fault(self, transaction: Transaction) -> RuleError | None:
        try:
            check_signature(transaction, self._network_id)
        except RuleError as error:
            return error
        return None

    def _remember(self, transaction: Transaction) -> None:
        self._passed[(transaction.id, transaction.signature)] = None
        if len(self._passed) > self._remembered:
            self._passed.popitem(last=False)
