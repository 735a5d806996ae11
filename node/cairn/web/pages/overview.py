"""The node at a glance."""

from flask import render_template

from cairn.storage.answers import PoolOrder
from cairn.web.api.chain import block_page
from cairn.web.api.pool import pool_page
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.status import status_view

OVERVIEW_BLOCKS = 8


@pages.get("/")
def overview() -> str:
    """The node at a glance."""
    node = this_node()
    return render_template(
        "overview.html",
        status=status_view(node),
        blocks=block_page(None, OVERVIEW_BLOCKS, node).items,
        pool=pool_page(PoolOrder.FEE_RATE, None, OVERVIEW_BLOCKS, node).items,
    )
