"""Without a listener reads still work, writes are refused for now; without a database, all is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.node import EXTENSION
from tests.support.builders import make_key
from tests.support.polling import wait_until
from tests.support.web import TOKEN, WebTestNode, as_json

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTestNode]:
    """A node whose listener has made a block, and ended."""
    node = WebTestNode(tmp_path_factory.mktemp("stopped"))
    node.start_listener()
    node.mine()
    node.stop_listener()
    yield node
    node.close()


@pytest.fixture(scope="module")
def away(stopped: WebTestNode) -> Iterator[Flask]:
    """Its application."""
    made = create_app(stopped.config)
    yield made
    made.extensions[EXTENSION].close()


@pytest.fixture
def alone(away: Flask) -> FlaskClient:
    """A client of it."""
    return away.test_client()


@pytest.mark.parametrize(
    "path", ["blocks", "blocks/1", "headers", "genesis", "pool", "pool/check", "nodes", "metrics"]
)
def test_reads_still_work(alone: FlaskClient, path: str):
    assert alone.get(f"/api/v1/{path}").status_code == 200


def test_status_says_that_the_listener_is_away(alone: FlaskClient):
    status = json.loads(alone.get("/api/v1/status").data)
    assert status["height"] == 1
    assert status["listener"] == "unavailable"
    assert status["sync_state"] == "unknown"
    assert status["miner"] == {"mode": None, "hashes_per_second": 0}
    assert [alert["code"] for alert in status["alerts"]] == ["listener-unavailable"]
    assert alone.get("/").status_code == 200


def test_writes_are_refused_for_now(alone: FlaskClient, stopped: WebTestNode):
    transaction = stopped.transaction(make_key(0), make_key(1))
    document = as_json(transaction, stopped.params.address_prefix)
    for path, body in [
        ("transactions", document),
        ("transactions", [document]),
        ("nodes", {"record": "00"}),
        ("mine", {"blocks": 1}),
        ("nodes/join", {"url": "http://127.0.0.1:1"}),
    ]:
        reply = alone.post(f"/api/v1/{path}", json=body, headers=OPERATOR)
        assert reply.status_code == 503
        assert json.loads(reply.data)["code"] == "listener-unavailable"
        assert int(reply.headers["Retry-After"]) > 0


def test_health_is_good_and_readiness_is_not(alone: FlaskClient):
    assert alone.get("/api/v1/health").status_code == 200
    ready = alone.get("/api/v1/ready")
    assert ready.status_code == 503
    failing = [check["name"] for check in json.loads(ready.data)["checks"] if not check["ok"]]
    assert failing == ["listener"]


def test_listener_that_comes_back_is_found(alone: FlaskClient, stopped: WebTestNode):
    stopped.start_listener()
    try:
        wait_until(
            lambda: alone.get("/api/v1/ready").status_code == 200, 10, "the node is ready again"
        )
        document = as_json(
            stopped.transaction(make_key(0), make_key(1), sequence=0),
            stopped.params.address_prefix,
        )
        assert alone.post("/api/v1/transactions", json=document).status_code == 202
    finally:
        stopped.stop_listener()


def test_without_a_database_every_answer_says_so(tmp_path: Path):
    node = WebTestNode(tmp_path)
    app = create_app(node.config)
    try:
        client = app.test_client()
        for path in ("status", "blocks", "pool", "metrics"):
            reply = client.get(f"/api/v1/{path}")
            assert reply.status_code == 503, path
            assert json.loads(reply.data)["code"] == "database-unavailable"
            assert str(tmp_path) not in reply.text
        health = client.get("/api/v1/health")
        assert health.status_code == 503
        assert json.loads(health.data)["status"] == "failing"
        assert str(tmp_path) not in health.text
        page = client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.mimetype) == (503, "text/html")
    finally:
        app.extensions[EXTENSION].close()
        node.close()


def test_bad_configuration_ends_the_program_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "bad.toml"
    file.write_text("[web]\nmax_event_streams = -1\n", encoding="utf-8")
    monkeypatch.setenv("CAIRN_CONFIG", str(file))
    with pytest.raises(SystemExit) as ended:
        create_app()
    assert ended.value.code == 78
    assert "web.max_event_streams" in capsys.readouterr().err
