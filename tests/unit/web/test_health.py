"""Readiness in bad times: a stalled chain, a wrong clock, no peers, a full disk; and hash rate."""

import json
import shutil
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.web import create_app, health
from cairn.web.node import EXTENSION
from cairn.web.status import HASH_RATE_BLOCKS, hash_rate
from tests.support.web import WebTestNode


def failing(client: FlaskClient) -> list[str]:
    """The checks that `GET ready` says are not good."""
    reply = client.get("/api/v1/ready")
    checks = json.loads(reply.data)["checks"]
    names = [check["name"] for check in checks if not check["ok"]]
    assert reply.status_code == (503 if names else 200)
    return names


def shift_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    now = time.time()
    monkeypatch.setattr(health.time, "time", lambda: now + seconds)


def test_transactions_that_wait_too_long_show_a_stalled_chain(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    assert failing(client) == []
    shift_clock(monkeypatch, health.MIN_PATIENCE_SECONDS + 60)
    assert failing(client) == ["tip"]


def test_old_tip_is_no_fault_while_nothing_waits(
    client: FlaskClient, node: WebTestNode, monkeypatch: pytest.MonkeyPatch
):
    node.mine()
    shift_clock(monkeypatch, 100_000)
    assert failing(client) == []


def test_clock_that_is_behind_the_chain_is_found(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    shift_clock(monkeypatch, -1_000)
    assert failing(client) == ["clock"]


def test_full_disk_is_found(client: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage("/")._replace(free=health.MIN_FREE_BYTES - 1)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _path: usage)
    assert failing(client) == ["disk"]


def test_node_with_alphas_and_no_peer_is_not_ready(tmp_path: Path):
    node = WebTestNode(tmp_path, alphas=["http://127.0.0.1:1"])
    app = create_app(node.config)
    try:
        node.start_listener()
        assert "peers" in failing(app.test_client())
    finally:
        app.extensions[EXTENSION].close()
        node.close()


def test_database_of_another_network_is_found(tmp_path: Path, node: WebTestNode):
    other = WebTestNode(tmp_path, database_url=node.config.database_url)
    app = create_app(other.config)
    try:
        reply = app.test_client().get("/api/v1/health")
        assert reply.status_code == 503
        assert node.network_id.hex() in reply.text
    finally:
        app.extensions[EXTENSION].close()
        other.close()


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        ([], 0),
        ([(0, 2)], 0),
        ([(0, 2), (100, 4)], 0),
        ([(0, 2), (100, 4), (110, 54)], 5),
        ([(0, 2), (100, 4), (100, 54)], 0),
        ([(0, 2), (100, 4), (90, 54)], 0),
        ([(10 * i, 100 * i) for i in range(HASH_RATE_BLOCKS)], 10),
    ],
)
def test_hash_rate_is_work_over_time_without_genesis(times: list[tuple[int, int]], rate: int):
    assert hash_rate(times) == rate
