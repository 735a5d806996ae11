"""The pages of transactions, addresses, pool, nodes and forks say what the ledger holds."""

import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cairn.cli.proof_file import load_proof
from cairn.consensus.merkle import verify_path
from cairn.consensus.params import UNITS_PER_COIN
from cairn.consensus.proof import build_proof
from cairn.web.models import ProofView
from cairn.web.node import FEE_BANDS
from cairn.web.node_models import NodeView
from cairn.web.pages.address import movement
from cairn.web.pages.merkle import BOX_HEIGHT, BOX_WIDTH, draw_proof
from cairn.web.pages.nodemap import HEIGHT, RING_NODES, WIDTH, draw_nodes
from cairn.web.pages.pool import bands
from cairn.web.proof_file import ChainMovedError, proof_file
from cairn.web.views import find_transaction
from tests.support.builders import ChainBuilder, make_key
from tests.support.web import WebTestNode


def mined_id(client: FlaskClient, height: int = 1) -> str:
    block = json.loads(client.get(f"/api/v1/blocks/{height}").data)
    return str(block["transactions"][0]["id"])


def waiting_id(client: FlaskClient) -> str:
    return str(json.loads(client.get("/api/v1/pool").data)["items"][0]["id"])


# -- transaction -----------------------------------------------------------------------------------


def test_the_fields_are_all_of_the_bytes(client: FlaskClient, node: WebTestNode) -> None:
    page = client.get(f"/transaction/{mined_id(client)}").text
    cells = re.findall(r'<td class="field-hex"><span class="bytes">([0-9a-f]*)', page)
    proof = json.loads(client.get(f"/api/v1/transactions/{mined_id(client)}/proof").data)
    assert "".join(cells) == proof["transaction"]
    offsets = re.findall(
        r'<tr>\s*<td class="text-end">(\d+)</td>\s*<td class="text-end">(\d+)', page
    )
    ends = [int(offset) + int(length) for offset, length in offsets]
    assert [int(offset) for offset, _ in offsets] == [0, *ends[:-1]]
    assert ends[-1] == len(proof["transaction"]) // 2


def test_the_proof_is_the_file_that_the_command_reads(
    client: FlaskClient, node: WebTestNode, tmp_path: Path
) -> None:
    reply = client.get(f"/transaction/{mined_id(client)}/proof")
    assert reply.status_code == 200
    assert reply.headers["Content-Disposition"].startswith("attachment; filename=")
    file = tmp_path / "proof.json"
    file.write_bytes(reply.data)
    proof = load_proof(file)
    found = proof.check(node.params)
    assert found.transaction_id.hex() == mined_id(client)
    assert found.confirmations == 2


def test_what_waits_has_no_proof_yet(client: FlaskClient) -> None:
    waiting = waiting_id(client)
    page = client.get(f"/transaction/{waiting}").text
    assert "Waits for a block" in page
    assert 'class="merkle"' not in page
    assert client.get(f"/transaction/{waiting}/proof").status_code == 404
    assert client.get("/transaction/zz/proof").status_code == 400


def test_a_proof_file_is_cut_off_where_the_chain_moved(client: FlaskClient) -> None:
    web_node = client.application.extensions["cairn"]
    proof = json.loads(client.get(f"/api/v1/transactions/{mined_id(client)}/proof").data)
    moved = ProofView(**{**proof, "header": "00" * 96})
    with pytest.raises(ChainMovedError):
        list(proof_file(moved, 2, web_node))
    with pytest.raises(ChainMovedError):
        list(proof_file(ProofView(**proof), 99, web_node))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 10])
def test_the_drawing_climbs_as_the_verifier_does(count: int) -> None:
    chain = ChainBuilder()
    sent = [
        chain.send(make_key(number), make_key(20).address, 1) for number in range(min(count, 9))
    ]
    block = chain.mine(sent)
    for position in range(len(sent)):
        proof = build_proof(block, position)
        drawing = draw_proof(
            ProofView(
                transaction_id=sent[position].id.hex(),
                transaction=proof.transaction.hex(),
                height=1,
                block_hash=block.hash.hex(),
                header=block.header.encode().hex(),
                leaf_index=proof.leaf_index,
                leaf_count=proof.leaf_count,
                path=[each.hex() for each in proof.path],
                network_id="00" * 32,
            )
        )
        assert drawing.root == block.header.merkle_root.hex()
        assert len(drawing.steps) == len(proof.path)
        root = bytes.fromhex(drawing.root)
        assert verify_path(proof.transaction, proof.leaf_index, proof.leaf_count, proof.path, root)
        corners = {(box.x, box.y) for box in drawing.boxes}
        assert len(corners) == len(drawing.boxes) == 2 * len(drawing.steps) + 1
        assert all(0 <= x <= drawing.width - BOX_WIDTH for x, _ in corners)
        assert all(0 <= y <= drawing.height - BOX_HEIGHT for _, y in corners)


# -- address ---------------------------------------------------------------------------------------


def test_an_address_says_which_way_coins_went(client: FlaskClient, node: WebTestNode) -> None:
    web_node = client.application.extensions["cairn"]
    alice, bob = node.address(make_key(0)), node.address(make_key(1))
    with client.application.app_context():
        rent = find_transaction(mined_id(client, 1), web_node)
        own = find_transaction(mined_id(client, 2), web_node)
    assert (movement(rent, alice).direction, movement(rent, alice).change) == (
        "out",
        -5 * UNITS_PER_COIN - 10_000,
    )
    assert (movement(rent, bob).direction, movement(rent, bob).change) == ("in", 5 * UNITS_PER_COIN)
    assert (movement(own, bob).direction, movement(own, bob).change) == ("self", -10_000)


def test_an_address_lists_what_waits_on_both_sides(client: FlaskClient, node: WebTestNode) -> None:
    for key, direction in ((make_key(0), "out"), (make_key(1), "in")):
        page = client.get(f"/address/{node.address(key)}").text
        waiting = page.split('id="waiting"')[1].split('id="history"')[0]
        assert waiting_id(client) in waiting
        assert f'direction-{direction}"' in waiting
    stranger = client.get(f"/address/{node.address(make_key(777))}").text
    assert "Nothing mined yet" in stranger


def test_the_qr_code_is_a_picture_without_styles(client: FlaskClient, node: WebTestNode) -> None:
    reply = client.get(f"/address/{node.address(make_key(0))}/qr.svg")
    assert (reply.status_code, reply.mimetype) == (200, "image/svg+xml")
    assert b"<path" in reply.data
    assert b"style=" not in reply.data
    assert client.get("/address/nonsense/qr.svg").status_code == 422


# -- pool ------------------------------------------------------------------------------------------


def test_bands_cover_what_waits_and_no_more() -> None:
    counts = [0] * len(FEE_BANDS)
    assert bands(counts) == []
    counts[2], counts[4] = 30, 10
    found = bands(counts)
    assert [(band.label, band.count) for band in found] == [
        ("10 – 20", 10),
        ("5 – 10", 0),
        ("2 – 5", 30),
    ]
    assert [band.percent for band in found] == [25, 0, 75]
    counts[-1] = 1
    assert bands(counts)[0].label == "1,000 and more"


@pytest.mark.parametrize("order", ["fee-rate", "age"])
def test_the_pool_lists_what_waits(client: FlaskClient, order: str) -> None:
    page = client.get(f"/pool?order={order}").text
    assert waiting_id(client) in page
    assert "50 – 100" in page  # its rate: 10,000 base units on 152 bytes
    assert client.get("/pool?order=wrong", headers={"Accept": "text/html"}).status_code == 400


# -- nodes -----------------------------------------------------------------------------------------


def known_node(number: int, connected: bool) -> NodeView:
    return NodeView(
        curve_key=f"{number:040}", name=f"a node with number {number}", url="", publish="",
        request="", address="", version="", state="connected" if connected else "banned",
        connected=connected, height=number, lag_milliseconds=1, score=0, banned_until=0,
        first_seen=0, last_seen=number, record="",
    )  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 5, 40])
def test_the_map_has_room_for_all_it_draws(count: int) -> None:
    nodes = [known_node(number, number % 2 == 0) for number in range(count)]
    drawn = draw_nodes(nodes)
    assert len(drawn.spots) + drawn.hidden == count
    assert len(drawn.spots) <= 2 * RING_NODES
    assert {spot.linked for spot in drawn.spots if spot.state == "connected"} <= {True}
    assert all(20 <= spot.x <= WIDTH - 20 and 12 <= spot.y <= HEIGHT - 30 for spot in drawn.spots)
    assert len({(spot.x, spot.y) for spot in drawn.spots}) == len(drawn.spots)


def test_nodes_says_what_it_cannot_know(client: FlaskClient) -> None:
    assert "its own links alone" in client.get("/nodes").text


# -- forks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=1-zz", f"cursor={2**64}-{'00' * 32}", "before=x", "before=-1"]
)
def test_forks_refuses_a_cursor_of_its_own_making(client: FlaskClient, query: str) -> None:
    assert client.get(f"/forks?{query}").status_code == 400


def test_a_quiet_chain_has_no_forks(client: FlaskClient) -> None:
    page = client.get("/forks").text
    assert "No branches" in page
    assert "Nothing was undone" in page
    for path in ("forks", "reorganisations"):
        assert json.loads(client.get(f"/api/v1/{path}").data) == {"items": [], "next": None}


# -- blocks ----------------------------------------------------------------------------------------


def test_a_height_leads_to_the_block_that_is_there_now(client: FlaskClient) -> None:
    hash_ = json.loads(client.get("/api/v1/blocks/1").data)["hash"]
    for query in ("", "?first=3"):
        reply = client.get(f"/block/1{query}")
        assert (reply.status_code, reply.headers["Location"]) == (302, f"/block/{hash_}{query}")


def test_there_is_no_page_of_transactions_behind_the_last(client: FlaskClient) -> None:
    blocks = [json.loads(client.get(f"/api/v1/blocks/{height}").data) for height in (0, 2)]
    assert [each["transaction_count"] for each in blocks] == [0, 2]
    empty, two = (f"/block/{each['hash']}" for each in blocks)
    found = [client.get(f"{two}?first={first}").status_code for first in (0, 1, 2, 9_999)]
    assert found == [200, 200, 404, 404]
    assert client.get(f"{empty}?first=0").status_code == 200
    assert client.get(f"{empty}?first=1").status_code == 404
    assert client.get("/block/2?first=9999", follow_redirects=True).status_code == 404


# -- what changes while a page is open -------------------------------------------------------------


def test_a_transactions_state_is_announced_and_its_age_is_not(client: FlaskClient) -> None:
    """A part that is a live region would be read out whenever the age in it changes."""
    for id_, says in ((mined_id(client), "In a block"), (waiting_id(client), "Waits for a block")):
        page = client.get(f"/transaction/{id_}").text
        (part,) = re.findall(r'<section id="where"[^>]*>', page)
        assert f'data-says="{says}"' in part
        assert "aria-live" not in part


def test_rows_of_live_lists_are_told_apart(client: FlaskClient, node: WebTestNode) -> None:
    """live.js puts the focus back into the row that had it."""
    tip = json.loads(client.get("/api/v1/blocks/2").data)["hash"]
    waiting, mined = waiting_id(client), mined_id(client)
    for path, wanted in {
        "/": {tip, waiting},
        "/chain": {tip},
        f"/block/{json.loads(client.get('/api/v1/blocks/1').data)['hash']}": {mined},
        "/pool": {waiting},
        f"/address/{node.address(make_key(0))}": {waiting, mined},
    }.items():
        keys = re.findall(r'<(?:tr|li)[^>]* data-key="([0-9a-f]{64})"', client.get(path).text)
        assert wanted <= set(keys), path
        assert len(keys) == len(set(keys)), path
