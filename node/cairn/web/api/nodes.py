"""Known nodes, and joining."""

from urllib.parse import urlsplit

import msgspec

from cairn.ipc.messages import AddNode, Done, Joined, JoinNode, SetBan
from cairn.web.api.routing import Answer, Parameter, api
from cairn.web.bodies import JSON_TYPE, hex_bytes, read_json
from cairn.web.node import WebNode, this_node
from cairn.web.node_models import (
    BanRequest,
    DoneView,
    JoinRequest,
    NodePage,
    NodeRecord,
    NodeRecords,
    NodeView,
)
from cairn.web.operator import check_operator
from cairn.web.problems import ApiProblem
from cairn.web.views import node_view

MAX_RECORD_BYTES = 4_096
"""More than any record; the listener knows the exact bound."""
MAX_URL_CHARACTERS = 1_024
JOIN_TIMEOUT_SECONDS = 30.0
MAX_NODES = 1_000
NODES_LIMIT = Parameter("limit", "How many at most.", low=1, high=MAX_NODES, default=MAX_NODES)
AFTER = Parameter("cursor", "The `next` of the page before.")

_record = msgspec.json.Decoder(NodeRecord)
_join = msgspec.json.Decoder(JoinRequest)
_ban = msgspec.json.Decoder(BanRequest)


@api.route("GET /nodes", "nodes", NodePage, parameters=(AFTER, NODES_LIMIT), problems=(400,))
def list_nodes() -> Answer:
    """Known nodes with their state, lag and score, by key."""
    limit = NODES_LIMIT.number()
    after = AFTER.text()
    found = [each for each in node_views(this_node()) if after is None or each.curve_key > after]
    following = found[limit - 1].curve_key if len(found) > limit else None
    return NodePage(items=found[:limit], next=following)


def node_views(node: WebNode) -> list[NodeView]:
    """Every known node by key; which are connected is the listener's word, where it is there."""
    rows = sorted(node.queries.nodes(), key=lambda row: row.curve_key)
    status = node.listener_status()
    if status is None:
        return [node_view(row, False, node) for row in rows]
    connected = {peer.curve_key for peer in status.peers if peer.connected}
    return [node_view(row, row.curve_key in connected, node) for row in rows]


@api.route(
    "POST /nodes",
    "nodes",
    NodeRecords,
    bodies={JSON_TYPE: NodeRecord},
    problems=(400, 403, 413, 415, 422, 503),
)
def post_node() -> Answer:
    """Join this network: hand in a signed node record, get those of the nodes known here.

    This node's own record comes first.
    """
    raw = hex_bytes(read_json(_record).record, "record", limit=MAX_RECORD_BYTES)
    joined = this_node().ask(JoinNode(raw), Joined, JOIN_TIMEOUT_SECONDS)
    return NodeRecords(items=[NodeRecord(record=each.hex()) for each in joined.records])


@api.route(
    "POST /nodes/join",
    "nodes",
    DoneView,
    bodies={JSON_TYPE: JoinRequest},
    problems=(400, 413, 415, 422, 503),
    operator=True,
)
def join_node() -> Answer:
    """Have this node join at another one's URL now."""
    node = this_node()
    check_operator(node)
    return join_at(read_json(_join).url, node)


def join_at(url: str, node: WebNode) -> DoneView:
    """Has the listener join at the node with this URL. Raises ApiProblem."""
    _check_url(url)
    done = node.ask(AddNode(url), Done, JOIN_TIMEOUT_SECONDS)
    return DoneView(detail=done.detail)


@api.route(
    "POST /nodes/ban",
    "nodes",
    DoneView,
    bodies={JSON_TYPE: BanRequest},
    problems=(400, 413, 415, 422, 503),
    operator=True,
)
def ban_node() -> Answer:
    """Ban a node for 24 h, or lift its ban.

    The key is in the body, as most of its characters have a meaning of their own in a path.
    """
    node = this_node()
    check_operator(node)
    wanted = read_json(_ban)
    return set_ban(wanted.curve_key, wanted.banned, node)


def set_ban(curve_key: str, banned: bool, node: WebNode) -> DoneView:
    """Bans or unbans the node with this key. Raises ApiProblem."""
    done = node.ask(SetBan(curve_key, banned), Done)
    return DoneView(detail=done.detail)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or len(url) > MAX_URL_CHARACTERS or not url.isprintable():
        raise ApiProblem(
            "value-out-of-range",
            f"url must be http(s)://host, at most {MAX_URL_CHARACTERS} characters",
            field="url",
        )
