"""Brings a database to this version's tables, once, however many processes ask for it.

Alembic is loaded only when there is something to do: a node that starts on a current database
pays one SELECT.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from cairn.storage.engine import (
    IMMEDIATE,
    MIGRATION_LOCK_SECONDS,
    open_engine,
    open_migration_engine,
    parse_url,
    sqlite_path,
)
from cairn.storage.errors import MIGRATE_HINT, StorageError, StorageUnavailable, translated
from cairn.storage.tables import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

_VERSION = table("alembic_version", column("version_num"))
_MIGRATIONS = Path(__file__).parent / "migrations"


class NewerTablesError(StorageError):
    """The tables were made by a newer version."""


def migrate(url: str) -> list[str]:
    """Applies what is missing, making the SQLite file if need be; the applied revisions.

    Safe to call from several processes at once. Raises StorageError.
    """
    engine = open_migration_engine(url)
    try:
        with translated():
            if _current_revision(engine) == SCHEMA_REVISION:
                return []
            with _locked(engine) as connection:
                pending = _pending(_stored_revision(connection))
                if pending:
                    _upgrade(connection)
                return pending
    finally:
        engine.dispose()


def pending_revisions(url: str) -> list[str]:
    """The migrations that `migrate` would apply, oldest first. Raises StorageError."""
    if _is_missing_file(url):
        return _pending(None)
    engine = open_engine(url, read_only=True)
    try:
        with translated():
            return _pending(_current_revision(engine))
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Raises StorageError, naming the fixing command, unless the tables are this version's."""
    pending = pending_revisions(url)
    if pending:
        raise _lacking(pending)


def require_tables(url: str) -> None:
    """Raises StorageError unless this version can work on the tables.

    Tables of a newer version will do, as migrations only add: a release that fails on one is
    left for the one before it.
    """
    if _is_missing_file(url):
        raise _lacking(_pending(None))
    engine = open_engine(url, read_only=True)
    try:
        with translated():
            revision = _current_revision(engine)
    finally:
        engine.dispose()
    if revision != SCHEMA_REVISION and (revision is None or revision in _known_revisions()):
        raise _lacking(_pending(revision))


def _lacking(pending: list[str]) -> StorageError:
    return StorageError(f"the database lacks migrations {', '.join(pending)}: {MIGRATE_HINT}")


def _is_missing_file(url: str) -> bool:
    parsed = parse_url(url)
    return parsed.get_backend_name() == "sqlite" and not sqlite_path(parsed).exists()


def _current_revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _stored_revision(connection)


def _stored_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for an empty one."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    revision: str | None = connection.scalar(select(_VERSION.c.version_num))
    return revision


def _pending(revision: str | None) -> list[str]:
    """The revisions after this one, oldest first. StorageError when it is not known."""
    if revision == SCHEMA_REVISION:
        return []
    known = _known_revisions()
    if revision is None:
        return known
    if revision not in known:
        raise NewerTablesError(
            f"the database is at revision {revision}, which this version does not know: "
            "it was made by a newer Cairn; upgrade this one"
        )
    return known[known.index(revision) + 1 :]


def _known_revisions() -> list[str]:
    """All revisions of this version, oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - a node seldom needs it

    scripts = ScriptDirectory.from_config(_alembic_config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a node seldom needs it

    config = _alembic_config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
        connection.commit()
    except RuntimeError as error:  # what a revision itself refuses
        raise StorageError(str(error)) from error


def _alembic_config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - a node seldom needs it

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """A connection that alone migrates: SQLite's write lock, or a named lock on MySQL."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{IMMEDIATE: True})
        if engine.dialect.name == "sqlite":
            yield connection
            return
        name = {
            "name": f"cairn_migrate_{engine.url.database}"[:64],
            "seconds": MIGRATION_LOCK_SECONDS,
        }
        if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), name) != 1:
            raise StorageUnavailable("another process migrates the database; try again later")
        try:
            yield connection
        finally:
            _release(connection)


def _release(connection: Connection) -> None:
    """The lock belongs to the connection: closing that releases it, whatever happened."""
    with suppress(SQLAlchemyError):
        connection.rollback()
    connection.invalidate()
