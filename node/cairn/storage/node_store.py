"""`cairn.chain.node_store.NodeStore` on a database."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from sqlalchemy import Connection, Engine, delete, select

from cairn.chain.node_store import NodeRow
from cairn.storage import dialect
from cairn.storage.session import Session
from cairn.storage.tables import nodes

_FIELDS = tuple(field.name for field in fields(NodeRow))
_COLUMNS = tuple(nodes.c[name] for name in _FIELDS)
_values_of = attrgetter(*nodes.c.keys())


class SqlNodeStore:
    """The nodes this one knows. Failures raise StorageError."""

    def __init__(self, engine: Engine) -> None:
        self._session = Session(engine)

    def load_nodes(self) -> list[NodeRow]:
        """Every known node, in the order first seen."""
        with self._session.reading() as connection:
            return select_nodes(connection)

    def save_nodes(self, rows: Sequence[NodeRow]) -> None:
        """Inserts or replaces rows by `curve_key`, in one database transaction."""
        if not rows:
            return
        with self._session.transaction(), self._session.writing() as connection:
            dialect.upsert_rows(connection, nodes, [_values_of(row) for row in rows])

    def delete_nodes(self, curve_keys: Sequence[str]) -> None:
        """Forgets nodes."""
        if not curve_keys:
            return
        with self._session.transaction(), self._session.writing() as connection:
            connection.execute(delete(nodes).where(nodes.c.curve_key.in_(curve_keys)))


def select_nodes(connection: Connection) -> list[NodeRow]:
    """Every known node, in the order first seen."""
    statement = select(*_COLUMNS).order_by(nodes.c.first_seen, nodes.c.curve_key)
    return [NodeRow(*row) for row in connection.execute(statement)]
