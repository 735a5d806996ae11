"""Branches and reorganisations, as a node that followed another branch tells of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.node import EXTENSION
from tests.support.builders import ChainBuilder, make_key
from tests.support.chain import ChainNode
from tests.support.web import WebTestNode

LATER = 2**31


@pytest.fixture(scope="module")
def reorganised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A node without its listener whose chain left two blocks with a transaction for three."""
    web_node = WebTestNode(Path(tmp_path_factory.mktemp("forked")))
    web_node.start_listener()  # makes the tables
    web_node.stop_listener()
    chain = ChainNode(web_node.config.database_url, web_node.params)
    main = ChainBuilder(web_node.params)
    chain.offer(main.mine(), now=LATER)
    side = main.fork(1)
    chain.offer(main.mine([main.send(make_key(0), make_key(1).address, 5)]), main.mine(), now=LATER)
    chain.offer(side.mine(extra=b"side"), side.mine(), side.mine(), now=LATER)
    assert chain.chain.tip.hash == side.blocks[-1].hash
    chain.close()
    app = create_app(web_node.config)
    yield app.test_client()
    app.extensions[EXTENSION].close()
    web_node.close()


def test_the_branch_that_was_left_is_listed(reorganised: FlaskClient) -> None:
    (branch,) = json.loads(reorganised.get("/api/v1/forks").data)["items"]
    assert (branch["height"], branch["fork_height"], branch["blocks"]) == (3, 1, 2)
    assert (branch["status"], branch["depth"], branch["transactions"]) == ("valid", 3, 1)
    assert int(branch["active_work"]) * 2 == int(branch["branch_work"]) * 3 > 0


def test_what_was_undone_is_told(reorganised: FlaskClient) -> None:
    (move,) = json.loads(reorganised.get("/api/v1/reorganisations").data)["items"]
    assert (move["old_height"], move["new_height"], move["fork_height"]) == (3, 4, 1)
    assert (move["blocks_undone"], move["blocks_connected"]) == (2, 3)
    fates = ("undone", "mined_again", "returned", "dropped")
    assert [move[f"transactions_{fate}"] for fate in fates] == [1, 0, 1, 0]


def test_the_page_says_the_same_in_words(reorganised: FlaskClient) -> None:
    page = reorganised.get("/forks").text
    assert "2 blocks undone" in page
    assert "1 went back to the pool" in page
    assert "less work" in page


def test_pages_go_on_where_they_ended(reorganised: FlaskClient) -> None:
    for path in ("forks", "reorganisations"):
        page = json.loads(reorganised.get(f"/api/v1/{path}?limit=1").data)
        assert len(page["items"]) == 1
        following = reorganised.get(f"/api/v1/{path}?limit=1&cursor={page['next']}")
        assert json.loads(following.data) == {"items": [], "next": None}


def test_a_block_that_was_left_has_a_page_that_says_so(reorganised: FlaskClient) -> None:
    (branch,) = json.loads(reorganised.get("/api/v1/forks").data)["items"]
    (move,) = json.loads(reorganised.get("/api/v1/reorganisations").data)["items"]
    link = f'href="/block/{branch["tip"]}"'
    assert branch["tip"] == move["old_tip"]
    assert reorganised.get("/forks").text.count(link) == 2  # its row, and what was undone
    tip = reorganised.get(f"/block/{branch['tip']}").text
    assert "This block is not in the chain" in tip
    assert "none: not in the chain" in tip
    assert 'rel="next"' not in tip
    (previous,) = re.findall(r'href="/block/([0-9a-f]{64})" rel="prev"', tip)
    below = reorganised.get(f"/block/{previous}").text
    assert "This block is not in the chain" in below
    assert re.search(r'<tr data-key="[0-9a-f]{64}">', below)  # its transaction
    assert reorganised.get(f"/api/v1/blocks/{branch['tip']}").status_code == 404


def test_the_chains_own_blocks_do_not_say_so(reorganised: FlaskClient) -> None:
    for height in range(5):
        page = reorganised.get(f"/block/{height}", follow_redirects=True)
        assert page.status_code == 200
        assert "not in the chain" not in page.text.lower()
        assert 'data-says="In the chain"' in page.text


def test_the_search_finds_a_block_that_was_left(reorganised: FlaskClient) -> None:
    (branch,) = json.loads(reorganised.get("/api/v1/forks").data)["items"]
    reply = reorganised.get("/search", query_string={"q": branch["tip"]})
    assert (reply.status_code, reply.headers["Location"]) == (303, f"/block/{branch['tip']}")
    assert reorganised.get("/search", query_string={"q": "00" * 32}).status_code == 404
