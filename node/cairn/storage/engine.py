"""Database connections, made so that a commit is durable and a reader never waits.

Both engines are opened with explicit transactions: SQLite's driver would otherwise begin and
commit on its own.
"""

import os
import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from cairn.storage.errors import StorageError

IMMEDIATE = "cairn_immediate"
"""Execution option of a connection that will write: on SQLite it takes the lock at once."""

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 10
MIGRATION_LOCK_SECONDS = 120
"""How long to wait for another process that migrates the same database."""
WAL_RETRY_SECONDS = 0.05

RECYCLE_SECONDS = 1_800
MIN_PACKET_BYTES = 9_000_000
"""A block of 4,000,000 bytes is written as twice as many hexadecimal digits, and some words. A
server that takes less drops the connection, as if it were down."""

SQLITE_FILE_MODE = 0o640
"""The node's group, in which a web user may be, reads; nobody else."""

_SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"
_SQLITE_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cache_size = -16000",
)
_SQLITE_WRITER_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # in WAL mode, a commit survives a power cut only with FULL
    "PRAGMA journal_size_limit = 67108864",
)


def open_engine(url: str, read_only: bool = False) -> Engine:
    """An engine on the database; it connects when first used.

    A read-only one cannot write, whatever it is asked. An SQLite file must exist: `migrate`
    makes it. Raises StorageError for a URL that cannot be used.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(sqlite_path(parsed), read_only)
    return _open_mysql(parsed, read_only, STATEMENT_TIMEOUT_SECONDS)


def open_migration_engine(url: str) -> Engine:
    """An engine for migrations: makes a missing SQLite file, and waits for long statements."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = sqlite_path(parsed)
        create_sqlite_file(path)
        return _open_sqlite(path, read_only=False, lock_timeout_seconds=MIGRATION_LOCK_SECONDS)
    return _open_mysql(parsed, read_only=False, statement_timeout_seconds=86_400)


def parse_url(url: str) -> URL:
    """The URL, when it names a database that Cairn can use; StorageError otherwise."""
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
        driver = parsed.get_driver_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageError(f"the database URL cannot be read: {_EXAMPLES}") from error
    if name == "sqlite" and driver == "pysqlite":
        if parsed.query or parsed.host:
            raise StorageError(f"an SQLite URL takes a path alone: {_EXAMPLES}")
        sqlite_path(parsed)
    elif name not in ("mysql", "mariadb") or driver != "mysqldb":
        raise StorageError(f"no support for {parsed.drivername} databases: {_EXAMPLES}")
    elif not parsed.database:
        raise StorageError(f"the database URL names no database: {_EXAMPLES}")
    return parsed


_EXAMPLES = (
    "use sqlite:////var/lib/cairn/cairn.db or "
    "mysql+mysqldb://user:password@host/database (or …@/database?unix_socket=/path)"
)


def sqlite_path(url: URL) -> Path:
    """The file an SQLite URL names. Raises StorageError when it names memory or nothing."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StorageError(f"an SQLite database must be a file: {_EXAMPLES}")
    return Path(url.database).absolute()


def create_sqlite_file(path: Path) -> None:
    """Makes an empty file that only its owner writes and its group reads, if there is none."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, SQLITE_FILE_MODE)
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(
            f"cannot make the database {path}: {error.strerror}; make its folder, and give it "
            "to the user that runs the listener"
        ) from error
    os.close(descriptor)


def _open_sqlite(
    path: Path, read_only: bool, lock_timeout_seconds: int = LOCK_TIMEOUT_SECONDS
) -> Engine:
    query = {"mode": "ro" if read_only else "rw", "uri": "true"}
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query=query)
    engine = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=24)
    pragmas = [f"PRAGMA busy_timeout = {lock_timeout_seconds * 1_000}", *_SQLITE_PRAGMAS]
    pragmas += ["PRAGMA query_only = ON"] if read_only else _SQLITE_WRITER_PRAGMAS

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver no longer begins transactions itself
        for pragma in pragmas:
            connection.execute(pragma)
        if not read_only:
            _use_wal(connection, lock_timeout_seconds)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection, patience_seconds: int) -> None:
    """Has the file written ahead of, for good.

    SQLite refuses this at once, whatever busy_timeout says, while another connection writes to
    a file that is not so yet: as happens to programs that start together on a new file.
    """
    deadline = monotonic() + patience_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                raise
            sleep(WAL_RETRY_SECONDS)
        else:
            return


def _open_mysql(url: URL, read_only: bool, statement_timeout_seconds: int) -> Engine:
    options: dict[str, object] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "read_timeout": statement_timeout_seconds,
        "write_timeout": statement_timeout_seconds,
        "charset": "utf8mb4",
        "binary_prefix": True,
    }
    try:
        engine = create_engine(
            url,
            # A reader that asks twice wants one snapshot; the writer wants what is committed.
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
            pool_pre_ping=True,
            pool_recycle=RECYCLE_SECONDS,
            pool_size=8,
            max_overflow=24,
            connect_args={name: value for name, value in options.items() if name not in url.query},
        )
    except ModuleNotFoundError as error:
        raise StorageError(
            "MySQL needs the package mysqlclient: pip install 'cairn[mysql]'"
        ) from error
    statements = [
        f"SET SESSION sql_mode = '{_SQL_MODE}', innodb_lock_wait_timeout = {LOCK_TIMEOUT_SECONDS}"
    ]
    if read_only:
        statements.append("SET SESSION TRANSACTION READ ONLY")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("SELECT @@max_allowed_packet")
        (packet_bytes,) = cursor.fetchone()
        cursor.close()
        if packet_bytes < MIN_PACKET_BYTES and not read_only:
            raise StorageError(
                f"the database server takes statements of {packet_bytes} bytes, blocks need "
                f"{MIN_PACKET_BYTES}: set max_allowed_packet = 16M in its configuration"
            )

    return engine
