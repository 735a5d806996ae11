"""What came of peers' claims of more work: who is asked first, and who not for a while."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_PAUSE_SECONDS = 600.0
"""Each further failure doubles the pause, up to this."""
_REMEMBERED_KEYS = 2_000
_UNTRIED_DISTRUST = 2
"""Who never delivered counts as if it had failed so often."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    """In a row."""
    lies: int = 0
    """Of those, answers that showed less work than was claimed."""
    has_delivered: bool = False
    asked_at: float = 0.0
    not_before: float = 0.0


class ClaimHistory:
    """By CURVE key, so that a new connection changes nothing; times are monotonic seconds.

    Only what a peer delivers mends its record: its words, our own tip among them, are free.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def may_ask(self, key: str, now: float) -> bool:
        """Whether no pause is on."""
        record = self._records.get(key)
        return record is None or record.not_before <= now

    def rank(self, key: str) -> tuple[int, float]:
        """The lowest is asked first: who failed least, then who was not asked for longest."""
        record = self._records.get(key, _Record())
        distrust = record.failures + (0 if record.has_delivered else _UNTRIED_DISTRUST)
        return distrust, record.asked_at

    def asked(self, key: str, now: float) -> None:
        """A pull from this peer begins."""
        self._of(key).asked_at = now

    def delivered(self, key: str) -> None:
        """It brought our chain forward."""
        record = self._of(key)
        record.failures = record.lies = 0
        record.has_delivered = True

    def failed(self, key: str, pause_seconds: float, now: float) -> float:
        """Nothing came of its claim. Returns for how long it is left alone."""
        record = self._of(key)
        doublings = min(record.failures, 32)
        record.failures += 1
        seconds: float = min(pause_seconds * 2**doublings, MAX_PAUSE_SECONDS)
        record.not_before = now + seconds
        return seconds

    def lied(self, key: str) -> int:
        """It answered, with less work than it claimed. Returns how often since it delivered."""
        record = self._of(key)
        record.lies += 1
        return record.lies

    def _of(self, key: str) -> _Record:
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        if len(self._records) > _REMEMBERED_KEYS:
            self._records.popitem(last=False)
        return record
