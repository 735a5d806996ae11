"""Pages that work in the browser: no private key and no file reaches the node."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response, render_template, request

from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages, see_other
from cairn.web.status import status_view

_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How to reach this page by SSH, which makes it one of the visitor's own machine."""

    host: str
    port: int
    """Of the page, on its host."""


@pages.get("/wallet")
def wallet() -> str:
    """Keys of the browser, and sending from them."""
    return _page("wallet.html")


@pages.get("/send")
def send() -> Response:
    """Where the form was before it was part of the wallet."""
    return see_other("/wallet")


@pages.get("/notarize")
def notarize() -> str:
    """A file's fingerprint, put in the chain."""
    return _page("notarize.html")


@pages.get("/verify")
def verify() -> str:
    """A file and its proof, checked in the browser."""
    return _page("verify.html")


def _page(template: str) -> str:
    return render_template(template, status=status_view(this_node()), tunnel=tunnel(request.host))


def tunnel(host: str) -> Tunnel:
    """From the request's host, as the browser names it: `name`, `name:port` or `[address]:port`."""
    try:
        parts = urlsplit(f"//{host}")
        return Tunnel(parts.hostname or host, parts.port or _HTTP_PORT)
    except ValueError:
        return Tunnel(host, _HTTP_PORT)
