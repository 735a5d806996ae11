"""The node itself: status, health, metrics, events, and what its operator may ask for."""

from functools import partial

import msgspec
from flask import Response, request

from cairn.ipc.messages import (
    MAX_LOG_LINES,
    MAX_MINE_BLOCKS,
    Done,
    GetLog,
    Log,
    Mine,
    SetMinerMode,
)
from cairn.web.api.routing import Answer, Parameter, api
from cairn.web.bodies import JSON_TYPE, read_json
from cairn.web.health import health, readiness
from cairn.web.node import WebNode, this_node
from cairn.web.node_models import (
    DoneView,
    HealthView,
    LogLineView,
    LogView,
    MineRequest,
    MinerModeRequest,
    StatusView,
)
from cairn.web.operator import check_operator
from cairn.web.problems import ApiProblem
from cairn.web.status import status_view

EVENTS_TYPE = "text/event-stream"
METRICS_TYPE = "text/plain"
_OK, _FAILING = 200, 503

LOG_TIMEOUT_SECONDS = 2.0
LEVEL = Parameter("level", "Lines of this level and above.", choices=("info", "warning", "error"))
LINES = Parameter("limit", "How many lines at most.", low=1, high=MAX_LOG_LINES, default=100)

_mine = msgspec.json.Decoder(MineRequest)
_mode = msgspec.json.Decoder(MinerModeRequest)


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
    check_operator(node)
    return mine(read_json(_mine).blocks, node), 202


def mine(blocks: int, node: WebNode) -> DoneView:
    """Asks the miner for so many blocks. Raises ApiProblem."""
    if not 1 <= blocks <= MAX_MINE_BLOCKS:
        raise ApiProblem(
            "value-out-of-range",
            f"blocks {str(blocks)[:40]} is not from 1 to {MAX_MINE_BLOCKS}",
            field="blocks",
            low=1,
            high=MAX_MINE_BLOCKS,
        )
    done = node.ask(Mine(blocks), Done)
    return DoneView(detail=done.detail or f"the miner was asked for {blocks} block(s)")


@api.route(
    "POST /miner",
    "node",
    DoneView,
    bodies={JSON_TYPE: MinerModeRequest},
    problems=(400, 413, 415, 422, 503),
    operator=True,
)
def post_miner() -> Answer:
    """Set the miner's mode until the listener restarts; null: as configured."""
    node = this_node()
    check_operator(node)
    return set_miner_mode(read_json(_mode).mode, node)


def set_miner_mode(mode: str | None, node: WebNode) -> DoneView:
    """Has the miner mine in this mode. Raises ApiProblem."""
    done = node.ask(SetMinerMode(mode), Done)
    return DoneView(detail=done.detail)


@api.route("GET /log", "node", LogView, parameters=(LEVEL, LINES), operator=True)
def get_log() -> Answer:
    """The last lines of the listener's log, newest first."""
    node = this_node()
    check_operator(node)
    level, lines = LEVEL.text() or "info", LINES.number()
    return LogView(items=log_lines(level, lines, node))


def log_lines(level: str, limit: int, node: WebNode) -> list[LogLineView]:
    """The latest `limit` lines of this level and above, newest first. Raises ApiProblem."""
    kept = node.ask(GetLog(level, limit), Log, LOG_TIMEOUT_SECONDS)
    return [
        LogLineView(time_milliseconds=line.time, level=line.level, text=line.text)
        for line in reversed(kept.lines)
    ]
