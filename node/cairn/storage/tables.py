"""The tables. Migrations make them; a test holds both to the same.

`blocks.raw` is the truth: `accounts` and `transactions` are what replaying the active chain
gives, and can be rebuilt from it. Amounts and balances are base units; every one that a rule
let in lies below 2^63. A transaction's own timestamp is any 64-bit number and never a column.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

SCHEMA_REVISION = "0002"
"""The newest migration, known without loading Alembic."""

MAX_INTEGER = 2**63 - 1
"""What a BIGINT holds. Numbers of a block that no rule has judged yet are cut to it."""

NETWORK_KEY = "network_id"
"""Row of `meta` that says which network's chain this is."""

_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",  # Z85 keys differ by case alone
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _fixed(length: int) -> TypeEngine[bytes]:
    """Exactly `length` bytes."""
    return LargeBinary(length).with_variant(mysql.BINARY(length), "mysql", "mariadb")


def _short(length: int) -> TypeEngine[bytes]:
    """At most `length` bytes."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def _medium() -> TypeEngine[bytes]:
    """Up to 16 MiB: a transaction, whose data alone may fill a BLOB's 64 KiB."""
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def _long() -> TypeEngine[bytes]:
    return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


metadata = MetaData()

blocks = Table(
    "blocks",
    metadata,
    Column("hash", _fixed(32), nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("previous_hash", _fixed(32), nullable=False),
    Column("header", _fixed(96), nullable=False),
    Column("chain_work", _fixed(32), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("transaction_count", Integer, nullable=False),
    Column("chain_transactions", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("fees", BigInteger, nullable=False),
    Column("coinbase_recipient", _fixed(20), nullable=False),
    Column("coinbase_amount", BigInteger, nullable=False),
    Column("coinbase_extra", _short(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("raw", _long(), nullable=False),
    PrimaryKeyConstraint("hash"),
    Index("blocks_status_height", "status", "height"),
    Index("blocks_status_chain_work", "status", "chain_work"),
    Index("blocks_previous_hash", "previous_hash"),
    **_MYSQL,
)
"""Every stored block. `chain_work` is big-endian, so that bytes order as numbers do;
`chain_transactions` counts those of the chain up to and including the block."""

transactions = Table(
    "transactions",
    metadata,
    Column("height", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("id", _fixed(32), nullable=False),
    Column("sender", _fixed(20), nullable=False),
    Column("recipient", _fixed(20), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("raw", _medium(), nullable=False),
    PrimaryKeyConstraint("height", "position"),
    UniqueConstraint("id", name="transactions_id"),
    Index("transactions_sender", "sender", "height", "position"),
    Index("transactions_recipient", "recipient", "height", "position"),
    **_MYSQL,
)
"""The active chain's transactions; `position` counts from 0 within the block."""

accounts = Table(
    "accounts",
    metadata,
    Column("address", _fixed(20), nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("next_sequence", BigInteger, nullable=False),
    PrimaryKeyConstraint("address"),
    sqlite_with_rowid=False,
    **_MYSQL,
)
"""State at the tip. Accounts that are all zero have no row."""

pool = Table(
    "pool",
    metadata,
    Column("id", _fixed(32), nullable=False),
    Column("sender", _fixed(20), nullable=False),
    Column("recipient", _fixed(20), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("fee_rate", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("raw", _medium(), nullable=False),
    PrimaryKeyConstraint("id"),
    Index("pool_fee_rate", "fee_rate", "id"),
    Index("pool_received_at", "received_at", "id", "size_bytes"),
    Index("pool_sender", "sender", "sequence"),
    Index("pool_recipient", "recipient", "amount"),
    **_MYSQL,
)
"""Waiting transactions. `fee_rate` is base units per byte times 2^20, rounded down."""

nodes = Table(
    "nodes",
    metadata,
    Column("curve_key", String(40), nullable=False),
    Column("record", _medium(), nullable=False),
    Column("name", String(128), nullable=False),
    Column("url", String(1024), nullable=False),
    Column("publish", String(512), nullable=False),
    Column("request", String(512), nullable=False),
    Column("address", _fixed(20), nullable=False),
    Column("version", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("lag_milliseconds", BigInteger, nullable=False),
    Column("score", Integer, nullable=False),
    Column("banned_until", BigInteger, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    PrimaryKeyConstraint("curve_key"),
    **_MYSQL,
)
"""The fields of `cairn.chain.node_store.NodeRow`."""

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), nullable=False),
    Column("value", _medium(), nullable=False),
    PrimaryKeyConstraint("key"),
    **_MYSQL,
)
"""Single facts about this database, such as the network it belongs to."""

reorganisations = Table(
    "reorganisations",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("happened_at", BigInteger, nullable=False),
    Column("fork_height", BigInteger, nullable=False),
    Column("fork_hash", _fixed(32), nullable=False),
    Column("old_tip", _fixed(32), nullable=False),
    Column("new_tip", _fixed(32), nullable=False),
    Column("old_work", _fixed(32), nullable=False),
    Column("new_work", _fixed(32), nullable=False),
    Column("blocks_undone", Integer, nullable=False),
    Column("blocks_connected", Integer, nullable=False),
    Column("transactions_undone", Integer, nullable=False),
    Column("transactions_mined_again", Integer, nullable=False),
    Column("transactions_returned", Integer, nullable=False),
    PrimaryKeyConstraint("number"),
    **_MYSQL,
)
"""The last moves of the tip that undid blocks, numbered from 1; the fields of
`cairn.chain.store.Reorganisation`. A journal: no block tells what this node once followed."""
