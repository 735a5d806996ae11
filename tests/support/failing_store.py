"""A real chain store that fails when it is told to, as a lost database would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cairn.storage.chain_store import SqlChainStore
from cairn.storage.errors import StorageUnavailable


class FailingStore:
    """Passes every call on to a store, except one: the `fail_at`-th from now, counted from 1.

    A database transaction counts at its beginning and at its commit, and is rolled back.
    """

    def __init__(self, store: SqlChainStore) -> None:
        self._store = store
        self._calls_left = 0
        self._commits_left = 0

    def fail(self, at: int) -> None:
        """Fails once, at that call; 0 never."""
        self._calls_left, self._commits_left = at, 0

    def lose_commit(self, at: int) -> None:
        """At that commit the line is lost: it is durable, and its caller is told that it failed."""
        self._calls_left, self._commits_left = 0, at

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """As the store's."""
        self._count("transaction")
        with self._store.transaction():
            yield
            self._count("commit")
        self._commits_left -= 1
        if self._commits_left == 0:
            raise StorageUnavailable("lost while committing")

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return self._counted(name, method) if callable(method) else method

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self._count(name)
            return method(*arguments)

        return call

    def _count(self, name: str) -> None:
        self._calls_left -= 1
        if self._calls_left == 0:
            raise StorageUnavailable(f"lost in {name}")
