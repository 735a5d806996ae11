"""Who gets in at the operator's page, and who does not."""

import html
import time
from collections.abc import Iterator
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cairn.web import create_app, sessions
from cairn.web.node import EXTENSION, WRONG_TOKENS, WRONG_TOKENS_UNTOLD
from cairn.web.security import CountedAddresses
from tests.support.web import TOKEN, WebTestNode
from tests.unit.web.operator_forms import ORIGIN, form_token, log_in

FORM = "application/x-www-form-urlencoded"
MARKUP = "<img src=x onerror=alert(1)>\"'"
ACTIONS = ("logout", "mine", "miner-mode", "join", "ban")


pytestmark = pytest.mark.usefixtures("no_attempts")


def cookie_of(reply: TestResponse) -> Any:
    (morsel,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
    return morsel


# -- logging in -----------------------------------------------------------------------------------


def test_without_a_session_one_is_sent_to_log_in(client: FlaskClient) -> None:
    reply = client.get("/operator")
    assert (reply.status_code, reply.headers["Location"]) == (303, "/operator/login")
    page = client.get("/operator/login")
    assert page.status_code == 200
    assert 'type="password"' in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_the_cookie_is_for_this_page_alone(client: FlaskClient) -> None:
    cookie = cookie_of(log_in(client))
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/operator"
    assert int(cookie["max-age"]) == sessions.SESSION_SECONDS
    assert not cookie["secure"]
    assert TOKEN not in cookie.value
    over_tls = client.post(
        "/operator/login",
        base_url="https://localhost",
        data={"token": TOKEN},
        headers={"Origin": "https://localhost"},
    )
    assert cookie_of(over_tls)["secure"]


def test_page_and_its_answers_are_kept_by_nobody(operator: FlaskClient) -> None:
    page = operator.get("/operator")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin", "or forms would have no origin"
    for text in ("Mine now", "Set mode", "Join there", "Log out", "No alert is on"):
        assert text in page.text
    assert TOKEN not in page.text


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", "\xff", "\U0001f600"])
def test_a_wrong_token_is_refused(client: FlaskClient, token: str) -> None:
    reply = log_in(client, token)
    assert reply.status_code == 401
    assert "Set-Cookie" not in reply.headers
    assert "not the operator" in html.unescape(reply.text)
    assert client.get("/operator").status_code == 303


def test_too_many_wrong_tokens_are_refused_in_words(app: Flask, client: FlaskClient) -> None:
    node = app.extensions[EXTENSION]
    before, node.hub.addresses = node.hub.addresses, CountedAddresses()
    from_afar = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}
    try:
        for _ in range(WRONG_TOKENS.burst):
            assert log_in(client, "wrong", **from_afar).status_code == 401
        reply = log_in(client, TOKEN, **from_afar)
        assert reply.status_code == 429
        assert 1 <= int(reply.headers["Retry-After"]) <= WRONG_TOKENS.seconds_each
        assert "try again in" in reply.text
        assert "Set-Cookie" not in reply.headers
        call = client.post(
            "/api/v1/mine", json={}, headers={"Authorization": f"Bearer {TOKEN}"}, **from_afar
        )
        assert call.status_code == 429
        assert call.json["code"] == "too-many-requests"
        assert call.headers["Retry-After"]
        assert log_in(client, TOKEN).status_code == 303, "others are not kept out"
    finally:
        node.hub.addresses = before


def test_a_client_behind_the_proxy_keeps_only_itself_out(app: Flask, client: FlaskClient) -> None:
    def by_proxy(client_address: str) -> dict[str, dict[str, str]]:
        """As the proxy says it, which comes by a socket."""
        return {"environ_overrides": {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": client_address}}

    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(WRONG_TOKENS_UNTOLD.burst):
        refused = client.get("/api/v1/log", headers=wrong, **by_proxy("203.0.113.9"))
    assert refused.status_code == 429
    assert log_in(client, TOKEN, **by_proxy("203.0.113.9")).status_code == 429
    assert log_in(client, TOKEN, **by_proxy("203.0.113.10")).status_code == 303


def test_none_of_a_crowd_keeps_the_operator_out(client: FlaskClient) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    codes = [
        client.get("/api/v1/log", headers=wrong).status_code
        for _ in range(WRONG_TOKENS_UNTOLD.burst + 1)
    ]
    assert codes[0] == 401
    assert codes[-1] == 429
    assert log_in(client, "wrong").status_code == 429
    assert log_in(client, TOKEN).status_code == 303


def test_a_client_that_is_no_proxy_cannot_pass_for_another(app: Flask) -> None:
    addresses = CountedAddresses(["10.0.0.0/8"])
    assert addresses.client("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert addresses.client("10.0.0.1", "198.51.100.1, 203.0.113.9") == "203.0.113.9"
    assert addresses.client("", "2001:db8::1") == "2001:db8::/64"
    assert addresses.client("", "127.0.0.1") == addresses.client("", "x") == ""
    assert CountedAddresses(["*"]).client("203.0.113.9", "198.51.100.1") == "198.51.100.1"


def test_without_a_token_file_it_says_how_to_make_one(node: WebTestNode) -> None:
    config = replace(node.config, web=replace(node.config.web, operator_token_file=None))
    app = create_app(config)
    try:
        reply = app.test_client().get("/operator", headers={"Accept": "text/html"})
        assert reply.status_code == 403
        assert "web.operator_token_file" in reply.text
    finally:
        app.extensions[EXTENSION].close()


# -- sessions that are none -----------------------------------------------------------------------


def forged(cookie: str) -> Iterator[str]:
    head, _, signature = cookie.rpartition(".")
    yield ""
    yield "x"
    yield head
    yield f"{head}.{signature[:-2]}AA"
    yield f"{'A' + head[1:]}.{signature}"
    yield cookie + "x"
    yield "." * 500


def test_a_forged_cookie_is_none(client: FlaskClient) -> None:
    cookie = cookie_of(log_in(client))
    for value in forged(cookie.value):
        client.set_cookie(cookie.key, value, path="/operator")
        assert client.get("/operator").status_code == 303, value
    client.set_cookie(cookie.key, cookie.value, path="/operator")
    assert client.get("/operator").status_code == 200


def test_a_new_token_ends_every_session(node: WebTestNode, operator: FlaskClient) -> None:
    file = node.config.web.operator_token_file
    assert file is not None
    assert operator.get("/operator").status_code == 200
    old = {each.key: each.value for each in operator._cookies.values()}
    Path(file).write_text("another token of the operator\n", encoding="utf-8")
    try:
        assert operator.get("/operator").status_code == 303
        fresh = cookie_of(log_in(operator, "another token of the operator"))
        for value in old.values():  # under the new name too
            operator.set_cookie(fresh.key, value, path="/operator")
            assert operator.get("/operator").status_code == 303
    finally:
        Path(file).write_text(TOKEN + "\n", encoding="utf-8")


def test_a_session_ends_by_its_age(operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token = form_token(operator)
    later = time.time() + sessions.SESSION_SECONDS + 1
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert operator.get("/operator").status_code == 303
    reply = operator.post("/operator/mine", data={"form_token": token}, headers=ORIGIN)
    assert reply.status_code == 401


def test_the_flash_cookie_is_no_session(operator: FlaskClient) -> None:
    fields = {"form_token": form_token(operator), "url": "x"}
    reply = operator.post("/operator/join", data=fields, headers=ORIGIN)
    flash = cookie_of(reply)
    session = next(each for each in operator._cookies.values() if each.key != flash.key)
    operator.set_cookie(session.key, flash.value, path="/operator")
    assert operator.get("/operator").status_code == 303


def test_logging_out_forgets_the_session(operator: FlaskClient) -> None:
    fields = {"form_token": form_token(operator)}
    reply = operator.post("/operator/logout", data=fields, headers=ORIGIN)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/operator/login")
    assert operator.get("/operator").status_code == 303
