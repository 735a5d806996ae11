"""Blocks, transactions, addresses and the pool; and the search for them."""

from flask import Response, render_template, request

from cairn.consensus.errors import RuleError
from cairn.storage.answers import PoolOrder
from cairn.web.api.accounts import history_page
from cairn.web.api.chain import BEFORE, block_page
from cairn.web.api.pool import pool_page
from cairn.web.api.routing import CURSOR
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.problems import ApiProblem
from cairn.web.views import account_view, block_detail, find_block, find_transaction

PAGE_BLOCKS = 20
PAGE_TRANSACTIONS = 50
MAX_SHOWN_TRANSACTIONS = 500
"""Of a block on its page; the API has them all."""


@pages.get("/chain")
def chain() -> str:
    """Blocks, newest first."""
    before = BEFORE.optional_number()
    page = block_page(before, PAGE_BLOCKS, this_node())
    return render_template("chain.html", page=page, before=before)


@pages.get("/block/<reference>")
def block(reference: str) -> str:
    """One block with its transactions."""
    node = this_node()
    found = block_detail(find_block(reference, node), node)
    return render_template("block.html", block=found, shown=MAX_SHOWN_TRANSACTIONS)


@pages.get("/transaction/<id>")
def transaction(id: str) -> str:  # noqa: A002 - as the path names it
    """One transaction."""
    return render_template("transaction.html", transaction=find_transaction(id, this_node()))


@pages.get("/address/<address>")
def address(address: str) -> str:
    """An account's balance and history."""
    node = this_node()
    return render_template(
        "address.html",
        account=account_view(address, node),
        history=history_page(address, CURSOR.text(), PAGE_TRANSACTIONS, node),
    )


@pages.get("/pool")
def pool() -> str:
    """What waits for a block."""
    page = pool_page(PoolOrder.FEE_RATE, CURSOR.text(), PAGE_TRANSACTIONS, this_node())
    return render_template("pool.html", page=page)


@pages.get("/search")
def search() -> Response:
    """Goes to the block, transaction or account that the text names."""
    node = this_node()
    text = request.args.get("q", "").strip()[:200]
    target = None
    for kind, find in (
        ("address", lambda: node.decode_address(text)),
        ("block", lambda: find_block(text, node)),
        ("transaction", lambda: find_transaction(text, node)),
    ):
        try:
            find()
        except (ApiProblem, RuleError):
            continue
        target = f"/{kind}/{text}"
        break
    if target is None:
        raise ApiProblem("not-found", "no block, transaction or address is called that")
    return Response(status=303, headers={"Location": target})
