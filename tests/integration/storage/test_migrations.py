"""Migrations make the tables that the code uses, once, whoever asks and whenever."""

import multiprocessing
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import cairn.storage
from cairn.storage.engine import open_engine
from cairn.storage.errors import StorageError
from cairn.storage.migrate import check, migrate, pending_revisions
from cairn.storage.tables import SCHEMA_REVISION, metadata
from tests.support.mariadb import PrivateMariaDB

PROCESSES = 4
REVISIONS = ["0001", "0002"]
PROCESS_SECONDS = 60


def tables_of(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_makes_the_tables_the_code_uses(database_url: str) -> None:
    migrate(database_url)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    assert tables_of(database_url) == {*metadata.tables, "alembic_version"}


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    config = Config()
    folder = Path(cairn.storage.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_does_nothing_the_second_time(database_url: str) -> None:
    assert pending_revisions(database_url) == REVISIONS
    assert migrate(database_url) == REVISIONS
    assert pending_revisions(database_url) == []
    assert migrate(database_url) == []


def test_check_names_the_command_until_it_was_run(database_url: str) -> None:
    with pytest.raises(StorageError, match=rf"{SCHEMA_REVISION}.*run `cairn db migrate`"):
        check(database_url)
    migrate(database_url)
    check(database_url)


def test_a_current_database_costs_no_migration_library(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    program = (
        "import sys; from cairn.storage.migrate import check, migrate\n"
        f"assert migrate({url!r}) == []; check({url!r}); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PROCESS_SECONDS)


def _migrate_at(url: str, barrier: Barrier, results: "multiprocessing.Queue[object]") -> None:
    barrier.wait(PROCESS_SECONDS)
    try:
        results.put(migrate(url))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
        results.put(repr(error))


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=_migrate_at, args=(database_url, barrier, results))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=PROCESS_SECONDS) for _ in processes]
    for process in processes:
        process.join(PROCESS_SECONDS)
    assert sorted(found, key=str) == [REVISIONS, *([[]] * (PROCESSES - 1))]
    check(database_url)


def test_refuses_a_database_of_a_newer_version(database_url: str) -> None:
    migrate(database_url)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for refused in (migrate, check, pending_revisions):
        with pytest.raises(StorageError, match=r"9999.*newer Cairn"):
            refused(database_url)


def test_goes_on_where_a_killed_migration_stopped(database_url: str) -> None:
    migrate(database_url)
    engine = create_engine(database_url)
    with engine.begin() as connection:  # MySQL cannot take table changes back
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("DROP TABLE nodes"))
        connection.execute(text("DROP TABLE meta"))
        name = "blocks_previous_hash"
        on_table = "" if engine.dialect.name == "sqlite" else " ON blocks"
        connection.execute(text(f"DROP INDEX {name}{on_table}"))
    engine.dispose()
    assert migrate(database_url) == REVISIONS
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_leaves_tables_of_somebody_else_alone(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE nodes (name VARCHAR(9))"))
        connection.execute(text("INSERT INTO nodes VALUES ('theirs')"))
    with pytest.raises(StorageError, match=r"table nodes .* not Cairn's"):
        migrate(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM nodes")) == "theirs"
    engine.dispose()


def test_makes_the_sqlite_file_for_owner_and_group(tmp_path: Path) -> None:
    file = tmp_path / "cairn.db"
    migrate(f"sqlite:///{file}")
    assert file.stat().st_mode & 0o777 == 0o640


def test_says_what_to_do_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot make the database .*make its folder"):
        migrate(f"sqlite:///{tmp_path / 'missing' / 'cairn.db'}")


def test_says_what_to_do_without_a_database(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    with pytest.raises(StorageError, match=r"no_such_database.*CREATE DATABASE"):
        migrate(mariadb.url("no_such_database"))


def test_says_what_to_do_with_wrong_credentials(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    with pytest.raises(StorageError, match="check user and password"):
        migrate(mariadb.url("mysql", user="nobody_here"))
