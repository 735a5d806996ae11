"""What the web tier and the command line ask, none of it from the writer's process.

Each question is a range of an index, or a few rows by key; lists go on from the last row seen,
never by counting rows off. One question sees one state of the database.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    desc,
    func,
    literal,
    select,
    union,
)

from cairn.chain.node_store import NodeRow
from cairn.chain.store import BlockStatus
from cairn.consensus.ledger import EMPTY_ACCOUNT, Account
from cairn.storage import branches, dialect, fees, journal
from cairn.storage.answers import (
    AccountSummary,
    BlockSummary,
    FeeRange,
    MinedTransaction,
    NumberedReorganisation,
    PoolOrder,
    PoolTotals,
    SideBranch,
    Supply,
    WaitingTransaction,
)
from cairn.storage.node_store import select_nodes
from cairn.storage.rows import read_header, read_status
from cairn.storage.session import Session
from cairn.storage.state import select_accounts
from cairn.storage.tables import NETWORK_KEY, accounts, blocks, meta, nodes, pool, transactions

MAX_ROWS = 2_000
"""No list is longer, whatever its caller asks."""

_IS_ACTIVE = blocks.c.status == BlockStatus.ACTIVE
_SUMMARY = (
    blocks.c.hash,
    blocks.c.header,
    blocks.c.chain_work,
    blocks.c.status,
    blocks.c.transaction_count,
    blocks.c.chain_transactions,
    blocks.c.size_bytes,
    blocks.c.fees,
    blocks.c.coinbase_recipient,
    blocks.c.coinbase_amount,
    blocks.c.coinbase_extra,
    blocks.c.received_at,
)
_PLACE = (transactions.c.height, transactions.c.position)
_WAITING = (
    pool.c.id,
    pool.c.raw,
    pool.c.received_at,
    pool.c.sender,
    pool.c.sequence,
    pool.c.fee_rate,
)
_POOL_ORDERS = {
    PoolOrder.FEE_RATE: (pool.c.fee_rate, pool.c.id),
    PoolOrder.AGE: (pool.c.received_at, pool.c.id),
    PoolOrder.SENDER: (pool.c.sender, pool.c.sequence),
}


class Queries:
    """Questions to a database, best opened read-only. Safe to ask from many threads.

    Failures raise StorageError, those that pass StorageUnavailable.
    """

    def __init__(self, engine: Engine) -> None:
        self._session = Session(engine)
        self._is_sqlite = engine.dialect.name == "sqlite"

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._session.reading()

    def ping(self) -> None:
        """Raises StorageError unless the database answers."""
        with self._reading() as connection:
            connection.execute(select(literal(1)))

    def network_id(self) -> bytes | None:
        """The network this database belongs to; None before the listener's first start."""
        with self._reading() as connection:
            return connection.scalar(select(meta.c.value).where(meta.c.key == NETWORK_KEY))

    # -- blocks ------------------------------------------------------------------------------

    def tip(self) -> BlockSummary | None:
        """The active chain's last block; None before genesis."""
        found = self.blocks(None, 1)
        return found[0] if found else None

    def blocks(self, before_height: int | None, limit: int) -> list[BlockSummary]:
        """Active blocks below a height (None: from the tip), newest first."""
        statement = select(*_SUMMARY).where(_IS_ACTIVE)
        if before_height is not None:
            statement = statement.where(blocks.c.height < before_height)
        return self._summaries(statement.order_by(blocks.c.height.desc()).limit(_bounded(limit)))

    def block_by_height(self, height: int) -> BlockSummary | None:
        """The active block at this height."""
        found = self._summaries(select(*_SUMMARY).where(_IS_ACTIVE, blocks.c.height == height))
        return found[0] if found else None

    def block_by_hash(self, block_hash: bytes) -> BlockSummary | None:
        """The block with this hash, in the active chain or not: see its `status`."""
        found = self._summaries(select(*_SUMMARY).where(blocks.c.hash == block_hash))
        return found[0] if found else None

    def block_bytes(self, block_hash: bytes) -> bytes | None:
        """A stored block's canonical bytes."""
        with self._reading() as connection:
            return connection.scalar(select(blocks.c.raw).where(blocks.c.hash == block_hash))

    def headers(self, first_height: int, count: int) -> list[bytes]:
        """Raw headers (96 bytes) of active blocks from a height up."""
        last_height = first_height + _bounded(count) - 1
        statement = select(blocks.c.header).where(
            _IS_ACTIVE, blocks.c.height.between(first_height, last_height)
        )
        with self._reading() as connection:
            return list(connection.scalars(statement.order_by(blocks.c.height)))

    def recent_block_times(self, count: int) -> list[tuple[int, int]]:
        """Timestamp and chain work of the last blocks, oldest first: hashes over seconds."""
        statement = select(blocks.c.hash, blocks.c.header, blocks.c.chain_work).where(_IS_ACTIVE)
        with self._reading() as connection:
            rows = connection.execute(
                statement.order_by(blocks.c.height.desc()).limit(_bounded(count))
            ).all()
        return [
            (read_header(block_hash, header).timestamp, int.from_bytes(work, "big"))
            for block_hash, header, work in reversed(rows)
        ]

    def transaction_count(self) -> int:
        """Transactions in the active chain."""
        statement = select(blocks.c.chain_transactions).where(_IS_ACTIVE)
        with self._reading() as connection:
            return connection.scalar(statement.order_by(blocks.c.height.desc()).limit(1)) or 0

    def _summaries(self, statement: Select[Any]) -> list[BlockSummary]:
        with self._reading() as connection:
            return [_summary(*row) for row in connection.execute(statement)]

    def side_branches(self, before: tuple[int, bytes] | None, limit: int) -> list[SideBranch]:
        """Branches that are not followed; `before` is the (height, tip) of the last one seen."""
        with self._reading() as connection:
            return branches.read(connection, before, _bounded(limit))

    def reorganisations(self, before: int | None, limit: int) -> list[NumberedReorganisation]:
        """What moves of the tip undid, newest first; `before` is the last number seen."""
        with self._reading() as connection:
            return journal.read(connection, before, _bounded(limit))

    # -- transactions ------------------------------------------------------------------------

    def transaction(self, transaction_id: bytes) -> MinedTransaction | WaitingTransaction | None:
        """Where a transaction is: in the active chain, in the pool, or nowhere."""
        mined = _select_mined().where(transactions.c.id == transaction_id)
        waiting = select(*_WAITING).where(pool.c.id == transaction_id)
        with self._reading() as connection:
            # Mined again last: without a snapshot, it may have left the pool in between.
            for statement in (mined, waiting, mined):
                row = connection.execute(statement).first()
                if row is not None:
                    return _mined(*row) if statement is mined else WaitingTransaction(*row)
        return None

    def block_transactions(
        self, height: int, first_position: int, limit: int
    ) -> list[MinedTransaction]:
        """Transactions of the active block at a height, in order, from a position on."""
        # Positions have no gaps, so a range of them needs no limit; MariaDB would sort all rows.
        last_position = first_position + _bounded(limit) - 1
        statement = _select_mined().where(
            transactions.c.height == height,
            transactions.c.position.between(first_position, last_position),
        )
        with self._reading() as connection:
            found = [_mined(*row) for row in connection.execute(statement)]
        return sorted(found, key=lambda each: each.position)

    def account_transactions(
        self, address: bytes, before: tuple[int, int] | None, limit: int
    ) -> list[MinedTransaction]:
        """What an account sent and received, newest first; to itself counts once.

        `before` is the (height, position) of the last one seen.
        """
        limit = _bounded(limit)
        sides = []
        for side in (transactions.c.sender, transactions.c.recipient):
            keys = select(transactions.c.height, transactions.c.position).where(
                dialect.is_within(self._is_sqlite, side, address)
            )
            if before is not None:
                keys = keys.where(self._beyond(_PLACE, before, up=False))
            ordering = [column.desc() for column in (side, *_PLACE)]
            newest = keys.order_by(*ordering).limit(limit).subquery()
            sides.append(select(newest.c.height, newest.c.position))
        found = union(*sides).order_by(desc("height"), desc("position")).limit(limit).subquery()
        statement = _select_mined().join(
            found,
            and_(
                found.c.height == transactions.c.height,
                found.c.position == transactions.c.position,
            ),
        )
        with self._reading() as connection:
            rows = connection.execute(
                statement.order_by(found.c.height.desc(), found.c.position.desc())
            )
            return [_mined(*row) for row in rows]

    def block_fees(self, hashes: Collection[bytes]) -> dict[bytes, FeeRange]:
        """Least and greatest fee in these blocks, those that are active and have transactions."""
        with self._reading() as connection:
            return fees.of_blocks(connection, sorted(hashes)[:MAX_ROWS])

    # -- accounts ----------------------------------------------------------------------------

    def account(self, address: bytes) -> AccountSummary:
        """Confirmed state and what waits; an address never seen has zeros."""
        sent = select(pool.c.sequence, pool.c.amount, pool.c.fee).where(pool.c.sender == address)
        received = select(func.sum(pool.c.amount)).where(pool.c.recipient == address)
        with self._reading() as connection:
            confirmed = select_accounts(connection, [address]).get(address, EMPTY_ACCOUNT)
            outgoing = connection.execute(sent).all()
            incoming = connection.scalar(received)
        sequences = {row.sequence for row in outgoing}
        next_sequence = confirmed.next_sequence
        while next_sequence in sequences:
            next_sequence += 1
        return AccountSummary(
            confirmed=confirmed,
            pending_sent=sum(row.amount + row.fee for row in outgoing),
            pending_received=int(incoming or 0),
            pending_count=len(outgoing),
            next_sequence=next_sequence,
        )

    def accounts(self, addresses: Collection[bytes]) -> dict[bytes, Account]:
        """Confirmed states of those of these accounts that exist."""
        with self._reading() as connection:
            return select_accounts(connection, addresses)

    def supply(self) -> Supply | None:
        """The sum of all balances at the tip; None before genesis. Reads every account.

        Tip and sum are asked in one statement, so that no block comes in between.
        """
        total = select(func.sum(accounts.c.balance)).scalar_subquery()
        statement = select(blocks.c.hash, blocks.c.height, total).where(_IS_ACTIVE)
        with self._reading() as connection:
            row = connection.execute(statement.order_by(blocks.c.height.desc()).limit(1)).first()
        return None if row is None else Supply(row[0], row[1], int(row[2] or 0))

    def followed_supply(self, known: Supply, tip_hash: bytes, tip_height: int) -> Supply | None:
        """The supply at the tip, from that of an earlier block on: rewards add, fees are taken
        from balances. None when the one is not below the other in the active chain."""
        columns = (blocks.c.hash, blocks.c.coinbase_amount, blocks.c.fees)
        heights = blocks.c.height.between(known.height, tip_height)
        statement = select(*columns).where(_IS_ACTIVE, heights).order_by(blocks.c.height)
        with self._reading() as connection:
            rows = connection.execute(statement).all()
        if not rows or len(rows) != tip_height - known.height + 1:
            return None
        if (rows[0].hash, rows[-1].hash) != (known.block_hash, tip_hash):
            return None
        minted = sum(int(row.coinbase_amount - row.fees) for row in rows[1:])
        return Supply(tip_hash, tip_height, known.units + minted)

    # -- pool and nodes ----------------------------------------------------------------------

    def pool(
        self, order: PoolOrder, after: tuple[int | bytes, int | bytes] | None, limit: int
    ) -> list[WaitingTransaction]:
        """Waiting transactions; `after` is the last one seen's `cursor(order)`."""
        columns = _POOL_ORDERS[order]
        up = order is not PoolOrder.FEE_RATE
        statement = select(*_WAITING)
        if after is not None:
            statement = statement.where(self._beyond(columns, after, up))
        ordering = [column if up else column.desc() for column in columns]
        with self._reading() as connection:
            rows = connection.execute(statement.order_by(*ordering).limit(_bounded(limit)))
            return [WaitingTransaction(*row) for row in rows]

    def account_pool(
        self, address: bytes, limit: int
    ) -> tuple[list[WaitingTransaction], list[WaitingTransaction]]:
        """What waits that an account sent, by sequence, and what waits to be sent to it by
        others, largest first; at most `limit` each."""
        sent = select(*_WAITING).where(pool.c.sender == address).order_by(pool.c.sequence)
        largest = pool.c.amount.desc()
        others = and_(pool.c.recipient == address, pool.c.sender != address)
        received = select(*_WAITING).where(others).order_by(largest)
        sides = []
        with self._reading() as connection:
            for statement in (sent, received):
                rows = connection.execute(statement.limit(_bounded(limit)))
                sides.append([WaitingTransaction(*row) for row in rows])
        return sides[0], sides[1]

    def fee_bands(self, lows: Sequence[int]) -> list[int]:
        """How many transactions wait at a fee rate from each of these to the next (rising, base
        units per byte times 2^20); the last has no end."""
        with self._reading() as connection:
            return fees.bands(connection, lows)

    def pool_totals(self) -> PoolTotals:
        """How much waits, from an index alone."""
        statement = select(func.count(), func.sum(pool.c.size_bytes), func.min(pool.c.received_at))
        with self._reading() as connection:
            count, size, oldest = connection.execute(statement).one()
        return PoolTotals(count, int(size or 0), oldest)

    def pool_fees(self) -> FeeRange | None:
        """What the least and the best paying per byte of those that wait pay; None: none waits."""
        with self._reading() as connection:
            return fees.of_pool(connection)

    def pool_rates(self, ranks: Collection[int]) -> list[int]:
        """What those at these ranks pay, dearest (0) first, in the pool's unit; 0 past its end."""
        with self._reading() as connection:
            return fees.rates(connection, ranks)

    def nodes(self) -> list[NodeRow]:
        """Every known node, in the order first seen. Banned keys without a record are none."""
        with self._reading() as connection:
            return [row for row in select_nodes(connection) if row.record]

    def node_count(self) -> int:
        """How many nodes are known."""
        statement = select(func.count()).select_from(nodes).where(func.length(nodes.c.record) > 0)
        with self._reading() as connection:
            return connection.scalar(statement) or 0

    def _beyond(
        self,
        columns: tuple[Column[Any], Column[Any]],
        values: tuple[int | bytes, int | bytes],
        up: bool,
    ) -> ColumnElement[bool]:
        return dialect.beyond(self._is_sqlite, columns, values, up)


def _bounded(limit: int) -> int:
    return max(0, min(limit, MAX_ROWS))


def _select_mined() -> Select[Any]:
    """The columns of `_mined`; the block's index entry is found by height."""
    return select(
        transactions.c.id,
        transactions.c.raw,
        transactions.c.height,
        transactions.c.position,
        blocks.c.hash,
        blocks.c.header,
    ).join(blocks, and_(_IS_ACTIVE, blocks.c.height == transactions.c.height))


def _mined(
    id_: bytes, raw: bytes, height: int, position: int, block_hash: bytes, header: bytes
) -> MinedTransaction:
    timestamp = read_header(block_hash, header).timestamp
    return MinedTransaction(id_, raw, height, position, block_hash, timestamp)


def _summary(
    block_hash: bytes, header: bytes, chain_work: bytes, status: int, *others: Any
) -> BlockSummary:
    work = int.from_bytes(chain_work, "big")
    found = read_status(block_hash, status)
    return BlockSummary(block_hash, read_header(block_hash, header), work, found, *others)
