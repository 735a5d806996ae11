"""The node itself: status, health, metrics, events, and what its operator may ask for."""

from functools import partial

import msgspec
from flask import Response, request

from cairn.ipc.messages import MAX_MINE_BLOCKS, Done, Mine
from cairn.web.api.routing import Answer, api
from cairn.web.bodies import JSON_TYPE, read_json
from cairn.web.health import health, readiness
from cairn.web.node import this_node
from cairn.web.node_models import DoneView, HealthView, MineRequest, StatusView
from cairn.web.operator import check_operator
from cairn.web.problems import ApiProblem
from cairn.web.status import status_view

EVENTS_TYPE = "text/event-stream"
METRICS_TYPE = "text/plain"
_OK, _FAILING = 200, 503

_mine = msgspec.json.Decoder(MineRequest)


@api.route("GET /status", "node", StatusView, problems=(503,))
def get_status() -> Answer:
    """The node at a glance.

    While the listener is away, what only it knows is empty and `listener` says so.
    """
    return status_view(this_node())


@api.route("GET /health", "node", {200: HealthView, 503: HealthView})
def get_health() -> Answer:
    """Whether this process runs and reaches its database."""
    view = health(this_node())
    return view, _OK if view.status == "ok" else _FAILING


@api.route("GET /ready", "node", {200: HealthView, 503: HealthView})
def get_ready() -> Answer:
    """Whether the node can do its work, and what keeps it from it."""
    view = readiness(this_node())
    return view, _OK if view.status == "ok" else _FAILING


@api.route("GET /metrics", "node", {200: METRICS_TYPE}, problems=(503,))
def get_metrics() -> Answer:
    """The node's figures for Prometheus."""
    from cairn.web.metrics import CONTENT_TYPE, metrics_text  # noqa: PLC0415 - few ask for it

    return Response(metrics_text(this_node()), content_type=CONTENT_TYPE)


@api.route("GET /events", "node", {200: EVENTS_TYPE}, problems=(503,))
def get_events() -> Answer:
    """Server-sent events: `new-block`, `new-transaction`, `reorg`, `peer`.

    The data of each is JSON. Events missed while not connected are not sent again: ask for
    what they would have changed. A client that reads too slowly is disconnected.
    """
    hub = this_node().hub
    stream = hub.open(request.remote_addr)
    response = Response(hub.frames(stream), content_type=EVENTS_TYPE)
    # Not left to the generator: one that was never begun (HEAD) would not end either.
    response.call_on_close(partial(hub.close, stream))
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # a proxy must not hold events back
    return response


@api.route(
    "POST /mine",
    "node",
    {202: DoneView},
    bodies={JSON_TYPE: MineRequest},
    problems=(400, 413, 415, 503),
    operator=True,
)
def post_mine() -> Answer:
    """Ask the miner for blocks now, whether or not transactions wait."""
    node = this_node()
    check_operator(node.config)
    blocks = read_json(_mine).blocks
    if not 1 <= blocks <= MAX_MINE_BLOCKS:
        raise ApiProblem(
            "value-out-of-range",
            f"blocks {str(blocks)[:40]} is not from 1 to {MAX_MINE_BLOCKS}",
            field="blocks",
            low=1,
            high=MAX_MINE_BLOCKS,
        )
    done = node.ask(Mine(blocks), Done)
    return DoneView(detail=done.detail or f"the miner was asked for {blocks} block(s)"), 202
