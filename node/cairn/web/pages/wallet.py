"""Pages that work in the browser: no private key and no file reaches the node."""

from flask import redirect, render_template
from werkzeug.wrappers import Response

from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.status import status_view


@pages.get("/wallet")
def wallet() -> str:
    """Keys of the browser, and sending from them."""
    return render_template("wallet.html", status=status_view(this_node()))


@pages.get("/send")
def send() -> Response:
    """Where the form was before it was part of the wallet."""
    return redirect("/wallet", 303)


@pages.get("/notarize")
def notarize() -> str:
    """A file's fingerprint, put in the chain."""
    return render_template("notarize.html", status=status_view(this_node()))


@pages.get("/verify")
def verify() -> str:
    """A file and its proof, checked in the browser."""
    return render_template("verify.html", status=status_view(this_node()))
