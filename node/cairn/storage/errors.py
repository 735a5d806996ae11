"""What can go wrong with a database, in words that say what to do.

Nothing here is ever a `RuleError`: a failing database says nothing about a block.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from cairn.chain.store import LedgerDamagedError

MIGRATE_HINT = "run `cairn db migrate`"

_SERVER_AWAY = frozenset(
    {
        1021,  # disk full
        1030,  # the storage engine failed, as on a full disk
        1047,  # a cluster's node is not ready
        1114,  # table full
        1129,  # host blocked after failed connections
        1290,  # the server is read-only for now
        1836,
        1040,  # too many connections
        1053,  # server shutdown in progress
        1077,
        1079,  # shutdown, end of life
        1152,  # aborted connection
        1158,
        1159,
        1160,
        1161,  # network read and write errors, timeouts
        1203,  # too many connections of this user
        1205,  # lock wait timeout
        1213,  # deadlock
        1317,  # query interrupted
        1927,  # connection was killed
        2002,
        2003,
        2005,  # no server there
        2006,
        2013,
        2055,  # server has gone away, connection lost
        3024,  # query took too long
        4031,  # disconnected for inactivity
    }
)
"""MySQL and MariaDB error numbers after which the same call may succeed later."""

_MYSQL_FIXES = {
    1044: "grant this user all privileges on the database",
    1045: "check user and password in the database URL",
    1049: "create the database first: CREATE DATABASE … CHARACTER SET utf8mb4",
    1054: MIGRATE_HINT,
    1142: "grant this user the missing privilege",
    1146: MIGRATE_HINT,
    1698: "check user and password in the database URL",
    1792: "this connection is read-only; only the listener writes",
}
_SQLITE_NO_WAL = (
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_READONLY_DIRECTORY",
    "SQLITE_READONLY_RECOVERY",
)
"""A reader who may not make the write-ahead log, which nobody has open: the listener is away."""
_SQLITE_PASSING = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_INTERRUPT",
    *_SQLITE_NO_WAL,
)
_SQLITE_FIXES = {
    "SQLITE_CANTOPEN": f"check that the file exists and may be opened, or {MIGRATE_HINT}",
    "SQLITE_READONLY": "this connection is read-only; only the listener writes",
    "SQLITE_CORRUPT": "the file is damaged: restore a backup, or remove it and sync again",
    "SQLITE_NOTADB": "the file is no SQLite database: check the database URL",
    "SQLITE_FULL": "free some space on the disk",
    "SQLITE_BUSY": "another process holds the database; stop it or try again",
}


class StorageError(Exception):
    """The database cannot do what was asked; the message says what to do about it."""


class StorageUnavailable(StorageError):
    """The database is away for the moment; the same call may succeed later.

    Nothing of an interrupted transaction has happened, save when the connection was lost
    during the commit itself: then it is unknown, and the caller reads again.
    """


class DatabaseInUseError(StorageError):
    """Another process has the right to write in this database."""


class DamagedRowError(StorageError, LedgerDamagedError):
    """A stored row cannot be read; nobody outside is at fault."""


@contextmanager
def translated() -> Iterator[None]:
    """Turns every failure of the database or its driver into a StorageError."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise storage_error(error) from error


def storage_error(error: exc.SQLAlchemyError) -> StorageError:
    """The error to show for one of SQLAlchemy's."""
    if isinstance(error, exc.TimeoutError):
        return StorageUnavailable("all database connections are in use")
    if not isinstance(error, exc.DBAPIError):
        return StorageError(f"database: {error}")
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _sqlite_error(original)
    number = original.args[0] if original is not None and original.args else None
    text = f"database: {_plain(original)}"
    if error.connection_invalidated or number in _SERVER_AWAY:
        return StorageUnavailable(text)
    if isinstance(number, int) and number in _MYSQL_FIXES:
        text += f": {_MYSQL_FIXES[number]}"
    return StorageError(text)


def _sqlite_error(error: sqlite3.Error) -> StorageError:
    name = getattr(error, "sqlite_errorname", "") or ""
    text = f"database: {error}"
    if str(error).startswith(("no such table", "no such column")):
        text += f": {MIGRATE_HINT}"
    if name in _SQLITE_NO_WAL:
        text += ": start the listener, or let this user write in the database's folder"
    else:
        text += "".join(f": {fix}" for prefix, fix in _SQLITE_FIXES.items() if prefix in name)
    passing = name.startswith(_SQLITE_PASSING)
    return StorageUnavailable(text) if passing else StorageError(text)


def _plain(error: BaseException | None) -> str:
    """MySQL's errors are (number, text): both, in a line."""
    if error is None:
        return "unknown error"
    return " ".join(str(part) for part in error.args) or type(error).__name__
