"""One database transaction at a time per thread, and reads beside it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from cairn.storage.engine import IMMEDIATE
from cairn.storage.errors import StorageError, StorageUnavailable, storage_error, translated
from cairn.storage.writer_lock import WriterLock


class Session:
    """Connections of an engine. Reads inside `transaction` see what it wrote so far.

    A lost connection fails the call it interrupts (StorageUnavailable), and the next call gets
    a new one by itself.
    """

    def __init__(self, engine: Engine, lock: WriterLock | None = None) -> None:
        """With a `lock`, only who holds it can write."""
        self.engine = engine
        self._lock = lock
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One database transaction of this thread; it does not nest.

        Raises StorageUnavailable when the commit failed in a way that leaves its outcome open.
        """
        if self._current() is not None:
            raise RuntimeError("a transaction is under way in this thread")
        with translated(), self._write_connection() as plain:
            connection = plain.execution_options(**{IMMEDIATE: True})
            connection.begin()
            self._local.connection = connection
            self._local.failure = None
            try:
                yield
                self._check_sound()
            except BaseException:
                _roll_back(connection)
                raise
            finally:
                self._local.connection = None
            _commit(connection)

    def _write_connection(self) -> AbstractContextManager[Connection]:
        return self._lock.connection() if self._lock else self.engine.connect()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from: the transaction's, or one of its own."""
        if self._current() is not None:
            with self.writing() as current:
                yield current
            return
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The transaction's connection. Raises RuntimeError outside `transaction`."""
        current = self._current()
        if current is None:
            raise RuntimeError("writes belong inside transaction()")
        self._check_sound()
        try:
            yield current
        except SQLAlchemyError as error:
            self._local.failure = storage_error(error)
            raise self._local.failure from error

    def _current(self) -> Connection | None:
        connection: Connection | None = getattr(self._local, "connection", None)
        return connection

    def _check_sound(self) -> None:
        """A failed statement may have rolled everything back (a deadlock does): none may follow
        it, even when the caller took the exception lightly."""
        failure: StorageError | None = self._local.failure
        if failure is not None:
            raise failure


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except SQLAlchemyError as error:
        connection.invalidate()
        raise StorageUnavailable(
            f"{storage_error(error)} (while committing: read again what is stored)"
        ) from error


def _roll_back(connection: Connection) -> None:
    """Drops what was written. A connection that cannot even do this is closed: so can it."""
    try:
        connection.rollback()
    except SQLAlchemyError:
        connection.invalidate()
