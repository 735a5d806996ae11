"""The kept reorganisations: written by the chain's store, read by `Queries`."""

from dataclasses import astuple, fields
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from cairn.chain.store import Reorganisation
from cairn.storage.answers import NumberedReorganisation
from cairn.storage.dialect import insert_rows
from cairn.storage.tables import reorganisations

MAX_KEPT = 1_000
_WORK_BYTES = 32
_NAMES = tuple(field.name for field in fields(Reorganisation))
_WORKS = ("old_work", "new_work")
_COLUMNS = (reorganisations.c.number, *(reorganisations.c[name] for name in _NAMES))


def write(connection: Connection, record: Reorganisation) -> None:
    """Adds a record under the next number; of the oldest, more than `MAX_KEPT` are deleted."""
    number = 1 + (connection.scalar(select(func.max(reorganisations.c.number))) or 0)
    values = (
        value.to_bytes(_WORK_BYTES, "big") if name in _WORKS else value
        for name, value in zip(_NAMES, astuple(record), strict=True)
    )
    insert_rows(connection, reorganisations, [(number, *values)])
    old = reorganisations.c.number <= number - MAX_KEPT
    connection.execute(delete(reorganisations).where(old))


def read(connection: Connection, before: int | None, limit: int) -> list[NumberedReorganisation]:
    """The records below a number (None: from the last), newest first."""
    statement = select(*_COLUMNS)
    if before is not None:
        statement = statement.where(reorganisations.c.number < before)
    rows = connection.execute(statement.order_by(reorganisations.c.number.desc()).limit(limit))
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> NumberedReorganisation:
    named: dict[str, Any] = dict(zip(_NAMES, row[1:], strict=True))
    for name in _WORKS:
        named[name] = int.from_bytes(named[name], "big")
    return NumberedReorganisation(row[0], Reorganisation(**named))
