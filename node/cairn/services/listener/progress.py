"""Long jobs of the writer: told to systemd step by step, and abandoned when the listener stops."""

from collections.abc import Callable

from cairn.services.runtime import SystemdNotifier


class JobAbandonedError(Exception):
    """The listener stops: the job under way is not ended. What it began is rolled back."""


class ProgressTeller:
    """`cairn.chain.waiting.Progress` of the listener. Called in the writer's thread."""

    def __init__(self, notifier: SystemdNotifier, check_lock: Callable[[], None]) -> None:
        """`check_lock` keeps the database's lock, which would be lost in a long job without."""
        self._notifier = notifier
        self._check_lock = check_lock
        self._is_stopping = False

    def stop(self) -> None:
        """From now on the next step of a long job ends it."""
        self._is_stopping = True

    def __call__(self, done: str) -> None:
        """Work was proven. Raises JobAbandonedError after `stop`, StorageUnavailable when the
        lock was lost."""
        if self._is_stopping:
            raise JobAbandonedError(done)
        self._check_lock()
        self._notifier.progress(done)
