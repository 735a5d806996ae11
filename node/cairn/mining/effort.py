"""One search at a time with workers that come with the first and go after a while of rest."""

from collections.abc import Callable
from time import monotonic

from cairn.mining.kernel import search as pure_search
from cairn.mining.workers import Job, Workers, start_workers

QUICK_NONCES = 256
"""Tried before any worker is bothered: on an easy network they are enough."""
IDLE_SECONDS = 60.0
STALLED_SECONDS = 20.0


class Effort:
    """A miner's search for a nonce. For one thread. Methods raise OSError when workers die."""

    def __init__(
        self,
        worker_count: int,
        on_start: Callable[[str, str], None] = lambda kernel, why_not_native: None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`on_start` hears the kernel's name and, for the pure one, why it is not native."""
        self._count = worker_count
        self._on_start = on_start
        self._idle_seconds = idle_seconds
        self._workers: Workers | None = None
        self._number = 0
        self._quick: int | None = None
        self._searching = False
        self._changed_at = self._proved_at = monotonic()

    @property
    def is_searching(self) -> bool:
        """Whether a search is under way."""
        return self._searching

    def search(self, header: bytes, target: int) -> None:
        """Searches a nonce for `header` (96 bytes), dropping what was under way."""
        self._number += 1
        if not self._searching:
            self._changed_at = self._proved_at = monotonic()
        self._searching = True
        self._quick = pure_search(header, target, 0, QUICK_NONCES)
        if self._quick is not None:
            return
        if self._workers is None:
            reasons: list[str] = []
            self._workers = start_workers(self._count, on_fallback=reasons.append)
            self._on_start(self._workers.kernel_name, " ".join(reasons))
        self._workers.search(Job(self._number, header, target, QUICK_NONCES))

    def take_nonce(self) -> int | None:
        """The nonce that solves the header of the last `search`, once it is found."""
        if self._quick is not None:
            nonce, self._quick = self._quick, None
            return nonce
        if self._workers is None:
            return None
        found = [item.nonce for item in self._workers.take_found() if item.job == self._number]
        return found[0] if found and self._searching else None

    def rest(self) -> None:
        """Drops the search."""
        self._quick = None
        if self._searching:
            self._searching = False
            self._changed_at = monotonic()
            if self._workers is not None:
                self._workers.rest()

    def descriptors(self) -> list[int]:
        """Descriptors that can be read when `take_nonce` should be called."""
        return self._workers.descriptors() if self._workers is not None else []

    def hashes_per_second(self) -> int:
        """The rate over the last seconds; 0 while resting."""
        return self._workers.hashes_per_second() if self._workers is not None else 0

    def is_working(self) -> bool:
        """False when a search makes no headway; also ends workers that rested long."""
        now = monotonic()
        if not self._searching:
            if self._workers is not None and now - self._changed_at > self._idle_seconds:
                self.close()
            return True
        if self.hashes_per_second() > 0:
            self._proved_at = now
        return now - self._proved_at < STALLED_SECONDS

    def close(self) -> None:
        """Drops the search and ends the workers; the next search starts others."""
        self._quick = None
        self._searching = False
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
