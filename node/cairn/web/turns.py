"""How many requests of a worker may do at one time what is costly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cairn.web.problems import ApiProblem

RETRY_SECONDS = 2


class Turns:
    """So many at one time; whoever comes then is sent away at once. For any thread."""

    def __init__(self, places: int, what: str) -> None:
        """`what` they do, in the plural, for whoever is sent away."""
        self._places, self._what = places, what
        self._free = threading.BoundedSemaphore(places)

    def take(self) -> None:
        """A place, to be given back. Raises ApiProblem `node-busy` when none is free."""
        if not self._free.acquire(blocking=False):
            raise ApiProblem(
                "node-busy",
                f"{self._places} {self._what} are under way, at most {self._places} at a time; "
                f"ask again in {RETRY_SECONDS} s",
                limit=self._places,
                retry_after_seconds=RETRY_SECONDS,
            )

    def give_back(self) -> None:
        """The place is free again."""
        self._free.release()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as the block runs. Raises ApiProblem `node-busy`."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
