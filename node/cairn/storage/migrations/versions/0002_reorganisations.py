"""A journal of what each reorganisation undid."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLE = "reorganisations"
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def fixed(length: int) -> TypeEngine[bytes]:
    return sa.LargeBinary(length).with_variant(mysql.BINARY(length), "mysql", "mariadb")


def required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def upgrade() -> None:
    remove_leftover()
    op.create_table(
        TABLE,
        required("number", sa.BigInteger),
        required("happened_at", sa.BigInteger),
        required("fork_height", sa.BigInteger),
        *(required(name, fixed(32)) for name in ("fork_hash", "old_tip", "new_tip")),
        *(required(name, fixed(32)) for name in ("old_work", "new_work")),
        required("blocks_undone", sa.Integer),
        required("blocks_connected", sa.Integer),
        required("transactions_undone", sa.Integer),
        required("transactions_mined_again", sa.Integer),
        required("transactions_returned", sa.Integer),
        sa.PrimaryKeyConstraint("number"),
        **OPTIONS,
    )


def remove_leftover() -> None:
    """MySQL keeps the table of a migration that was killed half-way; it was never used."""
    bind = op.get_bind()
    if TABLE not in sa.inspect(bind).get_table_names():
        return
    if bind.scalar(sa.select(sa.exists(sa.select(sa.literal(1)).select_from(sa.table(TABLE))))):
        raise RuntimeError(f"the database has a table {TABLE} that is not Cairn's: use another")
    op.drop_table(TABLE)
