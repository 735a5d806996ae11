"""What transactions pay, in blocks and in the pool: questions that `Queries` asks."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select

from cairn.chain.store import BlockStatus
from cairn.storage.answers import FeeRange
from cairn.storage.tables import blocks, pool, transactions

MAX_RANK = 20_000
"""No further into the pool's order by fee does `rates` count."""
_ORDER = (pool.c.fee_rate, pool.c.id)
_DEAREST_FIRST = (pool.c.fee_rate.desc(), pool.c.id.desc())


def of_blocks(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, FeeRange]:
    """Least and greatest fee in these blocks, those that are active and have transactions.

    Reads every transaction of the blocks: ask for a few, and remember what cannot change.
    """
    fee = transactions.c.fee
    statement = (
        select(blocks.c.hash, func.min(fee), func.max(fee))
        .join(transactions, transactions.c.height == blocks.c.height)
        .where(blocks.c.status == BlockStatus.ACTIVE, blocks.c.hash.in_(hashes))
        .group_by(blocks.c.hash)
    )
    rows = connection.execute(statement)
    return {block_hash: FeeRange(low, high) for block_hash, low, high in rows}


def of_pool(connection: Connection) -> FeeRange | None:
    """What the least and the best paying per byte of those that wait pay; None: none waits."""
    ends = [
        connection.scalar(select(pool.c.fee).order_by(*order).limit(1))
        for order in (_ORDER, _DEAREST_FIRST)
    ]
    low, high = ends
    return None if low is None or high is None else FeeRange(min(low, high), max(low, high))


def bands(connection: Connection, lows: Sequence[int]) -> list[int]:
    """How many wait at a fee rate from each of these to the next. Counts all of the index."""
    ends = [pool.c.fee_rate < high for high in lows[1:]]
    counts = []
    for number, low in enumerate(lows):
        band = select(func.count()).select_from(pool).where(pool.c.fee_rate >= low)
        counts.append(band.where(*ends[number : number + 1]).scalar_subquery())
    return [int(count) for count in connection.execute(select(*counts)).one()]


def rates(connection: Connection, ranks: Collection[int]) -> list[int]:
    """The fee rates at these ranks, dearest (0) first; 0 past the pool's end.

    Counts entries of one index off: ranks are cut to MAX_RANK.
    """
    ordered = select(pool.c.fee_rate).order_by(*_DEAREST_FIRST)
    return [
        connection.scalar(ordered.offset(max(0, min(rank, MAX_RANK))).limit(1)) or 0
        for rank in ranks
    ]
