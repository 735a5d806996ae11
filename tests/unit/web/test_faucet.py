"""The faucet by API and page, with the real listener paying."""

import html
import json
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.web import create_app
from cairn.web.node import EXTENSION, FAUCET_BURST
from tests.support.builders import make_key
from tests.support.web import WebTestNode

AMOUNT = 10 * 10**8


@pytest.fixture
def rich(tmp_path) -> Iterator[WebTestNode]:
    """A node with a faucet that pays twice a minute."""
    running = WebTestNode(tmp_path, faucet=make_key(5))
    try:
        running.start_listener()
        yield running
    finally:
        running.close()


@pytest.fixture
def giving(rich: WebTestNode) -> Iterator[FlaskClient]:
    """A client of its application."""
    app = create_app(rich.config)
    yield app.test_client()
    app.extensions[EXTENSION].close()


OWN = {"Origin": "http://localhost"}
"""As a browser sends with a form of the node's own page."""


def ask(client: FlaskClient, address: str):
    return client.post("/api/v1/faucet", json={"address": address})


def test_pays_an_address_once(giving: FlaskClient, rich: WebTestNode) -> None:
    reply = ask(giving, rich.address(make_key(20)))
    assert reply.status_code == 202, reply.text
    assert reply.json["amount"] == str(AMOUNT)
    waiting = json.loads(giving.get("/api/v1/pool").data)["items"]
    assert [each["id"] for each in waiting] == [reply.json["id"]]
    rich.mine()
    account = giving.get(f"/api/v1/accounts/{rich.address(make_key(20))}").json
    assert account["balance"] == str(AMOUNT)

    again = ask(giving, rich.address(make_key(20)))
    assert (again.status_code, again.json["code"]) == (429, "too-many-requests")
    assert 3_000 < int(again.headers["Retry-After"]) <= 3_600
    assert again.json["numbers"]["retry_after_seconds"] == int(again.headers["Retry-After"])


def test_pays_only_so_many_in_a_minute(giving: FlaskClient, rich: WebTestNode) -> None:
    codes = [ask(giving, rich.address(make_key(number))).status_code for number in range(30, 33)]
    assert codes == [202, 202, 429], "each after the other, without waiting for a block"


def test_pays_one_client_only_so_many_addresses(giving: FlaskClient, rich: WebTestNode) -> None:
    node = giving.application.extensions[EXTENSION]
    address = rich.address(make_key(40))

    def asked_from(client_address: str, address: str):
        headers = {"X-Forwarded-For": client_address}
        return giving.post(
            "/api/v1/faucet",
            json={"address": address},
            headers=headers,
            environ_overrides={"REMOTE_ADDR": ""},
        )

    assert asked_from("203.0.113.9", "not an address").status_code == 422, "and is not counted"
    codes = [asked_from("203.0.113.9", address).status_code for _ in range(FAUCET_BURST)]
    assert codes[0] == 202
    refused = asked_from("203.0.113.9", rich.address(make_key(41)))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) == node.config.faucet.seconds_per_address
    assert asked_from("203.0.113.10", rich.address(make_key(42))).status_code == 202


def test_refuses_in_words(giving: FlaskClient, rich: WebTestNode) -> None:
    address = rich.address(make_key(21))
    for bad in ("", "x", address[:-1], address + "q", address.upper() + "x", "\u202e", "a" * 9_000):
        reply = ask(giving, bad)
        assert (reply.status_code, reply.json["code"]) == (422, "address-invalid")
    for body in ({}, {"address": 1}, {"address": address, "amount": "5"}, []):
        assert giving.post("/api/v1/faucet", json=body).status_code == 400
    assert giving.get("/api/v1/pool").json["items"] == []


def test_page_pays_without_javascript(giving: FlaskClient, rich: WebTestNode) -> None:
    page = giving.get("/faucet")
    assert page.status_code == 200
    assert "Send me 10 " in page.text
    assert 'href="/faucet"' in giving.get("/").text
    paid = giving.post("/faucet", data={"address": f" {rich.address(make_key(22))} "}, headers=OWN)
    assert paid.status_code == 303
    id_ = paid.headers["Location"].removeprefix("/faucet?paid=")
    assert f'href="/transaction/{id_}"' in giving.get(paid.headers["Location"]).text
    invented = giving.get("/faucet", query_string={"paid": "f" * 64}).text
    assert "on their way" not in invented
    again = giving.post("/faucet", data={"address": rich.address(make_key(22))}, headers=OWN)
    assert again.status_code == 429
    assert again.headers["Retry-After"]
    assert "ask again in" in again.text


def test_page_shows_what_it_was_given_as_text(giving: FlaskClient) -> None:
    bad = '"><script>alert(1)</script>'
    for page in (
        giving.post("/faucet", data={"address": bad}, headers=OWN),
        giving.get("/faucet", query_string={"address": bad, "paid": bad}),
    ):
        assert bad not in page.text
        assert html.escape(bad, quote=False).replace('"', "&#34;") in page.text
        assert "/transaction/" not in page.text
    assert giving.post("/faucet", data={"address": bad}, headers=OWN).status_code == 422
    plain = giving.post("/faucet", data=b"x" * 2_000, content_type="text/plain", headers=OWN)
    assert plain.status_code == 415


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost:81"},
        OWN | {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_cannot_have_its_visitors_ask(
    giving: FlaskClient, rich: WebTestNode, headers: dict[str, str]
) -> None:
    form = {"address": rich.address(make_key(23))}
    refused = giving.post("/faucet", data=form, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (403, "origin-refused")
    assert giving.get("/api/v1/pool").json["items"] == []
    assert giving.get("/faucet").headers["Referrer-Policy"] == "same-origin"


def test_status_says_what_it_pays(giving: FlaskClient, client: FlaskClient) -> None:
    assert giving.get("/api/v1/status").json["faucet"] == str(AMOUNT)
    assert client.get("/api/v1/status").json["faucet"] is None


def test_an_empty_faucet_says_so(tmp_path) -> None:
    poor = WebTestNode(tmp_path, faucet=make_key(500))
    app = create_app(poor.config)
    try:
        poor.start_listener()
        client = app.test_client()
        reply = ask(client, poor.address(make_key(20)))
        assert (reply.status_code, reply.json["code"]) == (503, "faucet-empty")
        reply = ask(client, poor.address(make_key(20)))
        assert reply.json["code"] == "faucet-empty", "who got nothing need not wait"
    finally:
        app.extensions[EXTENSION].close()
        poor.close()


def test_without_one_there_is_none(app: Flask, client: FlaskClient, node: WebTestNode) -> None:
    reply = ask(client, node.address(make_key(20)))
    assert (reply.status_code, reply.json["code"]) == (404, "faucet-disabled")
    assert client.get("/faucet").status_code == 404
    assert client.post("/faucet", data={"address": "x"}).status_code == 404
    assert 'href="/faucet"' not in client.get("/").text
