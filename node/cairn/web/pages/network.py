"""The nodes that this one knows."""

from flask import render_template

from cairn.web.api.nodes import node_views
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages


@pages.get("/nodes")
def nodes() -> str:
    """Known nodes."""
    return render_template("nodes.html", nodes=node_views(this_node()))
