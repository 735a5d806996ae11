"""The stored blocks that are not followed, as branches: each ends where none builds on it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, literal, select

from cairn.chain.store import BlockStatus
from cairn.storage.answers import SideBranch
from cairn.storage.dialect import beyond
from cairn.storage.tables import blocks

MAX_WALK = 200
"""Blocks that a branch is followed back for its fork."""
_SIDES = (BlockStatus.STORED, BlockStatus.INVALID)
_PLACE = (blocks.c.height, blocks.c.hash)
_TIP = (*_PLACE, blocks.c.status, blocks.c.chain_work, blocks.c.received_at)


def read(connection: Connection, before: tuple[int, bytes] | None, limit: int) -> list[SideBranch]:
    """Branches by their tips' (height, hash), those below `before`, highest first."""
    tips: list[Row[Any]] = []
    for status in _SIDES:  # one index range each
        tips += connection.execute(_tips(connection, status, before, limit))
    tips.sort(key=lambda row: (row.height, row.hash), reverse=True)
    return _followed(connection, tips[:limit])


def _tips(
    connection: Connection, status: BlockStatus, before: tuple[int, bytes] | None, limit: int
) -> Select[Any]:
    child = blocks.alias("child")
    # Not by NOT EXISTS, for which MariaDB may read the whole index first.
    with_children = blocks.outerjoin(child, child.c.previous_hash == blocks.c.hash)
    statement = select(*_TIP).select_from(with_children)
    statement = statement.where(blocks.c.status == status, child.c.hash.is_(None))
    if before is not None:
        is_sqlite = connection.dialect.name == "sqlite"
        statement = statement.where(beyond(is_sqlite, _PLACE, before, up=False))
    return statement.order_by(*(column.desc() for column in _PLACE)).limit(limit)


def _followed(connection: Connection, tips: Sequence[Row[Any]]) -> list[SideBranch]:
    """The tips with what lies between each and the active chain."""
    if not tips:
        return []
    lengths = {row.tip: row for row in connection.execute(_walk([tip.hash for tip in tips]))}
    roots = {row.root_height - 1 for row in lengths.values()}
    active = select(blocks.c.height, blocks.c.hash, blocks.c.chain_work).where(
        blocks.c.status == BlockStatus.ACTIVE, blocks.c.height.in_(roots)
    )
    forks = {int(row.height): tuple(row) for row in connection.execute(active)}
    return [_branch(tip, lengths[tip.hash], forks) for tip in tips]


def _walk(tips: Sequence[bytes]) -> Select[Any]:
    """For each tip: how many blocks, with how many transactions, lead back to the fork."""
    step = (blocks.c.previous_hash, blocks.c.transaction_count, blocks.c.received_at)
    start = select(
        blocks.c.hash.label("tip"), blocks.c.height, *step, literal(1).label("depth")
    ).where(blocks.c.hash.in_(tips))
    walk = start.cte("walk", recursive=True)
    parents = select(walk.c.tip, blocks.c.height, *step, walk.c.depth + 1).where(
        and_(
            blocks.c.hash == walk.c.previous_hash,
            blocks.c.status != BlockStatus.ACTIVE,
            walk.c.depth < MAX_WALK,
        )
    )
    walk = walk.union_all(parents)
    return select(
        walk.c.tip,
        func.count().label("blocks"),
        func.sum(walk.c.transaction_count).label("transactions"),
        func.min(walk.c.height).label("root_height"),
        func.min(walk.c.received_at).label("first_received_at"),
    ).group_by(walk.c.tip)


def _branch(
    tip: Row[Any], length: Row[Any], forks: dict[int, tuple[int, bytes, bytes]]
) -> SideBranch:
    """`forks`: height, hash and work of active blocks, by height."""
    unknown = (None, None, None)
    at = forks.get(length.root_height - 1) if length.blocks < MAX_WALK else None
    height, fork_hash, work = at or unknown
    return SideBranch(
        tip=tip.hash,
        status=BlockStatus(tip.status),
        height=tip.height,
        chain_work=int.from_bytes(tip.chain_work, "big"),
        last_received_at=tip.received_at,
        first_received_at=length.first_received_at,
        blocks=length.blocks,
        transactions=int(length.transactions),
        fork_height=height,
        fork_hash=fork_hash,
        fork_work=int.from_bytes(work, "big") if work is not None else None,
    )
