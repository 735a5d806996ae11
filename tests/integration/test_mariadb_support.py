"""The private MariaDB server that other tests stand on: it is real, private, and keeps its word."""

from __future__ import annotations

from collections.abc import Iterator

import MySQLdb
import pytest
import sqlalchemy
from sqlalchemy import text

from tests.support.mariadb import MariaDBError, PrivateMariaDB, find_program


@pytest.fixture
def engine(database_url: str) -> Iterator[sqlalchemy.Engine]:
    """An engine on the empty database of this test."""
    made = sqlalchemy.create_engine(database_url)
    yield made
    made.dispose()


def test_gives_an_empty_database_that_keeps_rows(engine: sqlalchemy.Engine) -> None:
    assert sqlalchemy.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stones (height INTEGER PRIMARY KEY, name TEXT)"))
        connection.execute(text("INSERT INTO stones VALUES (1, 'größe 石')"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM stones")).all() == [(1, "größe 石")]


def test_gives_the_next_test_a_new_database(engine: sqlalchemy.Engine) -> None:
    assert "stones" not in sqlalchemy.inspect(engine).get_table_names()


def test_listens_on_its_socket_alone(mariadb: PrivateMariaDB) -> None:
    assert mariadb.execute("SELECT @@skip_networking") == [(1,)]
    assert mariadb.socket_path.is_socket()


def test_commits_durably(mariadb: PrivateMariaDB) -> None:
    settings = "SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite"
    assert mariadb.execute(settings) == [(1, 1)]


def test_keeps_committed_rows_when_killed_and_restarted() -> None:
    with PrivateMariaDB() as server:
        server.create_database("ledger")
        server.execute("CREATE TABLE ledger.entries (id INT PRIMARY KEY) ENGINE=InnoDB")
        server.execute("INSERT INTO ledger.entries VALUES (7)")
        server.kill()
        assert not server.is_running
        with pytest.raises(MySQLdb.OperationalError):
            server.execute("SELECT 1")
        server.restart()
        assert server.execute("SELECT id FROM ledger.entries") == [(7,)]
        folder = server.folder
    assert not folder.exists()


def test_refuses_a_name_that_would_need_quoting(mariadb: PrivateMariaDB) -> None:
    with pytest.raises(MariaDBError, match="not a plain database name"):
        mariadb.create_database("a`; DROP DATABASE mysql; --")


def test_names_the_package_that_brings_a_missing_server() -> None:
    with pytest.raises(MariaDBError, match=r"apt-get install .* mariadb-server-core"):
        find_program("mariadb-server-core", "cairn-no-such-database-server")
