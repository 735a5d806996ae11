"""Connections: durable for the writer, harmless for readers, plain-spoken when they fail."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from cairn.chain.store import BlockStatus
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.errors import StorageError, StorageUnavailable
from cairn.storage.migrate import migrate
from cairn.storage.queries import Queries
from tests.integration.storage.ledger import Ledger
from tests.support.builders import ChainBuilder, make_key
from tests.support.mariadb import PrivateMariaDB

SECONDS = 60


@pytest.fixture
def reader(database_url: str, engine: Engine) -> Iterator[Engine]:
    """A read-only engine on the migrated database."""
    reader = open_engine(database_url, read_only=True)
    yield reader
    reader.dispose()


def test_a_read_only_engine_cannot_write(reader: Engine) -> None:
    with pytest.raises(StorageError, match="read-only; only the listener writes"):
        SqlChainStore(reader).check_network(bytes(32))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM blocks",
        "INSERT INTO meta VALUES ('a', 'b')",
        "UPDATE accounts SET balance = 1",
        "DROP TABLE meta",
        "CREATE TABLE more (a INT)",
    ],
)
def test_a_read_only_connection_refuses(reader: Engine, statement: str) -> None:
    with reader.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text(statement))


def test_readers_go_on_while_the_writer_writes(
    ledger: Ledger, chain: ChainBuilder, reader: Engine
) -> None:
    queries = Queries(reader)
    block = chain.mine()
    with ledger.store.transaction():
        ledger.insert(block)
        ledger.connect(block)
        before = queries.tip()
        assert queries.block_by_hash(block.hash) is None
    after = queries.tip()
    assert before is not None
    assert after is not None
    assert (before.height, after.height) == (0, 1)


def test_the_writer_goes_on_while_readers_read(
    ledger: Ledger, chain: ChainBuilder, reader: Engine
) -> None:
    block = chain.mine()
    count = text("SELECT COUNT(*) FROM blocks")
    with reader.connect() as connection:
        assert connection.scalar(count) == 1
        ledger.extend(block)
        assert connection.scalar(count) == 1, "one connection sees one state"
    assert ledger.store.tip() == ledger.entry(block, BlockStatus.ACTIVE)
    with reader.connect() as connection:
        assert connection.scalar(count) == 2


def test_many_threads_may_ask_at_once(ledger: Ledger, reader: Engine) -> None:
    queries = Queries(reader)
    found: list[object] = []

    def ask() -> None:
        found.extend(queries.tip() for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert found == [queries.tip()] * 240


def test_sqlite_commits_survive_a_power_cut(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    engine = open_engine(url)
    with engine.connect() as connection:
        pragmas = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_sqlite_waits_for_another_that_writes_to_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "cairn.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")  # not written ahead of yet: SQLite refuses at once to change
    threading.Timer(0.3, writer.execute, ["COMMIT"]).start()
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()
    writer.close()


def test_sqlite_readers_work_after_the_writer_has_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    writer = open_engine(url)
    Ledger(SqlChainStore(writer)).start()
    writer.dispose()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cairn.db"]
    reader = open_engine(url, read_only=True)
    tip = Queries(reader).tip()
    reader.dispose()
    assert tip is not None
    assert tip.height == 0


def test_sqlite_paths_may_hold_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20?#ä'\""
    folder.mkdir()
    file = folder / "cairn.db"
    url = "sqlite:///" + str(file).replace("%", "%25").replace("?", "%3F")
    migrate(str(url))
    assert file.exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_sqlite_does_not_make_a_database_by_itself(tmp_path: Path, read_only: bool) -> None:
    file = tmp_path / "cairn.db"
    engine = open_engine(f"sqlite:///{file}", read_only)
    with pytest.raises(StorageError, match="run `cairn db migrate`"):
        Queries(engine).tip()
    assert not file.exists()


def test_sqlite_names_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "cairn.db"
    file.write_text("certainly not a database, " * 100)
    engine = open_engine(f"sqlite:///{file}")
    with pytest.raises(StorageError, match="no SQLite database"):
        Queries(engine).tip()
    engine.dispose()


def test_sqlite_on_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    engine = open_engine(url)

    @event.listens_for(engine, "connect")
    def limit(connection: object, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 30")  # what is there, and a little

    ledger = Ledger(SqlChainStore(engine))
    ledger.start()
    chain = ChainBuilder(ledger.params)

    def fill() -> None:
        for number in range(60):
            sent = chain.send(make_key(number % 10), bytes(20), 1, 9_999, bytes(1_000))
            ledger.extend(chain.mine([sent]))

    with pytest.raises(StorageUnavailable, match="free some space"):
        fill()
    tip = ledger.store.tip()
    assert tip is not None
    assert tip.height == len(chain.blocks) - 1, "all but the last, which did not fit"
    engine.dispose()


def test_sqlite_names_a_damaged_file(tmp_path: Path) -> None:
    file = tmp_path / "cairn.db"
    migrate(f"sqlite:///{file}")
    with file.open("r+b") as handle:
        handle.seek(4_096)
        handle.write(b"\xff" * 60_000)
    engine = open_engine(f"sqlite:///{file}")
    with pytest.raises(StorageError, match="damaged: restore a backup"):
        Queries(engine).tip()
    engine.dispose()


def test_tables_that_are_missing_name_the_command(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    mariadb.drop_database("empty_one")
    engine = open_engine(mariadb.create_database("empty_one"))
    with pytest.raises(StorageError, match="run `cairn db migrate`"):
        Queries(engine).tip()
    engine.dispose()


def test_mariadb_refuses_values_that_do_not_fit(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    mariadb.drop_database("strict_one")
    url = mariadb.create_database("strict_one")
    mariadb.execute("SET GLOBAL sql_mode = ''")
    try:
        migrate(url)
        engine = open_engine(url)
        with engine.connect() as connection, pytest.raises(DBAPIError, match="too long"):
            connection.execute(text(f"INSERT INTO meta VALUES ('{'k' * 65}', 'v')"))
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT @@tx_isolation")) == "READ-COMMITTED"
        engine.dispose()
    finally:
        mariadb.execute("SET GLOBAL sql_mode = DEFAULT")


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    url = f"mysql+mysqldb://root@/cairn?unix_socket={tmp_path / 'nothing'}"
    with pytest.raises(StorageUnavailable):
        Queries(open_engine(url)).tip()


def test_a_server_that_takes_too_short_statements_is_named(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    mariadb.drop_database("narrow_one")
    url = mariadb.create_database("narrow_one")
    mariadb.execute("SET GLOBAL max_allowed_packet = 2097152")
    try:
        with pytest.raises(StorageError, match=r"2097152 .*max_allowed_packet = 16M") as caught:
            migrate(url)
        assert not isinstance(caught.value, StorageUnavailable)
    finally:
        mariadb.execute("SET GLOBAL max_allowed_packet = DEFAULT")
