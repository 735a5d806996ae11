"""The web tier on each database: reads, and a database that goes away and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.node import EXTENSION
from tests.support.builders import COIN, make_key
from tests.support.mariadb import PrivateMariaDB
from tests.support.polling import wait_until
from tests.support.web import WebTestNode


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[WebTestNode]:
    """With a block and a waiting transaction."""
    running = WebTestNode(tmp_path, database_url=database_url)
    try:
        running.start_listener()
        running.submit([running.transaction(make_key(0), make_key(1), COIN)])
        running.mine()
        running.submit([running.transaction(make_key(i), make_key(0)) for i in range(3)])
        yield running
    finally:
        running.close()


@pytest.fixture
def client(node: WebTestNode) -> Iterator[FlaskClient]:
    """Of its application."""
    app = create_app(node.config)
    yield app.test_client()
    app.extensions[EXTENSION].close()


def read(client: FlaskClient, path: str) -> dict:
    reply = client.get(f"/api/v1/{path}")
    assert reply.status_code == 200, reply.data
    return json.loads(reply.data)


def test_every_question_is_answered(client: FlaskClient, node: WebTestNode):
    assert read(client, "status")["height"] == 1
    block = read(client, "blocks/1")
    transaction = block["transactions"][0]["id"]
    assert read(client, f"transactions/{transaction}")["confirmations"] == 1
    assert read(client, f"transactions/{transaction}/proof")["leaf_index"] == 1
    address = node.address(make_key(0))
    assert read(client, f"accounts/{address}")["next_sequence"] == 2
    assert len(read(client, f"accounts/{address}/transactions")["items"]) == 1
    assert read(client, "pool/check")["valid"] == 3
    first = read(client, "pool?limit=2")
    rest = read(client, f"pool?limit=2&cursor={first['next']}")
    assert len({each["id"] for each in first["items"] + rest["items"]}) == 3
    of_block = f"/block/{block['hash']}"
    for path in ("/", "/chain", of_block, f"/transaction/{transaction}", f"/address/{address}"):
        assert client.get(path, headers={"Accept": "text/html"}).status_code == 200


def test_database_server_that_dies_and_comes_back(mariadb: PrivateMariaDB, tmp_path: Path):
    mariadb.start()
    node = WebTestNode(tmp_path, database_url=mariadb.create_database("cairn_web_outage"))
    app = create_app(node.config)
    client = app.test_client()
    try:
        node.start_listener()
        assert client.get("/api/v1/health").status_code == 200
        mariadb.kill()
        reply = client.get("/api/v1/blocks")
        assert reply.status_code == 503
        assert json.loads(reply.data)["code"] == "database-unavailable"
        assert int(reply.headers["Retry-After"]) > 0
        assert client.get("/api/v1/health").status_code == 503
        mariadb.start()
        wait_until(lambda: client.get("/api/v1/health").status_code == 200, 20, "it is read again")
        assert read(client, "blocks")["items"]
    finally:
        app.extensions[EXTENSION].close()
        node.close()
        mariadb.start()
        mariadb.drop_database("cairn_web_outage")
