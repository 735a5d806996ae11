"""What `GET /fees` suggests, by hand from what waits."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.node import EXTENSION
from tests.support.builders import make_key
from tests.support.web import WebTestNode

SIZE = 152
"""Bytes of a transaction without data."""


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[tuple[FlaskClient, WebTestNode]]:
    """A node in whose pool nothing waits, and a client of it."""
    running = WebTestNode(tmp_path)
    running.start_listener()
    app = create_app(running.config)
    yield app.test_client(), running
    app.extensions[EXTENSION].close()
    running.close()


def suggested(client: FlaskClient) -> dict[str, int]:
    return {name: int(fee) for name, fee in client.get("/api/v1/fees").json.items()}


def test_an_empty_pool_wants_no_more_than_the_node_takes(
    quiet: tuple[FlaskClient, WebTestNode],
) -> None:
    client, running = quiet
    least = running.config.pool.min_fee_per_byte
    assert suggested(client) == dict.fromkeys(("minimum", "low", "normal", "high"), least)


def test_a_full_pool_is_outbid_where_blocks_end(
    quiet: tuple[FlaskClient, WebTestNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, running = quiet
    rates = [100, 90, 80, 70, 60, 50, 40, 30, 20]
    for number, rate in enumerate(rates):
        running.submit([running.transaction(make_key(number), make_key(900), 1, fee=rate * SIZE)])
    # As if a block had room for two of them: ranks 1, 2 and 6 of those that wait.
    node = client.application.extensions[EXTENSION]
    small = _with_block_bytes(node.params, 2 * SIZE)
    monkeypatch.setattr(node, "params", small)
    assert suggested(client) == {"minimum": 1, "low": 41, "normal": 81, "high": 91}


def _with_block_bytes(params: object, size: int) -> object:
    """The numbers of a network that no genesis file could name: its blocks are too small."""
    return replace(params, max_block_bytes=size)  # type: ignore[type-var]
