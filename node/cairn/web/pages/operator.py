"""The operator's view: how the node is, what is wrong and what to do, and the last log lines."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from flask import Response, make_response, render_template

import cairn
from cairn.ipc.client import ListenerUnavailable
from cairn.storage.errors import StorageError
from cairn.web.alert_help import ALERT_HELP
from cairn.web.api.nodes import node_views
from cairn.web.api.operations import LEVEL, log_lines
from cairn.web.bodies import read_form
from cairn.web.health import readiness
from cairn.web.node import WebNode, this_node
from cairn.web.operator import compare_token, operator_token
from cairn.web.pages.blueprint import pages, see_other
from cairn.web.problems import ApiProblem, status_of
from cairn.web.security import check_origin, name_origin
from cairn.web.sessions import MAX_FORM_BYTES, Flash, Sessions
from cairn.web.status import status_view

LOG_LINES = 100
MAX_NODES_SHOWN = 200

_T = TypeVar("_T")


@pages.get("/operator")
def operator() -> Response:
    """The page, for whoever is logged in; others are sent to log in."""
    node = this_node()
    sessions = Sessions(node.config)
    session = sessions.current()
    if session is None:
        return _guarded(see_other("/operator/login"))
    level = LEVEL.text() or "info"
    node.forget_status()  # what was done a moment ago may have gone through another worker
    status = _if_there(lambda: status_view(node))
    nodes = _if_there(lambda: node_views(node)) or []
    listener = node.listener_status()
    said = sessions.told()
    response = make_response(
        render_template(
            "operator.html",
            said=said,
            form_token=sessions.form_token(session),
            status=status,
            wanted_mode=listener.wanted_miner_mode if listener else None,
            configured_mode=node.config.miner.mode,
            help=ALERT_HELP,
            checks=readiness(node).checks,
            release=release_name(),
            web_started_at=node.started_at,
            nodes=nodes[:MAX_NODES_SHOWN],
            more_nodes=max(0, len(nodes) - MAX_NODES_SHOWN),
            now=int(time.time()),
            level=level,
            levels=LEVEL.choices,
            log=_if_there(lambda: log_lines(level, LOG_LINES, node)),
        )
    )
    if said is not None:
        sessions.forget_told(response)
    return _guarded(response)


@pages.get("/operator/login")
def login() -> Response:
    """The form that takes the operator's token."""
    sessions = Sessions(this_node().config)
    if sessions.current() is not None:
        return _guarded(see_other("/operator"))
    return _guarded(make_response(render_template("operator_login.html", problem="")))


@pages.post("/operator/login")
def log_in() -> Response:
    """Begins a session for whoever knows the token."""
    check_origin()
    node = this_node()
    sessions = Sessions(node.config)
    given = read_form(MAX_FORM_BYTES).get("token", "").strip()
    try:
        compare_token(given, operator_token(node.config), node)
    except ApiProblem as problem:
        page = render_template("operator_login.html", problem=problem.detail)
        response = make_response(page, status_of(problem.code))
        if "retry_after_seconds" in problem.numbers:
            response.headers["Retry-After"] = str(problem.numbers["retry_after_seconds"])
        return _guarded(response)
    response = see_other("/operator")
    sessions.begin(response)
    return _guarded(response)


@pages.post("/operator/logout")
def log_out() -> Response:
    """Ends the session in this browser."""
    sessions = Sessions(this_node().config)
    sessions.check_form()
    response = see_other("/operator/login")
    sessions.end(response)
    return _guarded(response)


def act(action: Callable[[dict[str, str], WebNode], str]) -> Response:
    """Does what a form of the page asks for; the page then tells what came of it."""
    node = this_node()
    sessions = Sessions(node.config)
    fields = sessions.check_form()
    try:
        flash = Flash(True, action(fields, node))
    except ApiProblem as problem:
        flash = Flash(False, problem.detail)
    except ListenerUnavailable:
        flash = Flash(False, "the listener does not answer; whether it was done is not known")
    response = see_other("/operator")
    sessions.tell(response, flash)
    return _guarded(response)


@functools.cache
def release_name() -> str:
    """The folder below `releases` that this program runs from; empty elsewhere."""
    for folder in Path(cairn.__file__).resolve().parents:
        if folder.parent.name == "releases":
            return folder.name
    return ""


def _if_there(read: Callable[[], _T]) -> _T | None:
    """What is read, or None: the page is needed most when something is away."""
    try:
        return read()
    except (ApiProblem, StorageError, ListenerUnavailable):
        return None


def _guarded(response: Response) -> Response:
    """Kept by nobody, and browsers name the origin of its forms."""
    response.headers["Cache-Control"] = "no-store"
    return name_origin(response)
