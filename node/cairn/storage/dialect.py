"""Where SQLite and MySQL differ: many rows or many keys in one statement.

These statements are driver-level texts. On MySQL the values stand in them as hexadecimal and
decimal literals: mysqlclient quotes parameters one by one in Python, which for a full block
takes longer than the server's own work. Only bytes and integers are ever written so.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from itertools import islice
from operator import index
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Table,
    and_,
    or_,
    tuple_,
)

IN_LIST_CHUNK = 500
"""Below SQLite's 32,766 variables, and below the 1,000 from which MariaDB turns an IN list
into a join."""

STATEMENT_CHARACTERS = 1_000_000
"""Where a multi-row statement is cut: far below the 16 MiB that servers accept by default."""

Values = Sequence[object]
"""One value per column of the table, in the table's order."""


def chunks(values: Collection[bytes]) -> Iterator[list[bytes]]:
    """The values in lists short enough for an IN list."""
    remaining = iter(values)
    while chunk := list(islice(remaining, IN_LIST_CHUNK)):
        yield chunk


def insert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Inserts rows; one that is there already is an error."""
    _insert(connection, table, rows, "")


def insert_missing_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Inserts those rows whose primary key is not there yet."""
    if _is_sqlite(connection):
        _insert(connection, table, rows, "ON CONFLICT DO NOTHING")
        return
    key = f"`{next(iter(table.primary_key)).name}`"
    # MySQL's INSERT IGNORE would also swallow values that do not fit.
    _insert(connection, table, rows, f"ON DUPLICATE KEY UPDATE {key} = `{table.name}`.{key}")


def upsert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Inserts rows, or replaces those with the same primary key."""
    _insert(connection, table, rows, _upsert_tail(table, _is_sqlite(connection)))


def select_in(
    connection: Connection,
    columns: Sequence[Column[Any]],
    key: Column[bytes],
    keys: Sequence[bytes],
) -> Sequence[Any]:
    """These columns of the rows whose `key` is among `keys`, at most `IN_LIST_CHUNK`."""
    quote = '"' if _is_sqlite(connection) else "`"
    names = ", ".join(f"{quote}{column.name}{quote}" for column in columns)
    return _execute_in(connection, f"SELECT {names} FROM", key, keys).fetchall()


def delete_in(connection: Connection, key: Column[bytes], keys: Collection[bytes]) -> None:
    """Deletes the rows whose `key` is among these."""
    for chunk in chunks(keys):
        _execute_in(connection, "DELETE FROM", key, chunk)


def beyond(
    is_sqlite: bool, columns: tuple[Column[Any], Column[Any]], values: tuple[Any, Any], up: bool
) -> ColumnElement[bool]:
    """Whether a pair of columns sorts after (`up`) or before a pair of values.

    SQLite walks an index by a comparison of pairs, MySQL only by its parts.
    """
    if is_sqlite:
        pair, bound = tuple_(*columns), tuple_(*values)
        return pair > bound if up else pair < bound
    (first, second), (at, then) = columns, values
    if up:
        return or_(first > at, and_(first == at, second > then))
    return or_(first < at, and_(first == at, second < then))


def is_within(is_sqlite: bool, column: Column[Any], value: object) -> ColumnElement[bool]:
    """`column == value`, for the first column of a list that goes on from a row: by it as well, the
    list is then to be ordered.

    MariaDB may take an equality as leave to walk all rows of the value from the index's end to
    that row; a range, which it does not see to be one value, it begins at the row.
    """
    return column == value if is_sqlite else and_(column >= value, column <= value)


def _execute_in(
    connection: Connection, verb: str, key: Column[bytes], keys: Sequence[bytes]
) -> CursorResult[Any]:
    if _is_sqlite(connection):
        marks = ", ".join("?" * len(keys))
        statement = f'{verb} "{key.table.name}" WHERE "{key.name}" IN ({marks})'
        return connection.exec_driver_sql(statement, tuple(keys))
    literals = ", ".join([f"x'{value.hex()}'" for value in keys])
    statement = f"{verb} `{key.table.name}` WHERE `{key.name}` IN ({literals})"
    return connection.exec_driver_sql(statement)


def _insert(connection: Connection, table: Table, rows: Sequence[Values], tail: str) -> None:
    if not rows:
        return
    if _is_sqlite(connection):
        marks = ", ".join("?" * len(table.columns))
        head = _insert_head(table, '"')
        statement = f"{head} ({marks}) {tail}"
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
        return
    head = _insert_head(table, "`")
    batch: list[str] = []
    length = 0
    for literals in _literals(rows):
        batch.append(literals)
        length += len(literals)
        if length > STATEMENT_CHARACTERS:
            connection.exec_driver_sql(f"{head} {','.join(batch)} {tail}")
            batch, length = [], 0
    if batch:
        connection.exec_driver_sql(f"{head} {','.join(batch)} {tail}")


def _literals(rows: Sequence[Values]) -> Iterator[str]:
    """Rows as MySQL reads them, with nothing in a value that could be read as anything else.

    A column's first value gives its kind; another kind below it raises TypeError.
    """
    kinds = [_KINDS[_kind(value)] for value in rows[0]]
    template = f"({','.join(form for form, _ in kinds)})"
    columns = [
        map(convert, column)
        for (_, convert), column in zip(kinds, zip(*rows, strict=True), strict=True)
    ]
    return map(template.__mod__, zip(*columns, strict=True))


def _kind(value: object) -> type:
    for kind in _KINDS:
        if isinstance(value, kind):
            return kind
    raise TypeError(f"no way to write a {type(value).__name__}")


_KINDS: dict[type, tuple[str, Callable[[Any], object]]] = {
    bytes: ("x'%s'", bytes.hex),
    int: ("%d", index),
    str: ("CONVERT(x'%s' USING utf8mb4)", lambda text: text.encode().hex()),
}
"""How a value of each kind is written, and what makes hexadecimal or decimal digits of it."""


@cache
def _insert_head(table: Table, quote: str) -> str:
    names = ", ".join(f"{quote}{column.name}{quote}" for column in table.columns)
    return f"INSERT INTO {quote}{table.name}{quote} ({names}) VALUES"


@cache
def _upsert_tail(table: Table, sqlite: bool) -> str:
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    if sqlite:
        joined = ", ".join(f'"{key}"' for key in keys)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
        return f"ON CONFLICT ({joined}) DO UPDATE SET {changes}"
    changes = ", ".join(f"`{name}` = VALUES(`{name}`)" for name in others)
    return f"ON DUPLICATE KEY UPDATE {changes}"


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
