"""An account: what it has, what waits, what it did."""

from dataclasses import dataclass
from io import BytesIO

import segno
from flask import Response, render_template

from cairn.web.api.accounts import history_page
from cairn.web.api.routing import CURSOR
from cairn.web.models import FoundTransaction
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.views import account_view, waiting_view

PAGE_TRANSACTIONS = 50
SHOWN_WAITING = 50
"""Of each direction; the pool holds at most 64 of one sender."""
_QR_SECONDS = 86_400
_QR_SCALE = 4
_QR_BORDER = 4
"""Modules of quiet zone, as the standard asks."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction as one account sees it."""

    transaction: FoundTransaction
    direction: str
    """`in`, `out` or `self`."""
    change: int
    """Of the balance, base units, fee included."""
    other: str
    """Address at the other end; its own for `self`."""


@pages.get("/address/<address>")
def address(address: str) -> str:
    """An account's balance, what waits, and its history."""
    node = this_node()
    account = account_view(address, node)
    cursor = CURSOR.text()
    history = history_page(address, cursor, PAGE_TRANSACTIONS, node)
    sent, received = node.queries.account_pool(node.decode_address(address), SHOWN_WAITING)
    waiting = [waiting_view(each, node) for each in (*sent, *received)]
    return render_template(
        "address.html",
        account=account,
        cursor=cursor,
        next=history.next,
        history=[movement(each, account.address) for each in history.items],
        waiting=[movement(each, account.address) for each in waiting],
        cut=len(sent) == SHOWN_WAITING or len(received) == SHOWN_WAITING,
    )


def movement(transaction: FoundTransaction, address: str) -> Movement:
    """What a transaction of this account does to it."""
    amount, fee = int(transaction.amount), int(transaction.fee)
    if transaction.sender != address:
        return Movement(transaction, "in", amount, transaction.sender)
    if transaction.recipient == address:
        return Movement(transaction, "self", -fee, address)
    return Movement(transaction, "out", -amount - fee, transaction.recipient)


@pages.get("/address/<address>/qr.svg")
def address_qr(address: str) -> Response:
    """The address as a QR code."""
    node = this_node()
    text = node.encode_address(node.decode_address(address))
    image = BytesIO()
    code = segno.make_qr(text, error="m")
    code.save(
        image, kind="svg", scale=_QR_SCALE, border=_QR_BORDER, dark="#000", light="#fff",
        title=f"Address {text}",
    )  # fmt: skip
    headers = {"Cache-Control": f"public, max-age={_QR_SECONDS}, immutable"}
    return Response(image.getvalue(), content_type="image/svg+xml", headers=headers)
