"""Calls that need the operator's token."""

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import MineRequested
from cairn.web.node import EXTENSION
from tests.support.polling import wait_until
from tests.support.web import TOKEN, WebTestNode


def post_mine(client: FlaskClient, token: str | None, blocks: int = 3):
    headers = {} if token is None else {"Authorization": token}
    return client.post("/api/v1/mine", json={"blocks": blocks}, headers=headers)


@pytest.mark.parametrize(
    "token",
    [None, "", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x",
     "Bearer \xff\xfe", f"Bearer {TOKEN[:-1]}"],
)  # fmt: skip
def test_wrong_token_is_refused(client: FlaskClient, token: str | None):
    reply = post_mine(client, token)
    assert reply.status_code == 401
    assert json.loads(reply.data)["code"] == "unauthorized"
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_a_miner_it_says_so(client: FlaskClient):
    reply = post_mine(client, f"Bearer {TOKEN}")
    assert reply.status_code == 503
    assert json.loads(reply.data)["code"] == "miner-unavailable"


def test_miner_is_asked(client: FlaskClient, node: WebTestNode):
    node.report_miner()
    with EventSubscriber(node.config.event_socket, [MineRequested]) as events:

        def asked() -> object:
            assert post_mine(client, f"Bearer {TOKEN}").status_code == 202
            return events.next(0.2)

        assert wait_until(asked, 10, "the miner hears of it") == MineRequested(3)


def test_without_a_token_file_the_configuration_key_is_named(
    app: Flask, client: FlaskClient, node: WebTestNode
):
    file = node.config.web.operator_token_file
    assert file is not None
    moved = file.rename(file.with_name("elsewhere"))
    try:
        reply = post_mine(client, f"Bearer {TOKEN}")
        assert reply.status_code == 403
        assert "web.operator_token_file" in json.loads(reply.data)["detail"]
        Path(file).write_text("short\n", encoding="utf-8")
        assert post_mine(client, "Bearer short").status_code == 403
    finally:
        moved.rename(file)
    assert app.extensions[EXTENSION].config is node.config
