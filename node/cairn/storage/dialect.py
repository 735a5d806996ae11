"""Where SQLite and MySQL differ: many rows in one statement, and the size of IN lists.

The statements for many rows are driver-level texts, as mysqlclient joins `executemany` into
multi-row INSERTs only when it recognises them, and SQLAlchemy's own upsert for MySQL 8 is
not among those.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import islice

from sqlalchemy import Connection, Table

IN_LIST_CHUNK = 1_000
"""Below SQLite's 32,766 variables and, at 64 bytes each, far below any packet limit."""

Row = Sequence[object]
"""One value per column of the table, in the table's order."""


def chunks(values: Collection[bytes], size: int = IN_LIST_CHUNK) -> Iterator[list[bytes]]:
    """The values in lists of at most `size`."""
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows; one that is there already is an error."""
    _execute(connection, _insert(table, connection.dialect.name, ""), rows)


def insert_missing_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts those rows whose primary key is not there yet."""
    key = table.primary_key.columns.keys()[0]
    name = connection.dialect.name
    # MySQL's INSERT IGNORE would also swallow values that do not fit.
    tail = (
        "ON CONFLICT DO NOTHING"
        if name == "sqlite"
        else f"ON DUPLICATE KEY UPDATE `{key}` = `{table.name}`.`{key}`"
    )
    _execute(connection, _insert(table, name, tail), rows)


def upsert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows, or replaces those with the same primary key."""
    name = connection.dialect.name
    _execute(connection, _insert(table, name, _upsert_tail(table, name)), rows)


def _execute(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    if rows:
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])


@cache
def _insert(table: Table, name: str, tail: str) -> str:
    quote, marker = ('"', "?") if name == "sqlite" else ("`", "%s")
    columns = ", ".join(f"{quote}{column}{quote}" for column in table.columns.keys())
    values = ", ".join(marker for _ in table.columns)
    # Names come from tables.py, values are bound.
    return f"INSERT INTO {quote}{table.name}{quote} ({columns}) VALUES ({values}) {tail}"  # noqa: S608


@cache
def _upsert_tail(table: Table, name: str) -> str:
    keys = table.primary_key.columns.keys()
    others = [column for column in table.columns.keys() if column not in keys]
    if name == "sqlite":
        joined = ", ".join(f'"{key}"' for key in keys)
        changes = ", ".join(f'"{column}" = excluded."{column}"' for column in others)
        return f"ON CONFLICT ({joined}) DO UPDATE SET {changes}"
    changes = ", ".join(f"`{column}` = VALUES(`{column}`)" for column in others)
    return f"ON DUPLICATE KEY UPDATE {changes}"
