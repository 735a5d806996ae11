"""The pages: each renders, escapes what others wrote, and forbids inline scripts."""

import json
import re

import pytest
from flask.testing import FlaskClient

from tests.support.builders import make_key
from tests.support.web import WebTestNode


def paths(client: FlaskClient, node: WebTestNode) -> list[str]:
    block = json.loads(client.get("/api/v1/blocks/1").data)
    waiting = json.loads(client.get("/api/v1/pool").data)["items"][0]["id"]
    return [
        "/", "/chain", "/chain?before=1",
        f"/block/{block['previous_hash']}", f"/block/{block['hash']}",
        f"/transaction/{block['transactions'][0]['id']}", f"/transaction/{waiting}",
        f"/address/{node.address(make_key(0))}", f"/address/{node.address(make_key(777))}",
        "/pool", "/nodes", "/wallet", "/notarize", "/verify", "/api",
    ]  # fmt: skip


def test_every_page_renders_without_inline_code_or_foreign_places(
    client: FlaskClient, node: WebTestNode
):
    for path in paths(client, node):
        reply = client.get(path, headers={"Accept": "text/html"})
        assert reply.status_code == 200, path
        assert reply.mimetype == "text/html"
        page = reply.text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"<[^>]+\s(on\w+|style)=", page), path
        assert not re.search(r"(src|href)=\"(https?:)?//", page), path


def test_linked_files_are_served_from_here(client: FlaskClient):
    page = client.get("/wallet").text
    files = re.findall(r'(?:src|href)="(/(?:static|bootstrap)/[^"]+)"', page)
    assert len(files) >= 3
    for file in files:
        assert client.get(file, buffered=True).status_code == 200, file


def test_what_others_wrote_is_escaped(client: FlaskClient):
    block = json.loads(client.get("/api/v1/blocks/1").data)
    for path in (f"/block/{block['hash']}", f"/transaction/{block['transactions'][0]['id']}"):
        page = client.get(path).text
        assert "&lt;b&gt;rent&lt;/b&gt;" in page
        assert "<b>rent</b>" not in page


def test_every_answer_carries_the_security_headers(client: FlaskClient):
    for path in ("/", "/api/v1/status", "/api/v1/nothing", "/static/js/wallet.js", "/nothing"):
        headers = client.get(path, buffered=True).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/block/999", 404),
        ("/block/x", 400),
        ("/transaction/zz", 400),
        ("/address/<script>alert(1)</script>", 404),
        ("/address/%3Cscript%3E", 422),
        ("/nothing", 404),
        ("/search?q=<script>", 404),
        ("/chain?before=x", 400),
    ],
)
def test_a_person_gets_a_page_that_says_what_is_wrong(client: FlaskClient, path: str, status: int):
    reply = client.get(path, headers={"Accept": "text/html"})
    assert (reply.status_code, reply.mimetype) == (status, "text/html")
    assert "<script>" not in reply.text


def test_search_goes_where_the_text_points(client: FlaskClient, node: WebTestNode):
    block = json.loads(client.get("/api/v1/blocks/1").data)
    transaction, address = block["transactions"][0]["id"], node.address(make_key(0))
    for text, target in [
        ("1", f"/block/{block['hash']}"),
        (block["hash"], f"/block/{block['hash']}"),
        (transaction, f"/transaction/{transaction}"),
        (address, f"/address/{address}"),
    ]:
        reply = client.get("/search", query_string={"q": f" {text} "})
        assert (reply.status_code, reply.headers["Location"]) == (303, target)


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20%20"])
def test_search_for_nothing_says_what_can_be_looked_for(client: FlaskClient, query: str) -> None:
    reply = client.get(f"/search{query}")
    assert reply.status_code == 200
    assert "A height" in reply.text
    assert "Nothing is called" not in reply.text
