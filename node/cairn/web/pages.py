"""Pages for people, rendered here; what moves in them is a few small ES modules."""

import time
from datetime import UTC, datetime

from flask import Blueprint, Flask, Response, render_template, request
from flask_bootstrap import Bootstrap5

from cairn import __version__
from cairn.consensus.errors import RuleError
from cairn.storage.answers import PoolOrder
from cairn.web.api.accounts import history_page
from cairn.web.api.chain import BEFORE, block_page
from cairn.web.api.nodes import node_views
from cairn.web.api.pool import pool_page
from cairn.web.api.routing import CURSOR
from cairn.web.node import this_node
from cairn.web.openapi import openapi_document, problem_codes
from cairn.web.problems import ApiProblem
from cairn.web.status import status_view
from cairn.web.views import account_view, block_detail, coins, find_block, find_transaction

PAGE_BLOCKS = 20
OVERVIEW_BLOCKS = 8
PAGE_TRANSACTIONS = 50
MAX_SHOWN_TRANSACTIONS = 500
"""Of a block on its page; the API has them all."""

pages = Blueprint("pages", __name__)


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


@pages.get("/nodes")
def nodes() -> str:
    """Known nodes."""
    return render_template("nodes.html", nodes=node_views(this_node()))


@pages.get("/send")
def send() -> str:
    """The form that signs in the browser and sends."""
    return render_template("send.html", status=status_view(this_node()))


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


@pages.get("/api")
def api_page() -> str:
    """The REST API, readable."""
    return render_template("api.html", document=openapi_document(), codes=problem_codes())


@pages.get("/problems/<code>")
def problem_type(code: str) -> Response:
    """Where the `type` of a problem document leads."""
    if code not in dict(problem_codes()):
        raise ApiProblem("not-found", "no problem is called that")
    return Response(status=303, headers={"Location": f"/api#problem-{code}"})


@pages.get("/favicon.ico")
def favicon() -> Response:
    """None; asked for by every browser all the same."""
    return Response(status=204, headers={"Cache-Control": "max-age=86400"})


def install_pages(app: Flask) -> None:
    """Adds the pages, Bootstrap's files, and what the templates use."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.register_blueprint(pages)
    app.jinja_env.filters.update(coins=coins, utc=_utc, ago=_ago, text=_as_text)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def common() -> dict[str, object]:
        node = this_node()
        return {
            "node_name": node.config.node.name,
            "network": node.params.name,
            "symbol": node.params.symbol,
            "version": __version__,
        }


def _utc(timestamp: int) -> str:
    """Date and time; a sender may claim a time that no calendar has."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} s"


def _ago(timestamp: int) -> str:
    """How long ago, in one unit."""
    seconds = max(0, int(time.time()) - timestamp)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago"


def _as_text(data: str) -> str | None:
    """The text that bytes (hex) are, when every character of it can be shown; else None."""
    try:
        text = bytes.fromhex(data).decode("utf-8")
    except ValueError:
        return None
    return text if all(each.isprintable() or each == "\n" for each in text) else None
