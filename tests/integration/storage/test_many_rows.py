"""Statements of many rows, on every database: nothing is lost, changed or read as SQL."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection, Engine, Table, event, func, select

from cairn.storage.dialect import (
    STATEMENT_CHARACTERS,
    chunks,
    delete_in,
    insert_missing_rows,
    insert_rows,
    select_in,
    upsert_rows,
)
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.tables import accounts, meta
from tests.support.mariadb import PrivateMariaDB

Insert = Callable[[Connection, Table, Sequence[Sequence[object]]], None]
NASTY = [
    "'; DROP TABLE meta; --",
    "%s %(name)s %% ? :name",
    "\\' \\0 \\n \" ` $$",
    "ü 🪨 \u200d",
    " leading and trailing ",
    "",
]


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


@pytest.mark.parametrize("insert", [insert_rows, insert_missing_rows, upsert_rows])
def test_writes_any_text_and_any_bytes(engine: Engine, insert: Insert) -> None:
    every_byte = bytes(range(256))
    rows = [(text, text.encode() + every_byte) for text in NASTY]
    with engine.begin() as connection:
        insert(connection, meta, rows)
    with engine.connect() as connection:
        found = {tuple(row) for row in connection.execute(select(meta.c.key, meta.c.value))}
    assert found == set(rows)


@pytest.mark.parametrize("insert", [insert_rows, insert_missing_rows, upsert_rows])
def test_writes_more_rows_than_one_statement_takes(engine: Engine, insert: Insert) -> None:
    rows = [(f"key {number}", bytes([number % 256]) * 1_000) for number in range(1_500)]
    assert sum(len(value) for _, value in rows) > STATEMENT_CHARACTERS
    with engine.begin() as connection:
        insert(connection, meta, rows)
    with engine.connect() as connection:
        found = {tuple(row) for row in connection.execute(select(meta.c.key, meta.c.value))}
    assert found == set(rows)


def test_writes_the_least_and_greatest_integers(engine: Engine) -> None:
    rows = [(address(1), 2**63 - 1, 0), (address(2), -(2**63), 1)]
    with engine.begin() as connection:
        insert_rows(connection, accounts, rows)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(select(accounts))] == rows


def test_upsert_replaces_and_insert_missing_keeps(engine: Engine) -> None:
    old = [(address(number), number, 0) for number in range(5)]
    new = [(address(number), 100 + number, 9) for number in range(3, 8)]
    with engine.begin() as connection:
        insert_rows(connection, accounts, old)
        insert_missing_rows(connection, accounts, new)
        kept = [tuple(row) for row in connection.execute(select(accounts))]
        upsert_rows(connection, accounts, new)
        replaced = [tuple(row) for row in connection.execute(select(accounts))]
    assert kept == [*old, *new[2:]]
    assert replaced == [*old[:3], *new]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1_700])
def test_selects_and_deletes_among_many_keys(engine: Engine, count: int) -> None:
    wanted = {address(number) for number in range(count)}
    others = {address(number) for number in range(10_000, 10_005)}
    with engine.begin() as connection:
        insert_rows(connection, accounts, [(each, 1, 1) for each in sorted(wanted | others)])
        found = {
            row[0]
            for chunk in chunks(wanted)
            for row in select_in(connection, [accounts.c.address], accounts.c.address, chunk)
        }
        delete_in(connection, accounts.c.address, wanted)
        left = set(connection.scalars(select(accounts.c.address)))
    assert found == wanted
    assert left == others


def test_mariadb_gets_few_statements(mariadb: PrivateMariaDB) -> None:
    mariadb.start()
    mariadb.drop_database("few_statements")
    url = mariadb.create_database("few_statements")
    migrate(url)
    engine = open_engine(url)
    sent = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    with engine.begin() as connection:
        upsert_rows(connection, accounts, [(address(number), 1, 1) for number in range(4_000)])
        assert len(sent) == 1
        assert connection.scalar(select(func.count()).select_from(accounts)) == 4_000
    engine.dispose()


@pytest.mark.parametrize("wrong", ["1", 1.5, None, b"1"])
def test_mariadb_takes_no_value_of_another_kind(mariadb: PrivateMariaDB, wrong: object) -> None:
    mariadb.start()
    mariadb.drop_database("kinds")
    url = mariadb.create_database("kinds")
    migrate(url)
    engine = open_engine(url)
    for rows in (
        [(address(1), 1, 1), (address(2), wrong, 1)],
        [(address(1), 1, 1), (5, 1, 1)],
        [(None, 1, 1)],
    ):
        with engine.begin() as connection, pytest.raises(TypeError):
            insert_rows(connection, accounts, rows)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(accounts)) == 0
    engine.dispose()
