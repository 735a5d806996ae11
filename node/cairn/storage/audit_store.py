"""The doctor's view of the database: every row as it stands, and the means to set it right.

Reads are pages along an index, so memory stays bounded whatever the database's size.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from sqlalchemy import Connection, delete, func, or_, select, update

from cairn.chain.audit_store import IndexRow, StoredBlock, StoredPoolRow
from cairn.chain.pool import fee_rate
from cairn.chain.replay import block_columns
from cairn.chain.store import BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.ledger import Account
from cairn.consensus.transaction import Transaction
from cairn.storage.dialect import insert_rows
from cairn.storage.engine import IMMEDIATE, open_engine, open_migration_engine
from cairn.storage.errors import translated
from cairn.storage.tables import accounts, blocks, meta, pool, transactions

_PAGE_HEIGHTS = 512
_PAGE_ROWS = 500
_PAGE_ACCOUNTS = 5_000
_BYTES_AT_ONCE = 64
"""Blocks whose bytes are asked for in one statement."""
_IDS_AT_ONCE = 500
_STATUSES = tuple(int(status) for status in BlockStatus)
_BLOCK_COLUMNS = (
    *(blocks.c[name] for name in StoredBlock.__slots__ if name != "raw_length"),
    func.length(blocks.c.raw).label("raw_length"),
)


@contextmanager
def open_audit_store(url: str) -> Iterator["SqlAuditStore"]:
    """A store that reads one snapshot of the database at `url`. Raises StorageError."""
    engine = open_engine(url, read_only=True)
    try:
        with translated(), engine.connect() as connection:
            yield SqlAuditStore(connection)
    finally:
        engine.dispose()


@contextmanager
def open_repair_store(url: str) -> Iterator["SqlRepairStore"]:
    """A store that may rewrite the database at `url`. Raises StorageError."""
    engine = open_migration_engine(url)  # its statements may take long
    try:
        with translated(), engine.connect() as plain:
            yield SqlRepairStore(plain.execution_options(**{IMMEDIATE: True}))
    finally:
        engine.dispose()


class SqlAuditStore:
    """`cairn.chain.audit_store.AuditStore` over one connection, in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def network_id(self) -> bytes | None:
        """What the database says it belongs to."""
        query = select(meta.c.value).where(meta.c.key == "network_id")
        found = self._connection.execute(query).scalar()
        return bytes(found) if found is not None else None

    def block_count(self) -> int:
        """Rows of `blocks`."""
        return int(self._connection.execute(select(func.count()).select_from(blocks)).scalar_one())

    def blocks(self) -> Iterator[StoredBlock]:
        """Every block, by height, then hash."""
        strange = self._strange_rows()
        yield from sorted(
            (row for row in strange if row.height < 0), key=lambda row: (row.height, row.hash)
        )
        height = self._next_height(-1, strange)
        while height is not None:
            last = height + _PAGE_HEIGHTS - 1
            # Asked by status, since the index on heights has that first.
            query = select(*_BLOCK_COLUMNS).where(
                blocks.c.status.in_(_STATUSES), blocks.c.height.between(height, last)
            )
            rows = [_stored_block(row) for row in self._connection.execute(query)]
            rows += [row for row in strange if height <= row.height <= last]
            yield from sorted(rows, key=lambda row: (row.height, row.hash))
            height = self._next_height(last, strange)

    def _strange_rows(self) -> list[StoredBlock]:
        """Blocks of a status or height that no healthy node writes."""
        unknown = or_(blocks.c.status.not_in(_STATUSES), blocks.c.height < 0)
        query = select(*_BLOCK_COLUMNS).where(unknown)
        return [_stored_block(row) for row in self._connection.execute(query)]

    def _next_height(self, after: int, strange: Sequence[StoredBlock]) -> int | None:
        """The least height above `after` that any block has."""
        found = [row.height for row in strange if row.height > after]
        for status in _STATUSES:
            query = select(func.min(blocks.c.height)).where(
                blocks.c.status == status, blocks.c.height > after
            )
            least = self._connection.execute(query).scalar()
            if least is not None:
                found.append(int(least))
        return min(found, default=None)

    def block_bytes(self, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored bytes of these blocks."""
        found: dict[bytes, bytes] = {}
        for chunk in _chunks(hashes, _BYTES_AT_ONCE):
            query = select(blocks.c.hash, blocks.c.raw).where(blocks.c.hash.in_(chunk))
            for block_hash, raw in self._connection.execute(query):
                found[bytes(block_hash)] = bytes(raw)
        return found

    def index_rows(self) -> Iterator[IndexRow]:
        """The whole index of mined transactions, by height, then position."""
        c = transactions.c
        columns = [c[name] for name in IndexRow.__slots__]
        last: IndexRow | None = None
        while True:
            query = select(*columns).order_by(c.height, c.position).limit(_PAGE_ROWS)
            if last is not None:
                beyond = or_(c.height > last.height, c.position > last.position)
                query = query.where(c.height >= last.height, beyond)
            page = [IndexRow(*row) for row in self._connection.execute(query)]
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            last = page[-1]

    def accounts(self) -> Iterator[tuple[bytes, Account]]:
        """Every stored account, by address."""
        c = accounts.c
        last: bytes | None = None
        while True:
            query = select(c.address, c.balance, c.next_sequence).order_by(c.address)
            if last is not None:
                query = query.where(c.address > last)
            rows = self._connection.execute(query.limit(_PAGE_ACCOUNTS)).all()
            for address, balance, next_sequence in rows:
                yield bytes(address), Account(balance, next_sequence)
            if len(rows) < _PAGE_ACCOUNTS:
                return
            last = bytes(rows[-1].address)

    def pool(self) -> Iterator[StoredPoolRow]:
        """Every waiting transaction, by id."""
        columns = [pool.c[name] for name in StoredPoolRow.__slots__]
        last: bytes | None = None
        while True:
            query = select(*columns).order_by(pool.c.id).limit(_PAGE_ROWS)
            if last is not None:
                query = query.where(pool.c.id > last)
            page = [StoredPoolRow(*row) for row in self._connection.execute(query)]
            yield from page
            if len(page) < _PAGE_ROWS:
                return
            last = page[-1].id

    def mined_ids(self, ids: Collection[bytes]) -> set[bytes]:
        """Which of these the index of mined transactions has."""
        found: set[bytes] = set()
        for chunk in _chunks(ids):
            query = select(transactions.c.id).where(transactions.c.id.in_(chunk))
            found.update(bytes(row.id) for row in self._connection.execute(query))
        return found


class SqlRepairStore(SqlAuditStore):
    """`cairn.chain.audit_store.RepairStore`: rewrites what follows from the stored bytes."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One database transaction, alone in writing."""
        with self._connection.begin():
            yield

    def rewrite_block(self, block: Block) -> None:
        """Sets the columns that repeat what the block's bytes say."""
        columns = block_columns(block)
        self._connection.execute(
            update(blocks).where(blocks.c.hash == block.hash).values(**columns)
        )

    def set_chain_sums(self, block_hash: bytes, chain_work: int, chain_transactions: int) -> None:
        """Sets what one block's columns say of the chain up to it."""
        self._connection.execute(
            update(blocks)
            .where(blocks.c.hash == block_hash)
            .values(
                chain_work=chain_work.to_bytes(HASH_BYTES, "big"),
                chain_transactions=chain_transactions,
            )
        )

    def set_status(self, hashes: Sequence[bytes], status: BlockStatus) -> None:
        """Sets the status of these blocks."""
        self._connection.execute(
            update(blocks).where(blocks.c.hash.in_(hashes)).values(status=int(status))
        )

    def delete_blocks(self, hashes: Sequence[bytes]) -> None:
        """Forgets blocks."""
        self._connection.execute(delete(blocks).where(blocks.c.hash.in_(hashes)))

    def clear_index(self) -> None:
        """Empties the index of mined transactions."""
        self._connection.execute(delete(transactions))

    def insert_index(self, blocks: Sequence[Block]) -> None:
        """Indexes these blocks' transactions."""
        rows = [
            (
                block.header.height,
                position,
                transaction.id,
                transaction.sender,
                transaction.recipient,
                transaction.amount,
                transaction.fee,
                transaction.raw,
            )
            for block in blocks
            for position, transaction in enumerate(block.transactions)
        ]
        insert_rows(self._connection, transactions, rows)

    def replace_accounts(self, found: Iterable[tuple[bytes, Account]]) -> None:
        """Makes these all the accounts there are."""
        self._connection.execute(delete(accounts))
        remaining = iter(found)
        while batch := list(islice(remaining, _PAGE_ACCOUNTS)):
            rows = [(address, item.balance, item.next_sequence) for address, item in batch]
            insert_rows(self._connection, accounts, rows)

    def replace_pool_rows(
        self, removed: Collection[bytes], added: Sequence[tuple[Transaction, int]]
    ) -> None:
        """Deletes rows by id, then adds transactions with the time they were received."""
        for chunk in _chunks(removed):
            self._connection.execute(delete(pool).where(pool.c.id.in_(chunk)))
        insert_rows(self._connection, pool, [_pool_row(*item) for item in added])


def _chunks(values: Collection[bytes], size: int = _IDS_AT_ONCE) -> Iterator[list[bytes]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _stored_block(row: Iterable[object]) -> StoredBlock:
    values = dict(zip(StoredBlock.__slots__, row, strict=True))
    work = values["chain_work"]
    values["chain_work"] = int.from_bytes(work if isinstance(work, bytes) else b"", "big")
    return StoredBlock(**values)  # type: ignore[arg-type]


def _pool_row(transaction: Transaction, received_at: int) -> tuple[object, ...]:
    size = len(transaction.raw)
    return (
        transaction.id,
        transaction.sender,
        transaction.recipient,
        transaction.sequence,
        transaction.amount,
        transaction.fee,
        fee_rate(transaction.fee, size),
        size,
        received_at,
        transaction.raw,
    )
