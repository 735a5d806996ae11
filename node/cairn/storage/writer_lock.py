"""One writer to a database: a lock that lives where the data does, held for a process's life."""

import fcntl
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from cairn.storage.engine import open_engine, parse_url, sqlite_path
from cairn.storage.errors import (
    DatabaseInUseError,
    StorageError,
    StorageUnavailable,
    translated,
)

WAIT_SECONDS = 3
"""A server needs a moment to notice that a killed process has gone."""
IDLE_SECONDS = 30
"""The server frees the lock of a machine that vanished after so long without a `check`."""
KEEP_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class WriterLock:
    """The right to write in one database; `take` before writing, `check` every few seconds.

    On SQLite it is a lock on the file `<database>.lock`, which the kernel frees. On MySQL it is
    a named lock of one server connection, and every transaction runs on that very connection:
    a server that frees the lock has ended the transaction before.
    """

    def __init__(self, url: str, engine: Engine) -> None:
        parsed = parse_url(url)
        self._engine = engine
        self._path: Path | None = None
        if parsed.get_backend_name() == "sqlite":
            path = sqlite_path(parsed).resolve()
            self._path = path.with_name(path.name + ".lock")
        self.name = "cairn_" + sha256((parsed.database or "").lower().encode()).hexdigest()[:40]
        """Of the server's lock."""
        self._file: int | None = None
        self._connection: Connection | None = None
        self._connection_id = 0

    def take(self) -> None:
        """Takes the lock unless it is held already.

        Raises DatabaseInUseError naming the holder when another process has it. Whatever was
        read before a lock that had been lost must be read again after.
        """
        if self._path is not None:
            self._take_file(self._path)
        else:
            with translated():
                self._take_on_server()

    def check(self) -> None:
        """Raises StorageUnavailable when the lock was lost; keeps the connection alive.

        Within a transaction it does nothing: each statement of that does the same.
        """
        if self._path is not None:
            self._check_file(self._path)
            return
        connection = self._held_connection()
        if connection.in_transaction():
            return
        try:
            with translated():
                held = connection.scalar(
                    text("SELECT IS_USED_LOCK(:name) = CONNECTION_ID()"), {"name": self.name}
                )
                connection.rollback()
        except StorageError:
            self._drop()
            raise
        if held != 1:
            self._drop()
            raise _lost()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to write on. Raises StorageUnavailable when the lock was lost."""
        if self._path is not None:
            self._check_file(self._path)
            with self._engine.connect() as connection:
                yield connection
            return
        held = self._held_connection()
        try:
            yield held
        finally:
            if held.invalidated:
                self._drop()
            elif held.in_transaction():
                held.rollback()

    def release(self) -> None:
        """Gives the lock back. Again is no error."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._drop()

    # -- SQLite ------------------------------------------------------------------------------

    def _take_file(self, path: Path) -> None:
        if self._file is not None:
            with suppress(StorageUnavailable):
                self._check_file(path)
                return
            os.close(self._file)
            self._file = None
        try:
            file = _open_lock_file(path)
        except OSError as error:
            raise StorageError(
                f"cannot open the database's lock {path}: {error.strerror}; make its "
                "folder, and give it to the user that runs the listener"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 200, 0).decode("ascii", "replace").strip()
            os.close(file)
            raise _in_use(str(path.with_suffix("")), holder or "another process") from None
        os.ftruncate(file, 0)
        os.pwrite(file, _own_name().encode("ascii", "replace"), 0)
        self._file = file

    def _check_file(self, path: Path) -> None:
        """Somebody may have removed the file: a lock on what has no name keeps nobody out."""
        if self._file is None:
            raise _lost()
        try:
            same = os.path.samestat(os.fstat(self._file), path.stat())
        except OSError:
            same = False
        if not same:
            raise _lost()

    # -- MySQL -------------------------------------------------------------------------------

    def _take_on_server(self) -> None:
        if self._connection is not None and not self._connection.invalidated:
            return
        before = self._connection_id
        self._drop()
        connection = self._engine.connect()
        try:
            connection.execute(text(f"SET SESSION wait_timeout = {IDLE_SECONDS}"))
            self._get_lock(connection, before)
            self._connection_id = int(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
            connection.rollback()
        except BaseException:
            _close(connection)
            raise
        self._connection = connection

    def _get_lock(self, connection: Connection, before: int) -> None:
        name = {"name": self.name, "seconds": WAIT_SECONDS}
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), name) == 1:
            return
        holder = connection.scalar(text("SELECT IS_USED_LOCK(:name)"), name)
        if holder is None or holder == before:
            raise StorageUnavailable("the database server still holds this node's earlier lock")
        row = connection.execute(
            text("SELECT user, host FROM information_schema.processlist WHERE id = :id"),
            {"id": holder},
        ).first()
        who = f" of {row[0]} at {row[1]}" if row else ""
        raise _in_use(str(self._engine.url.database), f"the server's connection {holder}{who}")

    def _held_connection(self) -> Connection:
        if self._connection is None or self._connection.invalidated:
            raise _lost()
        return self._connection

    def _drop(self) -> None:
        """Closing the connection frees what it held."""
        if self._connection is not None:
            _close(self._connection)
            self._connection = None


@contextmanager
def sole_writer(url: str) -> Iterator[None]:
    """Keeps every listener out of the database, however long what is done meanwhile takes.

    Raises DatabaseInUseError when one runs. What is done has connections of its own.
    """
    engine = open_engine(url)
    lock = WriterLock(url, engine)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lock, done), name="writer lock", daemon=True)
    try:
        lock.take()
        keeper.start()
        yield
    finally:
        done.set()
        if keeper.ident is not None:
            keeper.join()
        lock.release()
        engine.dispose()


def _keep(lock: WriterLock, done: threading.Event) -> None:
    """Speaks up before the server takes the holder for gone."""
    while not done.wait(KEEP_SECONDS):
        try:
            lock.check()
        except StorageError as error:
            _logger.warning("%s", error)
            return


def _open_lock_file(path: Path) -> int:
    """The file, its owner that of its folder: the listener must open it, whoever made it."""
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    if is_new and os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(file, folder.st_uid, folder.st_gid)
    return file


def _own_name() -> str:
    return f"{Path(sys.argv[0]).name or 'cairn'}, process {os.getpid()} on {socket.gethostname()}"


def _in_use(database: str, holder: str) -> DatabaseInUseError:
    return DatabaseInUseError(
        f"the database {database} is in use by {holder}, and one process alone may write: "
        f"stop that one, or give this one ({_own_name()}) a database of its own"
    )


def _lost() -> StorageUnavailable:
    return StorageUnavailable("the lock on the database was lost: take it and read again")


def _close(connection: Connection) -> None:
    with suppress(SQLAlchemyError):
        connection.invalidate()
    with suppress(SQLAlchemyError):
        connection.close()
