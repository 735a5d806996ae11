"""`cairn.chain.store.ChainStore` on a database."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Engine, Row, Select, and_, delete, func, literal, or_, select, update

from cairn.chain.pool import fee_rate
from cairn.chain.store import BlockEntry, BlockStatus, PoolRow, Reorganisation
from cairn.consensus.block import Block
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account, total_fees
from cairn.consensus.transaction import decode_transaction
from cairn.storage import dialect, journal
from cairn.storage.errors import DatabaseInUseError, StorageError
from cairn.storage.rows import read_header, read_status
from cairn.storage.session import Session
from cairn.storage.state import select_accounts
from cairn.storage.tables import (
    MAX_INTEGER,
    NETWORK_KEY,
    accounts,
    blocks,
    meta,
    pool,
    transactions,
)
from cairn.storage.writer_lock import WriterLock

HEAVIER_LIMIT = 100
_WALK_STEP = 200
"""Parents one recursive statement follows, well below what servers allow (1,000)."""
_ENTRY = (blocks.c.hash, blocks.c.header, blocks.c.chain_work, blocks.c.status)


class SqlChainStore:
    """The chain's database. One thread writes; any thread may read beside it.

    Failures raise StorageError, those that pass StorageUnavailable; see `Session`.
    """

    def __init__(self, engine: Engine, lock: WriterLock | None = None) -> None:
        """With a `lock`, only who holds it can write."""
        self.session = Session(engine, lock)

    def transaction(self) -> AbstractContextManager[None]:
        """One database transaction: committed at the end, rolled back on an exception."""
        return self.session.transaction()

    def check_network(self, network_id: bytes) -> None:
        """Claims a new database for this network; StorageError when it belongs to another."""
        stored = select(meta.c.value).where(meta.c.key == NETWORK_KEY)
        with self.session.reading() as connection:
            found = connection.scalar(stored)
        if found is None:
            with self.session.transaction(), self.session.writing() as connection:
                row = (NETWORK_KEY, network_id)
                dialect.insert_missing_rows(connection, meta, [row])
                found = connection.scalar(stored)
        if found != network_id:
            raise StorageError(
                f"the database belongs to network {bytes(found or b'').hex()}, this node to "
                f"{network_id.hex()}: use another database, or the genesis file it was made with"
            )

    # -- blocks ------------------------------------------------------------------------------

    def tip(self) -> BlockEntry | None:
        """The active block of greatest height; None before genesis."""
        statement = select(*_ENTRY).where(blocks.c.status == BlockStatus.ACTIVE)
        entries = self._entries(statement.order_by(blocks.c.height.desc()).limit(1))
        return entries[0] if entries else None

    def entry(self, block_hash: bytes) -> BlockEntry | None:
        """The block with this hash, whatever its status."""
        entries = self._entries(select(*_ENTRY).where(blocks.c.hash == block_hash))
        return entries[0] if entries else None

    def known_hashes(self, hashes: Collection[bytes]) -> set[bytes]:
        """Which of these blocks are stored, whatever their status."""
        with self.session.reading() as connection:
            found: set[bytes] = set()
            for chunk in dialect.chunks(hashes):
                statement = select(blocks.c.hash).where(blocks.c.hash.in_(chunk))
                found.update(connection.scalars(statement))
            return found

    def active_entries(self, first_height: int, count: int) -> list[BlockEntry]:
        """Active blocks from `first_height` up, at most `count`, in order of height."""
        last_height = first_height + count - 1
        statement = select(*_ENTRY).where(
            blocks.c.status == BlockStatus.ACTIVE,
            blocks.c.height.between(first_height, last_height),
        )
        return self._entries(statement.order_by(blocks.c.height))

    def active_received_at(self, height: int) -> int | None:
        """When the active block at this height was stored (seconds since the epoch)."""
        statement = select(blocks.c.received_at).where(
            blocks.c.status == BlockStatus.ACTIVE, blocks.c.height == height
        )
        with self.session.reading() as connection:
            return connection.scalar(statement)

    def ancestors(self, block_hash: bytes, count: int) -> list[BlockEntry]:
        """The block and its ancestors by parent link, newest first, at most `count`."""
        found: list[BlockEntry] = []
        next_hash = block_hash
        while len(found) < count:
            start = self.entry(next_hash)
            if start is None:
                break
            wanted = count - len(found)
            if start.status is BlockStatus.ACTIVE:  # its ancestors are active: one index range
                first_height = max(0, start.height - wanted + 1)
                return (
                    found + self.active_entries(first_height, start.height - first_height + 1)[::-1]
                )
            found += self._walk(next_hash, min(wanted, _WALK_STEP))
            next_hash = found[-1].header.previous_hash
        return found

    def _walk(self, block_hash: bytes, count: int) -> list[BlockEntry]:
        """The block and at most `count` - 1 ancestors, stopping before the active chain."""
        walk = (
            select(blocks.c.hash, blocks.c.previous_hash, literal(1).label("depth"))
            .where(blocks.c.hash == block_hash)
            .cte("walk", recursive=True)
        )
        step = select(blocks.c.hash, blocks.c.previous_hash, walk.c.depth + 1).where(
            and_(
                blocks.c.hash == walk.c.previous_hash,
                blocks.c.status != BlockStatus.ACTIVE,
                walk.c.depth < count,
            )
        )
        walk = walk.union_all(step)
        joined = select(*_ENTRY).join(walk, walk.c.hash == blocks.c.hash)
        return self._entries(joined.order_by(walk.c.depth))

    def descendants(self, block_hash: bytes) -> list[bytes]:
        """The hashes of all stored blocks that build on this one, parents before children."""
        found: list[bytes] = []
        generation = [block_hash]
        with self.session.reading() as connection:
            while generation:
                children: list[bytes] = []
                for chunk in dialect.chunks(generation):
                    query = select(blocks.c.hash).where(blocks.c.previous_hash.in_(chunk))
                    children += connection.scalars(query)
                found += children
                generation = children
        return found

    def heavier_stored(self, chain_work: int, after: BlockEntry | None = None) -> list[BlockEntry]:
        """Blocks of status STORED with more than this work, heaviest first, then by hash, at
        most 100; those that come after `after` in that order."""
        statement = select(*_ENTRY).where(
            blocks.c.status == BlockStatus.STORED,
            blocks.c.chain_work > chain_work.to_bytes(32, "big"),
        )
        if after is not None:
            work = after.chain_work.to_bytes(32, "big")
            beyond = or_(blocks.c.chain_work < work, blocks.c.hash > after.hash)
            statement = statement.where(blocks.c.chain_work <= work, beyond)
        ordered = statement.order_by(blocks.c.chain_work.desc(), blocks.c.hash)
        return self._entries(ordered.limit(HEAVIER_LIMIT))

    def lowest_side_block(self, max_height: int) -> bytes | None:
        """Of the blocks outside the active chain one of the least height, if at most that."""
        found: list[tuple[int, bytes]] = []
        with self.session.reading() as connection:
            for status in (BlockStatus.STORED, BlockStatus.INVALID):  # one index range each
                lowest = (
                    select(blocks.c.height, blocks.c.hash)
                    .where(blocks.c.status == status, blocks.c.height <= max_height)
                    .order_by(blocks.c.height)
                    .limit(1)
                )
                found += [(row[0], row[1]) for row in connection.execute(lowest)]
        return min(found)[1] if found else None

    def delete_blocks(self, hashes: Collection[bytes]) -> None:
        """Forgets these blocks, none of which is active."""
        with self.session.writing() as connection:
            dialect.delete_in(connection, blocks.c.hash, hashes)

    def load_block_bytes(self, block_hash: bytes) -> bytes | None:
        """The canonical bytes of a stored block."""
        with self.session.reading() as connection:
            return connection.scalar(select(blocks.c.raw).where(blocks.c.hash == block_hash))

    def insert_block(self, entry: BlockEntry, block: Block, received_at: int) -> None:
        """Stores a block that is not yet there, with the entry's status STORED."""
        parent = select(blocks.c.chain_transactions).where(
            blocks.c.hash == entry.header.previous_hash
        )
        with self.session.writing() as connection:
            before = connection.scalar(parent) or 0
            dialect.insert_rows(
                connection, blocks, [_block_values(entry, block, before, received_at)]
            )

    def mark_invalid(self, hashes: Collection[bytes]) -> None:
        """Sets the status of these blocks to INVALID."""
        with self.session.writing() as connection:
            for chunk in dialect.chunks(hashes):
                connection.execute(
                    update(blocks)
                    .where(blocks.c.hash.in_(chunk))
                    .values(status=int(BlockStatus.INVALID))
                )

    def _entries(self, statement: "Select[bytes, bytes, bytes, int]") -> list[BlockEntry]:
        with self.session.reading() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    # -- state -------------------------------------------------------------------------------

    def load_accounts(self, addresses: Collection[bytes]) -> dict[bytes, Account]:
        """The accounts among these addresses that exist (not all zero)."""
        with self.session.reading() as connection:
            return select_accounts(connection, addresses)

    def connect_block(self, block: Block, accounts: Mapping[bytes, Account]) -> None:
        """Makes a stored block the tip: status ACTIVE, its transactions indexed, these
        accounts' new values saved, its transactions taken out of the pool."""
        height = block.header.height
        rows = [
            (
                height,
                position,
                item.id,
                item.sender,
                item.recipient,
                item.amount,
                item.fee,
                item.raw,
            )
            for position, item in enumerate(block.transactions)
        ]
        self._activate(block.hash, height)
        with self.session.writing() as connection:
            dialect.insert_rows(connection, transactions, rows)
        self._save_accounts(accounts)
        self.change_pool((), [item.id for item in block.transactions])

    def disconnect_block(self, block: Block, accounts: Mapping[bytes, Account]) -> None:
        """Takes the tip off the active chain: status STORED, its transactions no longer
        indexed, these accounts' earlier values saved (all-zero accounts removed)."""
        self._set_status(block.hash, BlockStatus.STORED)
        with self.session.writing() as connection:
            connection.execute(
                delete(transactions).where(transactions.c.height == block.header.height)
            )
        self._save_accounts(accounts)

    def _activate(self, block_hash: bytes, height: int) -> None:
        """Compare and set: whoever wrote past the writer's lock, a height has one active block."""
        rival = blocks.alias("rival")
        # The limit keeps MySQL from merging the inner query, whose table it would refuse.
        same = select(rival.c.hash).where(
            rival.c.status == BlockStatus.ACTIVE, rival.c.height == height
        )
        rivals = select(func.count()).select_from(same.limit(1).subquery("same"))
        statement = (
            update(blocks)
            .where(blocks.c.hash == block_hash, rivals.scalar_subquery() == 0)
            .values(status=int(BlockStatus.ACTIVE))
        )
        with self.session.writing() as connection:
            if connection.execute(statement).rowcount == 1:
                return
            found = connection.scalar(same)
        if found is not None:
            raise DatabaseInUseError(
                f"block {bytes(found).hex()} is active at height {height}, where this process "
                f"connects {block_hash.hex()}: another process writes in this database; give "
                "every node one of its own, then run `cairn doctor --repair`"
            )
        raise StorageError(f"block {block_hash.hex()} is not stored: run `cairn doctor`")

    def _set_status(self, block_hash: bytes, status: BlockStatus) -> None:
        statement = update(blocks).where(blocks.c.hash == block_hash).values(status=int(status))
        with self.session.writing() as connection:
            if connection.execute(statement).rowcount != 1:
                raise StorageError(f"block {block_hash.hex()} is not stored: run `cairn doctor`")

    def _save_accounts(self, changed: Mapping[bytes, Account]) -> None:
        rows = [
            (address, account.balance, account.next_sequence)
            for address, account in sorted(changed.items())  # in the order of the table's pages
            if account != EMPTY_ACCOUNT
        ]
        emptied = [address for address, account in changed.items() if account == EMPTY_ACCOUNT]
        with self.session.writing() as connection:
            dialect.upsert_rows(connection, accounts, rows)
            dialect.delete_in(connection, accounts.c.address, emptied)

    def record_reorganisation(self, record: Reorganisation) -> None:
        """Keeps what a move of the tip undid, and forgets the oldest of many."""
        with self.session.writing() as connection:
            journal.write(connection, record)

    def mined_ids(self, ids: Collection[bytes]) -> set[bytes]:
        """Which of these transaction ids are in the active chain."""
        found: set[bytes] = set()
        with self.session.reading() as connection:
            for chunk in dialect.chunks(ids):
                key = transactions.c.id
                found.update(row[0] for row in dialect.select_in(connection, [key], key, chunk))
        return found

    # -- pool --------------------------------------------------------------------------------

    def load_pool(self) -> list[PoolRow]:
        """All waiting transactions, oldest first."""
        columns = (pool.c.id, pool.c.raw, pool.c.received_at)
        statement = select(*columns).order_by(pool.c.received_at, pool.c.sender, pool.c.sequence)
        with self.session.reading() as connection:
            return [PoolRow(row[0], row[1], row[2]) for row in connection.execute(statement)]

    def change_pool(self, added: Sequence[PoolRow], removed: Collection[bytes]) -> None:
        """Adds rows that are not there and removes ids (absent ones are ignored)."""
        with self.session.writing() as connection:
            dialect.delete_in(connection, pool.c.id, removed)
            rows = [_pool_values(row) for row in added]
            dialect.insert_missing_rows(connection, pool, rows)


def _entry(row: "Row[bytes, bytes, bytes, int]") -> BlockEntry:
    work = int.from_bytes(row[2], "big")
    return BlockEntry(row[0], read_header(row[0], row[1]), work, read_status(row[0], row[3]))


def _block_values(
    entry: BlockEntry, block: Block, transactions_before: int, received_at: int
) -> tuple[object, ...]:
    header = entry.header
    count = len(block.transactions)
    # No rule has judged these two yet; a block with larger ones never connects.
    fees = min(total_fees(block.transactions), MAX_INTEGER)
    coinbase_amount = min(block.coinbase.amount, MAX_INTEGER)
    return (
        entry.hash,
        entry.height,
        header.previous_hash,
        header.encode(),
        entry.chain_work.to_bytes(32, "big"),
        int(entry.status),
        count,
        transactions_before + count,
        len(block.raw),
        fees,
        block.coinbase.recipient,
        coinbase_amount,
        block.coinbase.extra,
        received_at,
        block.raw,
    )


def _pool_values(row: PoolRow) -> tuple[object, ...]:
    # The network does not matter here: it goes into the id alone, and that is given.
    item = decode_transaction(row.raw, bytes(32))
    size = len(row.raw)
    numbers = (item.sequence, item.amount, item.fee, fee_rate(item.fee, size), size)
    return (row.id, item.sender, item.recipient, *numbers, row.received_at, row.raw)
