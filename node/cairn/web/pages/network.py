"""The nodes that this one knows, and the branches that are not followed."""

import time

from flask import render_template
from msgspec.structs import replace

from cairn.web.api.forks import branch_page, reorganisation_page
from cairn.web.api.nodes import AFTER, node_views
from cairn.web.api.routing import CURSOR, Parameter
from cairn.web.node import WebNode, this_node
from cairn.web.node_models import NodeView
from cairn.web.pages.blueprint import pages
from cairn.web.pages.nodemap import draw_nodes
from cairn.web.views import tip_height

PAGE_NODES = 50
PAGE_BRANCHES = 20
PAGE_REORGANISATIONS = 20
BEFORE = Parameter("before", "The number of the last reorganisation seen.")


@pages.get("/nodes")
def nodes() -> str:
    """Known nodes."""
    node = this_node()
    after = AFTER.text()
    known = with_heights(node_views(node), node)
    following = [each for each in known if after is None or each.curve_key > after]
    shown = following[:PAGE_NODES]
    return render_template(
        "nodes.html",
        nodes=shown,
        next=shown[-1].curve_key if len(following) > PAGE_NODES else None,
        after=after,
        known=len(known),
        connected=sum(each.connected for each in known),
        map=draw_nodes(known),
        tip=tip_height(node),
        now=int(time.time()),
    )


def with_heights(nodes: list[NodeView], node: WebNode) -> list[NodeView]:
    """The nodes, those connected with the height that the listener knows of them by now."""
    status = node.listener_status()
    now = {peer.curve_key: peer.height for peer in status.peers} if status else {}
    return [
        replace(each, height=max(each.height, now.get(each.curve_key, 0)))
        if each.connected
        else each
        for each in nodes
    ]


@pages.get("/forks")
def forks() -> str:
    """Branches that are not followed, and what reorganisations undid."""
    node = this_node()
    cursor, before = CURSOR.text(), BEFORE.text()
    return render_template(
        "forks.html",
        branches=branch_page(cursor, PAGE_BRANCHES, node),
        moves=reorganisation_page(before, PAGE_REORGANISATIONS, node),
        cursor=cursor,
        before=before,
    )
