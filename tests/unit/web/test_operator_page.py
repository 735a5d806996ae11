"""The operator's page: whose forms it takes, and what its buttons do."""

import html
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.chain.node_store import NodeRow
from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import MineRequested, MinerModeSet
from cairn.storage.engine import open_engine
from cairn.storage.node_store import SqlNodeStore
from cairn.web import create_app
from cairn.web.node import EXTENSION
from tests.support.polling import wait_until
from tests.support.web import TOKEN, WebTestNode
from tests.unit.web.operator_forms import ORIGIN, form_token, log_in

FORM = "application/x-www-form-urlencoded"
MARKUP = "<img src=x onerror=alert(1)>\"'"
ACTIONS = ("logout", "mine", "miner-mode", "join", "ban")


pytestmark = pytest.mark.usefixtures("no_attempts")


def press(client: FlaskClient, action: str, **fields: str) -> str:
    """Sends a form of the page; what the next page says came of it."""
    fields = {"form_token": form_token(client), **fields}
    reply = client.post(f"/operator/{action}", data=fields, headers=ORIGIN)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/operator")
    said = re.search(r'id="said">(.*?)</div>', client.get("/operator").text, re.DOTALL)
    assert said is not None
    assert 'id="said"' not in client.get("/operator").text, "it is said once"
    return html.unescape(" ".join(re.sub(r"<[^>]*>", "", said[1]).split()))


# -- forms that are not the page's ----------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_no_action_without_session_form_token_and_origin(
    app: Flask, operator: FlaskClient, action: str
) -> None:
    path, token = f"/operator/{action}", form_token(operator)
    good = {"form_token": token}

    def refused(code: int, client: FlaskClient, data: dict[str, str], **headers: str) -> None:
        reply = client.post(path, data=data, headers=headers)
        assert reply.status_code == code, (data, headers)
        assert "Set-Cookie" not in reply.headers

    stranger = app.test_client()
    refused(401, stranger, good, **ORIGIN)
    refused(403, operator, {"blocks": "1"}, **ORIGIN)
    refused(403, operator, {"form_token": ""}, **ORIGIN)
    refused(403, operator, {"form_token": "0" * 64}, **ORIGIN)
    refused(403, operator, {"form_token": "\u1f4a9"}, **ORIGIN)
    for origin in ("null", "http://evil.example", "https://localhost", "http://localhost:81", ""):
        refused(403, operator, good, Origin=origin)
    refused(403, operator, good)
    refused(403, operator, good, **ORIGIN, **{"Sec-Fetch-Site": "cross-site"})
    assert operator.get(path).status_code == 405


def test_another_sessions_form_token_is_refused(app: Flask, operator: FlaskClient) -> None:
    other = app.test_client()
    log_in(other)
    fields = {"form_token": form_token(other), "blocks": "1"}
    assert operator.post("/operator/mine", data=fields, headers=ORIGIN).status_code == 403


def test_login_from_another_site_is_refused(client: FlaskClient) -> None:
    reply = client.post(
        "/operator/login", data={"token": TOKEN}, headers={"Origin": "http://evil.example"}
    )
    assert reply.status_code == 403
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"token=a&token=b", FORM),
        (b"token", FORM),
        (b"\xff=\xfe", FORM),
        (b"token=%ff", FORM),
        (b"&".join(b"f%d=1" % number for number in range(20)), FORM),
        (b"token=" + b"x" * 9_000, FORM),
        (b"", FORM),
        (b"{}", "application/json"),
        (b"--x--", "multipart/form-data; boundary=x"),
    ],
)
def test_what_is_no_form_is_refused(client: FlaskClient, body: bytes, content_type: str) -> None:
    reply = client.post("/operator/login", data=body, content_type=content_type, headers=ORIGIN)
    assert reply.status_code in (400, 413, 415)


# -- what came of it is said once, to the person ---------------------------------------------------


def test_a_copy_that_the_page_fetches_leaves_the_word_to_the_person(
    operator: FlaskClient, node: WebTestNode
) -> None:
    node.report_miner()
    copy = {"X-Requested-With": "XMLHttpRequest"}
    before = operator.get("/operator", headers=copy)
    assert "Set-Cookie" not in before.headers, "it may come after the form's answer"
    fields = {"form_token": form_token(operator), "mode": "always"}
    operator.post("/operator/miner-mode", data=fields, headers=ORIGIN)
    during = operator.get("/operator", headers=copy)
    assert 'id="said"' not in during.text
    assert "Set-Cookie" not in during.headers
    assert 'id="said"' in operator.get("/operator").text
    assert 'id="said"' not in operator.get("/operator").text


# -- what the buttons do --------------------------------------------------------------------------


def heard(node: WebTestNode, kind: type[Any], do: Callable[[], object]) -> object:
    with EventSubscriber(node.config.event_socket, [kind]) as events:

        def asked() -> object:
            do()
            return events.next(0.2)

        return wait_until(asked, 10, "the miner hears of it")


def test_mines_now(operator: FlaskClient, node: WebTestNode) -> None:
    node.report_miner()
    asked = heard(node, MineRequested, lambda: press(operator, "mine", blocks="3"))
    assert asked == MineRequested(3)
    assert "asked the miner for 3 blocks" in press(operator, "mine", blocks="3")
    for blocks in ("0", "1001", "-1", "x", "", "1e3", "1" * 500):
        assert press(operator, "mine", blocks=blocks).startswith("Refused:"), blocks


def test_sets_the_miners_mode_until_it_is_taken_back(
    operator: FlaskClient, node: WebTestNode
) -> None:
    asked = heard(node, MinerModeSet, lambda: press(operator, "miner-mode", mode="off"))
    assert asked == MinerModeSet("off")
    assert "Mode <strong>off</strong> was asked for here" in operator.get("/operator").text
    assert press(operator, "miner-mode", mode="fast").startswith("Refused:")
    assert press(operator, "miner-mode", mode="configured").startswith("Done:")
    assert "was asked for here" not in operator.get("/operator").text


def test_says_why_it_cannot_join(operator: FlaskClient) -> None:
    for url in ("x", "file:///etc/passwd", "http://127.0.0.1:1", "http://" + "a" * 2_000):
        assert press(operator, "join", url=url).startswith("Refused:")


def test_says_why_it_cannot_ban(operator: FlaskClient) -> None:
    assert press(operator, "ban", curve_key="no key", banned="yes").startswith("Refused:")


def test_shows_the_lines_of_a_level(operator: FlaskClient) -> None:
    logging.getLogger("tests").warning("something odd")
    for level, shown in (("info", True), ("warning", True), ("error", False)):
        assert ("something odd" in operator.get(f"/operator?level={level}").text) is shown
    assert operator.get("/operator?level=debug").status_code == 400


@pytest.fixture
def hostile_node(node: WebTestNode) -> Iterator[NodeRow]:
    """A row that no record could give, as if one had got into the database."""
    row = NodeRow(
        "<script>'\"&".ljust(40, "x"), b"\0", f"{MARKUP}name", f"http://{MARKUP}", MARKUP, MARKUP,
        bytes(20), MARKUP, MARKUP[:16], 1, 1, 0, 2**62, 1, 2**62,
    )  # fmt: skip
    engine = open_engine(node.config.database_url)
    store = SqlNodeStore(engine)
    store.save_nodes([row])
    yield row
    store.delete_nodes([row.curve_key])
    engine.dispose()


def test_markup_of_others_is_shown_as_text(operator: FlaskClient, hostile_node: NodeRow) -> None:
    logging.getLogger("tests").error("peer says %s and %s", MARKUP, "\u202e\x00</li>")
    said = press(operator, "ban", curve_key=MARKUP, banned="yes")
    assert said.startswith("Refused:")
    page = operator.get("/operator").text
    assert html.escape(f"{MARKUP}name") in page.replace("&#34;", "&quot;").replace(
        "&#39;", "&#x27;"
    )
    assert "peer says" in page
    assert "<img" not in page.replace('<img src="/static', "")
    assert page.count("<script") == page.count('<script type="module" src="/static') + page.count(
        '<script src="/static'
    )
    assert "\u202e" not in page
    assert "Lift ban" in page, "its ban lasts"


def test_listener_away_is_said_with_what_to_do(tmp_path: Path) -> None:
    away = WebTestNode(tmp_path)
    away.start_listener()
    away.stop_listener()
    app = create_app(away.config)
    try:
        client = app.test_client()
        log_in(client)
        page = client.get("/operator")
        assert page.status_code == 200
        assert "systemctl status cairn-listener" in page.text
        assert "The listener does not answer" in page.text
        assert "does not answer" in press(client, "mine", blocks="1")
    finally:
        app.extensions[EXTENSION].close()
        away.close()


# -- the API's twins ------------------------------------------------------------------------------

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/miner", {"mode": "off"}),
        ("POST", "/nodes/ban", {"curve_key": "x"}),
        ("GET", "/log", None),
    ],
)
def test_api_needs_the_token_and_takes_no_cookie(
    operator: FlaskClient, method: str, path: str, body: object
) -> None:
    reply = operator.open(f"/api/v1{path}", method=method, json=body)
    assert reply.status_code == 401


def test_api_sets_the_mode(client: FlaskClient, node: WebTestNode) -> None:
    def set_mode() -> None:
        reply = client.post("/api/v1/miner", json={"mode": "always"}, headers=BEARER)
        assert reply.status_code == 200

    assert heard(node, MinerModeSet, set_mode) == MinerModeSet("always")
    reply = client.post("/api/v1/miner", json={"mode": None}, headers=BEARER)
    assert reply.json["detail"] == "the miner does as it is configured"
    for body in ({"mode": "fast"}, {}, {"mode": 1}, {"mode": "off", "x": 1}):
        assert client.post("/api/v1/miner", json=body, headers=BEARER).status_code == 400


def test_api_reads_the_log(client: FlaskClient) -> None:
    logging.getLogger("tests").error("something bad")
    lines = client.get("/api/v1/log?limit=500", headers=BEARER).json["items"]
    times = [line["time_milliseconds"] for line in lines]
    assert times == sorted(times, reverse=True)
    assert any(line["text"] == "something bad" for line in lines)
    assert len(client.get("/api/v1/log?limit=1", headers=BEARER).json["items"]) == 1
    assert client.get("/api/v1/log?limit=501", headers=BEARER).status_code == 400
    assert client.get("/api/v1/log?level=debug", headers=BEARER).status_code == 400


def test_api_says_why_it_cannot_ban(client: FlaskClient) -> None:
    reply = client.post("/api/v1/nodes/ban", json={"curve_key": "x"}, headers=BEARER)
    assert (reply.status_code, reply.json["code"]) == (422, "node-record-invalid")
