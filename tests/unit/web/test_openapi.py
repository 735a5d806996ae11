"""The OpenAPI document: valid, complete, and true of what the API really answers."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from cairn.web.api.routing import PREFIX
from tests.support.builders import make_key
from tests.support.web import TOKEN, WebTestNode, as_json

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    """As served."""
    reply = client.get("/api/v1/openapi.json")
    assert reply.status_code == 200
    return json.loads(reply.data)


def test_is_a_valid_document(document: dict[str, Any]):
    validate(document)
    assert document["openapi"].startswith("3.")


def test_names_every_route_and_no_other(document: dict[str, Any], app: Flask):
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == routes


def test_names_every_call_that_was_promised(document: dict[str, Any]):
    described = {
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, item in document["paths"].items()
        for method in item
    }
    assert described >= {
        "GET /status", "GET /blocks", "GET /blocks/{reference}", "POST /transactions",
        "GET /transactions/{id}", "GET /transactions/{id}/proof", "GET /pool", "GET /pool/check",
        "GET /accounts/{address}", "GET /accounts/{address}/transactions", "GET /nodes",
        "POST /nodes", "POST /nodes/join", "POST /mine", "GET /events", "GET /health",
        "GET /ready", "GET /metrics", "POST /miner", "POST /nodes/ban", "GET /log", "POST /faucet",
        "GET /headers", "GET /genesis", "GET /openapi.json",
    }  # fmt: skip


def answers_are_as_described(
    document: dict[str, Any],
    client: FlaskClient,
    method: str,
    path: str,
    template: str,
    **more: Any,
) -> None:
    reply = client.open(PREFIX + path, method=method, **more)
    described = document["paths"][PREFIX + template][method.lower()]["responses"]
    assert str(reply.status_code) in described, (path, reply.status_code)
    content = described[str(reply.status_code)]["content"]
    media = reply.content_type.split(";")[0]
    assert media in content, (path, reply.status_code, media)
    if not media.endswith("json"):
        return
    schema = {**content[media]["schema"], "components": document["components"]}
    Draft202012Validator(schema).validate(json.loads(reply.data))


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/status", "/status"),
        ("/genesis", "/genesis"),
        ("/blocks", "/blocks"),
        ("/blocks?limit=x", "/blocks"),
        ("/blocks/0", "/blocks/{reference}"),
        ("/blocks/1", "/blocks/{reference}"),
        ("/blocks/999", "/blocks/{reference}"),
        ("/blocks/zz", "/blocks/{reference}"),
        ("/headers", "/headers"),
        ("/headers?limit=0", "/headers"),
        ("/transactions/00", "/transactions/{id}"),
        ("/transactions/" + "00" * 32, "/transactions/{id}"),
        ("/transactions/" + "00" * 32 + "/proof", "/transactions/{id}/proof"),
        ("/accounts/x", "/accounts/{address}"),
        ("/accounts/x/transactions", "/accounts/{address}/transactions"),
        ("/pool", "/pool"),
        ("/pool?cursor=x", "/pool"),
        ("/pool/check", "/pool/check"),
        ("/nodes", "/nodes"),
        ("/health", "/health"),
        ("/ready", "/ready"),
        ("/metrics", "/metrics"),
        ("/openapi.json", "/openapi.json"),
    ],
)
def test_reads_answer_as_described(
    document: dict[str, Any], client: FlaskClient, path: str, template: str
):
    answers_are_as_described(document, client, "GET", path, template)


def test_found_things_answer_as_described(
    document: dict[str, Any], client: FlaskClient, node: WebTestNode
):
    mined = json.loads(client.get(f"{PREFIX}/blocks/1").data)["transactions"][0]["id"]
    waiting = json.loads(client.get(f"{PREFIX}/pool").data)["items"][0]["id"]
    address = node.address(make_key(0))
    for path, template in [
        (f"/transactions/{mined}", "/transactions/{id}"),
        (f"/transactions/{waiting}", "/transactions/{id}"),
        (f"/transactions/{mined}/proof", "/transactions/{id}/proof"),
        (f"/accounts/{address}", "/accounts/{address}"),
        (f"/accounts/{address}/transactions", "/accounts/{address}/transactions"),
    ]:
        answers_are_as_described(document, client, "GET", path, template)


def test_writes_answer_as_described(
    document: dict[str, Any], client: FlaskClient, node: WebTestNode
):
    prefix = node.params.address_prefix
    good = as_json(node.transaction(make_key(8), make_key(9)), prefix)
    poor = as_json(node.transaction(make_key(700), make_key(9)), prefix)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/transactions", {"json": good}),
        ("/transactions", {"json": good}),
        ("/transactions", {"json": [good, poor]}),
        ("/transactions", {"json": poor}),
        ("/transactions", {"json": {}}),
        ("/transactions", {"data": "x", "content_type": "text/plain"}),
        ("/nodes", {"json": {"record": "00"}}),
        ("/nodes/join", {"json": {"url": "x"}}),
        ("/nodes/join", {"json": {"url": "x"}, "headers": OPERATOR}),
        ("/nodes/ban", {"json": {"curve_key": "x"}}),
        ("/nodes/ban", {"json": {"curve_key": "x"}, "headers": OPERATOR}),
        ("/miner", {"json": {"mode": "off"}}),
        ("/miner", {"json": {"mode": None}, "headers": OPERATOR}),
        ("/faucet", {"json": {"address": "x"}}),
        ("/mine", {"json": {"blocks": 1}}),
        ("/mine", {"json": {"blocks": 1}, "headers": OPERATOR}),
    ]
    for path, more in calls:
        answers_are_as_described(document, client, "POST", path, path, **more)


def test_problems_have_their_schema(document: dict[str, Any], client: FlaskClient):
    schema = {
        "$ref": "#/components/schemas/ProblemDocument",
        "components": document["components"],
    }
    Draft202012Validator(schema).validate(json.loads(client.get(f"{PREFIX}/nothing").data))


def test_readable_page_shows_every_call(document: dict[str, Any], client: FlaskClient):
    page = client.get("/api").text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    assert 'href="/api/v1/openapi.json"' in page
