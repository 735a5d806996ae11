"""The node at a glance."""

from dataclasses import dataclass

from flask import render_template

from cairn.consensus.proof_of_work import work_of
from cairn.storage.answers import BlockSummary, FeeRange, PoolOrder
from cairn.web.api.pool import pool_page
from cairn.web.models import BlockView
from cairn.web.node import WebNode, this_node
from cairn.web.node_models import StatusView
from cairn.web.pages.blueprint import pages
from cairn.web.pages.charts import (
    HEIGHT,
    WIDTH,
    hashes,
    interval_chart,
    transaction_chart,
    work_chart,
)
from cairn.web.status import status_view
from cairn.web.views import block_view

ROW_BLOCKS = 8
CHART_BLOCKS = 100
WAITING_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RowBlock:
    """A block of the row."""

    view: BlockView
    fees: FeeRange | None
    """What its transactions pay; None: it has none."""


@dataclass(frozen=True, slots=True)
class NextBlock:
    """What the pool would fill the next block with."""

    transactions: int
    """At most: those that wait for an earlier one of their sender are counted too."""
    percent: int
    """Of a block's bytes, 0 to 100."""
    more_blocks: int
    """Further blocks that the rest of the pool fills, rounded up."""
    fees: FeeRange | None


@pages.get("/")
def overview() -> str:
    """The node at a glance. It is the same for all: many who look cost one rendering."""
    node = this_node()
    return node.overview.get(lambda: _render(node))


def _render(node: WebNode) -> str:
    status = status_view(node)
    newest = node.queries.blocks(None, CHART_BLOCKS + 1)
    oldest_first = newest[::-1]
    charts = (
        interval_chart(oldest_first, status.target_interval_seconds),
        work_chart(oldest_first[-CHART_BLOCKS:]),
        transaction_chart(oldest_first[-CHART_BLOCKS:]),
    )
    return render_template(
        "overview.html",
        status=status,
        hash_rate=hashes(int(status.hash_rate)),
        work=hashes(work_of(int(status.bits, 16))),
        row=row_blocks(newest[:ROW_BLOCKS], node),
        next_block=next_block(status, node),
        charts=charts,
        chart_size=(WIDTH, HEIGHT),
        mean_interval=mean_interval(newest),
        pool=pool_page(PoolOrder.FEE_RATE, None, WAITING_SHOWN, node).items,
    )


def row_blocks(blocks: list[BlockSummary], node: WebNode) -> list[RowBlock]:
    """Blocks with what their transactions pay, newest first as given."""
    ranges = node.fee_ranges(blocks)
    return [RowBlock(block_view(each, node), ranges.get(each.hash)) for each in blocks]


def next_block(status: StatusView, node: WebNode) -> NextBlock:
    """How full the next block will be if nothing more comes."""
    room = node.params.max_block_bytes
    size = status.pool.bytes
    waiting = status.pool.transactions
    return NextBlock(
        transactions=waiting if size <= room else waiting * room // size,
        percent=min(100, -(-100 * size // room)),
        more_blocks=max(0, -(-size // room) - 1),
        fees=node.queries.pool_fees(),
    )


def mean_interval(newest: list[BlockSummary]) -> float | None:
    """Seconds between blocks, newest first as given; None while there are too few."""
    counted = [each.header.timestamp for each in newest if each.height > 0]
    if len(counted) < 2:
        return None
    return (counted[0] - counted[-1]) / (len(counted) - 1)
