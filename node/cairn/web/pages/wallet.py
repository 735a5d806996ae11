"""Pages that sign in the browser: no private key reaches the node."""

from flask import render_template

from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.status import status_view


@pages.get("/send")
def send() -> str:
    """The form that signs in the browser and sends."""
    return render_template("send.html", status=status_view(this_node()))
