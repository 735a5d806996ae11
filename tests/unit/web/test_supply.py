"""The supply is right however blocks and questions fall together."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.web.node import WebNode
from tests.support.web import WebTestNode


@pytest.fixture
def reader(tmp_path: Path):
    """A node's web tier as one that reads while blocks come; and the node."""
    running = WebTestNode(tmp_path)
    running.start_listener()
    web = WebNode(running.config)
    yield web, running
    web.close()
    running.close()


def counted(web: WebNode) -> int:
    supply = web.queries.supply()
    assert supply is not None
    return supply.units


def test_a_block_between_the_tip_and_the_count_is_not_counted_twice(
    reader: tuple[WebNode, WebTestNode],
) -> None:
    web, running = reader
    before = web.queries.tip()
    assert before is not None
    running.mine()
    assert web.supply(before) == counted(web), "counted at the newer tip"
    after = web.queries.tip()
    assert after is not None
    assert web.supply(after) == counted(web)


def test_is_followed_over_many_blocks(reader: tuple[WebNode, WebTestNode]) -> None:
    web, running = reader
    for _ in range(3):
        running.mine(2)
        tip = web.queries.tip()
        assert tip is not None
        assert web.supply(tip) == counted(web)


def test_status_agrees(client: FlaskClient, node: WebTestNode) -> None:
    allocated = sum(amount for _, amount in node.params.allocations)
    found = client.get("/api/v1/status").json
    minted = found["height"] * node.params.initial_subsidy
    assert int(found["supply"]) == allocated + minted
