"""Balances and histories."""

from cairn.web.api.routing import CURSOR, LIMIT, Answer, api
from cairn.web.cursors import encode_cursor, history_cursor
from cairn.web.models import AccountView, HistoryPage
from cairn.web.node import WebNode, this_node
from cairn.web.views import account_view, mined_view, tip_height

ADDRESS = {"address": "Bech32m address."}


@api.route("GET /accounts/<address>", "accounts", AccountView, path_words=ADDRESS, problems=(422,))
def get_account(address: str) -> Answer:
    """Balance, confirmed and pending, and the next sequence of an account."""
    return account_view(address, this_node())


@api.route(
    "GET /accounts/<address>/transactions",
    "accounts",
    HistoryPage,
    parameters=(CURSOR, LIMIT),
    path_words=ADDRESS,
    problems=(400, 422),
)
def list_account_transactions(address: str) -> Answer:
    """Mined transactions that an account sent or received, newest first."""
    return history_page(address, CURSOR.text(), LIMIT.number(), this_node())


def history_page(text: str, cursor: str | None, limit: int, node: WebNode) -> HistoryPage:
    """A page of an account's history."""
    address = node.decode_address(text)
    found = node.queries.account_transactions(address, history_cursor(cursor), limit)
    height = tip_height(node)
    following = encode_cursor(found[-1].cursor) if len(found) == limit else None
    return HistoryPage(items=[mined_view(each, height, node) for each in found], next=following)
