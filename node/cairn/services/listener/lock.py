"""One listener to a data folder: the single writer is single by a lock, not by luck."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another listener holds the lock."""


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on `path`; the kernel frees it however the process ends.

    Raises AlreadyRunningError at once when it is held, OSError when the folder can't be
    written.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(
                f"another listener runs on {path.parent}; stop it first"
            ) from None
        yield
