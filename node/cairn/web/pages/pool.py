"""What waits for a block, dearest first, and how it spreads over fee rates."""

import itertools
from dataclasses import dataclass

from flask import render_template

from cairn.chain.pool_entry import FEE_RATE_BITS
from cairn.storage.answers import PoolOrder
from cairn.web.api.pool import ORDER, pool_page
from cairn.web.api.routing import CURSOR
from cairn.web.node import FEE_BANDS, this_node
from cairn.web.pages.blueprint import pages

PAGE_TRANSACTIONS = 50
BAND_WIDTH = 300
"""Of the longest bar, in the drawing's units."""
_LEAST_WIDTH = 2.0


@dataclass(frozen=True, slots=True)
class Band:
    """Waiting transactions of a range of fee rates."""

    label: str
    """Base units a byte, for people."""
    count: int
    percent: float
    """Of all that wait."""
    width: float
    """Of its bar."""


@pages.get("/pool")
def pool() -> str:
    """What waits for a block."""
    node = this_node()
    order = PoolOrder(ORDER.text() or PoolOrder.FEE_RATE)
    cursor = CURSOR.text()
    return render_template(
        "pool.html",
        page=pool_page(order, cursor, PAGE_TRANSACTIONS, node),
        order=order.value,
        cursor=cursor,
        totals=node.pool_totals.get(),
        bands=bands(node.fee_bands.get()),
        min_fee=node.config.pool.min_fee_per_byte,
        block_bytes=node.params.max_block_bytes,
    )


def bands(counts: list[int]) -> list[Band]:
    """The bands of `FEE_BANDS`, highest rate first, without the empty ones at either end."""
    total, longest = sum(counts), max(counts)
    lows = [low >> FEE_RATE_BITS for low in FEE_BANDS]
    labels = [f"{low:,} – {high:,}" for low, high in itertools.pairwise(lows)]
    labels.append(f"{lows[-1]:,} and more")
    filled = [number for number, count in enumerate(counts) if count]
    shown = range(filled[0], filled[-1] + 1) if filled else range(0)
    return [
        Band(
            label=labels[number],
            count=counts[number],
            percent=100 * counts[number] / total,
            width=max(_LEAST_WIDTH, BAND_WIDTH * counts[number] / longest) if counts[number] else 0,
        )
        for number in reversed(shown)
    ]
