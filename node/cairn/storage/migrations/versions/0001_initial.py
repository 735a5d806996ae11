"""The tables of the first release."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = ("blocks", "transactions", "accounts", "pool", "nodes", "meta")
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


def short(length: int) -> TypeEngine[bytes]:
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def medium() -> TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def long() -> TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def required(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    remove_leftovers()
    create_blocks()
    create_transactions()
    create_accounts()
    create_pool()
    create_nodes()
    op.create_table(
        "meta",
        required("key", sa.String(64)),
        required("value", medium()),
        sa.PrimaryKeyConstraint("key"),
        **OPTIONS,
    )


def remove_leftovers() -> None:
    """MySQL keeps the tables of a migration that was killed half-way; none was used yet."""
    bind = op.get_bind()
    for name in set(TABLES) & set(sa.inspect(bind).get_table_names()):
        rows = bind.scalar(
            sa.select(sa.exists(sa.select(sa.literal(1)).select_from(sa.table(name))))
        )
        if rows:
            raise RuntimeError(f"the database has a table {name} that is not Cairn's: use another")
        op.drop_table(name)


def create_blocks() -> None:
    op.create_table(
        "blocks",
        required("hash", fixed(32)),
        required("height", sa.BigInteger),
        required("previous_hash", fixed(32)),
        required("header", fixed(96)),
        required("chain_work", fixed(32)),
        required("status", sa.SmallInteger),
        required("transaction_count", sa.Integer),
        required("chain_transactions", sa.BigInteger),
        required("size_bytes", sa.Integer),
        required("fees", sa.BigInteger),
        required("coinbase_recipient", fixed(20)),
        required("coinbase_amount", sa.BigInteger),
        required("coinbase_extra", short(64)),
        required("received_at", sa.BigInteger),
        required("raw", long()),
        sa.PrimaryKeyConstraint("hash"),
        **OPTIONS,
    )
    op.create_index("blocks_status_height", "blocks", ["status", "height"])
    op.create_index("blocks_status_chain_work", "blocks", ["status", "chain_work"])
    op.create_index("blocks_previous_hash", "blocks", ["previous_hash"])


def create_transactions() -> None:
    op.create_table(
        "transactions",
        required("height", sa.BigInteger),
        required("position", sa.Integer),
        required("id", fixed(32)),
        required("sender", fixed(20)),
        required("recipient", fixed(20)),
        required("amount", sa.BigInteger),
        required("fee", sa.BigInteger),
        required("raw", medium()),
        sa.PrimaryKeyConstraint("height", "position"),
        sa.UniqueConstraint("id", name="transactions_id"),
        **OPTIONS,
    )
    for side in ("sender", "recipient"):
        op.create_index(f"transactions_{side}", "transactions", [side, "height", "position"])


def create_accounts() -> None:
    op.create_table(
        "accounts",
        required("address", fixed(20)),
        required("balance", sa.BigInteger),
        required("next_sequence", sa.BigInteger),
        sa.PrimaryKeyConstraint("address"),
        sqlite_with_rowid=False,
        **OPTIONS,
    )


def create_pool() -> None:
    op.create_table(
        "pool",
        required("id", fixed(32)),
        required("sender", fixed(20)),
        required("recipient", fixed(20)),
        required("sequence", sa.BigInteger),
        required("amount", sa.BigInteger),
        required("fee", sa.BigInteger),
        required("fee_rate", sa.BigInteger),
        required("size_bytes", sa.Integer),
        required("received_at", sa.BigInteger),
        required("raw", medium()),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("pool_fee_rate", "pool", ["fee_rate", "id"])
    op.create_index("pool_received_at", "pool", ["received_at", "id", "size_bytes"])
    op.create_index("pool_sender", "pool", ["sender", "sequence"])
    op.create_index("pool_recipient", "pool", ["recipient", "amount"])


def create_nodes() -> None:
    op.create_table(
        "nodes",
        required("curve_key", sa.String(40)),
        required("record", medium()),
        required("name", sa.String(128)),
        required("url", sa.String(1024)),
        required("publish", sa.String(512)),
        required("request", sa.String(512)),
        required("address", fixed(20)),
        required("version", sa.String(128)),
        required("state", sa.String(16)),
        required("height", sa.BigInteger),
        required("lag_milliseconds", sa.BigInteger),
        required("score", sa.Integer),
        required("banned_until", sa.BigInteger),
        required("first_seen", sa.BigInteger),
        required("last_seen", sa.BigInteger),
        sa.PrimaryKeyConstraint("curve_key"),
        **OPTIONS,
    )
