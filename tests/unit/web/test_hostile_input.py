"""Bad requests: each is refused with its own code and numbers, and changes nothing."""

import io
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse

from cairn.consensus.crypto import encode_address
from cairn.web.bodies import check_nesting
from cairn.web.problems import ApiProblem
from cairn.web.security import DEFAULT_SOCKET_SECONDS, SOCKET_SECONDS
from tests.support.builders import make_key
from tests.support.web import TOKEN, WebTestNode, as_json

GINA, HANS = make_key(6), make_key(7)
URL = "/api/v1/transactions"


@pytest.fixture
def document(node: WebTestNode) -> dict[str, Any]:
    """A sound transaction."""
    transaction = node.transaction(GINA, HANS, sequence=0)
    return as_json(transaction, node.params.address_prefix)


@pytest.fixture(autouse=True)
def _nothing_changes(client: FlaskClient, node: WebTestNode):
    def state() -> tuple[str, int, int]:
        status = json.loads(client.get("/api/v1/status").data)
        account = client.get(f"/api/v1/accounts/{node.address(GINA)}")
        return (
            status["tip"]["hash"],
            json.loads(account.data)["next_sequence"],
            len(json.loads(client.get("/api/v1/pool").data)["items"]),
        )

    before = state()
    yield
    assert state() == before


def send(client: FlaskClient, body: bytes, content_type: str = "application/json") -> TestResponse:
    return client.post(URL, data=body, content_type=content_type)


def refusal(reply: TestResponse) -> dict[str, Any]:
    assert reply.content_type == "application/problem+json", reply.data
    problem = json.loads(reply.data)
    assert problem["status"] == reply.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    assert "Traceback" not in reply.text
    return problem


def text(document: dict[str, Any], old: str, new: str) -> bytes:
    """The document's JSON with one piece of its text replaced."""
    whole = json.dumps(document)
    assert old in whole
    return whole.replace(old, new, 1).encode()


Malform = Callable[[dict[str, Any]], bytes]


def changed(fields: dict[str, Any]) -> Malform:
    """The document with other values in some fields."""
    return lambda document: json.dumps(document | fields).encode()


BODIES: dict[str, tuple[Malform, int, str]] = {
    "nothing": (lambda d: b" ", 400, "malformed-json"),
    "half": (lambda d: json.dumps(d).encode()[:-1], 400, "malformed-json"),
    "two": (lambda d: json.dumps(d).encode() * 2, 400, "malformed-json"),
    "text": (lambda d: b'"transaction"', 400, "wrong-type"),
    "null": (lambda d: b"null", 400, "wrong-type"),
    "number": (lambda d: b"17", 400, "wrong-type"),
    "array of numbers": (lambda d: b"[1]", 400, "wrong-type"),
    "comment": (lambda d: b"// x\n" + json.dumps(d).encode(), 400, "malformed-json"),
    "byte order mark": (lambda d: b"\xef\xbb\xbf" + json.dumps(d).encode(), 400, "malformed-json"),
    "utf-16": (lambda d: json.dumps(d).encode("utf-16"), 400, "invalid-utf8"),
    "bad utf-8 in a value": (
        lambda d: changed({"data": "X"})(d).replace(b"X", b"\xff"),
        400,
        "invalid-utf8",
    ),
    "bad utf-8 in a key": (lambda d: b'{"\xc0\xaf": 1}', 400, "invalid-utf8"),
    "lone surrogate": (lambda d: text(d, d["fee"], "\\ud800"), 400, "malformed-json"),
    "duplicate key": (
        lambda d: text(d, "{", '{"amount": "1", '),
        400,
        "duplicate-key",
    ),
    "duplicate key, escaped": (
        lambda d: text(d, "{", '{"\\u0061mount": "1", '),
        400,
        "duplicate-key",
    ),
    "duplicate data": (lambda d: text(d, "{", '{"data": "", '), 400, "duplicate-key"),
    "duplicate key in a batch": (
        lambda d: b"[" + json.dumps(d).encode() + b"," + text(d, "{", '{"fee": "1", ') + b"]",
        400,
        "duplicate-key",
    ),
    "unknown field": (changed({"memo": ""}), 400, "unknown-field"),
    "missing field": (
        lambda d: json.dumps({k: v for k, v in d.items() if k != "fee"}).encode(),
        400,
        "missing-field",
    ),
    "float amount": (changed({"amount": 1.5}), 400, "float-not-allowed"),
    "whole float sequence": (
        changed({"sequence": 1.0}),
        400,
        "float-not-allowed",
    ),
    "exponent": (changed({"sequence": 1e300}), 400, "float-not-allowed"),
    "amount as a number": (changed({"amount": 5}), 400, "wrong-type"),
    "boolean": (changed({"sequence": True}), 400, "wrong-type"),
    "null field": (changed({"data": None}), 400, "wrong-type"),
    "NaN": (changed({"sequence": float("nan")}), 400, "not-a-number"),
    "Infinity": (changed({"fee": float("inf")}), 400, "not-a-number"),
    "-Infinity": (changed({"fee": float("-inf")}), 400, "not-a-number"),
    "negative amount": (changed({"amount": "-1"}), 400, "number-negative"),
    "negative sequence": (changed({"sequence": -1}), 400, "number-negative"),
    "decimal amount": (changed({"amount": "1.5"}), 400, "number-invalid"),
    "leading zero": (changed({"amount": "01"}), 400, "number-invalid"),
    "plus sign": (changed({"amount": "+1"}), 400, "number-invalid"),
    "spaces": (changed({"amount": " 1"}), 400, "number-invalid"),
    "arabic digits": (changed({"amount": "٣"}), 400, "number-invalid"),
    "underscore": (changed({"amount": "1_0"}), 400, "number-invalid"),
    "empty amount": (changed({"amount": ""}), 400, "number-invalid"),
    "2^64": (changed({"amount": str(2**64)}), 400, "number-too-large"),
    "inexact number": (
        changed({"sequence": 2**53}),
        400,
        "number-too-large",
    ),
    "amount of 10,000 digits": (
        changed({"amount": "9" * 10_000}),
        400,
        "number-too-large",
    ),
    "integer of 10,000 digits": (
        lambda d: text(d, f'"sequence": {d["sequence"]}', '"sequence": ' + "9" * 10_000),
        400,
        "number-too-large",
    ),
    "data too long": (
        changed({"data": "00" * 1025}),
        422,
        "transaction-data-too-large",
    ),
    "odd hex": (changed({"data": "abc"}), 400, "hex-invalid"),
    "upper-case hex": (changed({"data": "AB"}), 400, "hex-invalid"),
    "no hex": (changed({"data": "zz"}), 400, "hex-invalid"),
    "hex with spaces": (changed({"data": "a b "}), 400, "hex-invalid"),
    "colons in a value": (changed({"data": "::::"}), 400, "hex-invalid"),
    "short key": (
        lambda d: json.dumps(d | {"public_key": d["public_key"][2:]}).encode(),
        400,
        "hex-invalid",
    ),
    "long signature": (
        lambda d: json.dumps(d | {"signature": d["signature"] + "00"}).encode(),
        400,
        "hex-invalid",
    ),
    "bad checksum": (
        lambda d: json.dumps(
            d | {"recipient": d["recipient"][:-1] + ("q" if d["recipient"][-1] != "q" else "p")}
        ).encode(),
        422,
        "address-invalid",
    ),
    "no address": (changed({"recipient": "x" * 9_000}), 422, "address-invalid"),
    "wrong network": (
        changed({"recipient": encode_address("other", bytes(20))}),
        422,
        "address-wrong-network",
    ),
    "nested arrays": (lambda d: b"[" * 100_000 + b"]" * 100_000, 400, "nesting-too-deep"),
    "nested objects": (
        lambda d: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        400,
        "nesting-too-deep",
    ),
    "nested in a field": (
        lambda d: text(d, f'"{d["fee"]}"', "[" * 5_000 + "]" * 5_000),
        400,
        "nesting-too-deep",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_json_body_is_refused(client: FlaskClient, document: dict[str, Any], name: str):
    malform, status, code = BODIES[name]
    problem = refusal(send(client, malform(document)))
    assert (problem["status"], problem["code"]) == (status, code), problem


def test_empty_body_is_refused(client: FlaskClient):
    assert refusal(send(client, b""))["code"] == "body-empty"
    reply = send(client, b"", "application/octet-stream")
    assert refusal(reply)["code"] == "body-empty"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=utf-16", "application/xml", "json"],
)  # fmt: skip
def test_wrong_content_type_is_refused(
    client: FlaskClient, document: dict[str, Any], content_type: str
):
    problem = refusal(send(client, json.dumps(document).encode(), content_type))
    assert (problem["status"], problem["code"]) == (415, "wrong-content-type")


def test_body_is_refused_by_its_announced_length_before_it_is_read(client: FlaskClient):
    stream = io.BytesIO(b"[" + b" " * 10 * 1024 * 1024)
    reply = client.post(
        URL, input_stream=stream, content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(10 * 1024 * 1024)},
    )  # fmt: skip
    problem = refusal(reply)
    assert (problem["status"], problem["code"]) == (413, "body-too-large")
    assert problem["numbers"]["length"] == 10 * 1024 * 1024
    assert stream.tell() == 0
    assert reply.headers["Connection"] == "close"


def test_body_of_unknown_length_is_read_no_further_than_the_limit(client: FlaskClient):
    stream = io.BytesIO(b" " * 20 * 1024 * 1024)
    reply = client.post(
        URL, input_stream=stream, content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )  # fmt: skip
    assert refusal(reply)["code"] == "body-too-large"
    assert stream.tell() < 9 * 1024 * 1024


def test_random_bytes_are_refused(client: FlaskClient):
    for seed in range(50):
        body = bytes((seed * 37 + i * i) % 256 for i in range(seed * 13 + 1))
        assert refusal(send(client, body))["status"] == 400
        problem = refusal(send(client, body, "application/octet-stream"))
        assert problem["status"] == 422


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("blocks/x", 400, "number-invalid"),
        ("blocks/-1", 400, "number-negative"),
        ("blocks/99999999999999999999999999999999", 400, "number-too-large"),
        ("blocks/4294967295", 404, "not-found"),
        ("blocks/" + "0" * 64, 404, "not-found"),
        ("blocks/" + "g" * 64, 400, "hex-invalid"),
        ("blocks?limit=0", 400, "value-out-of-range"),
        ("blocks?limit=101", 400, "number-too-large"),
        ("blocks?limit=1&limit=2", 400, "duplicate-key"),
        ("blocks?before=1.5", 400, "number-invalid"),
        ("blocks?befor=1", 400, "unknown-parameter"),
        ("headers?limit=2001", 400, "number-too-large"),
        ("transactions/abc", 400, "hex-invalid"),
        ("transactions/" + "00" * 32, 404, "not-found"),
        ("transactions/" + "00" * 32 + "/proof", 404, "not-found"),
        ("accounts/nobody", 422, "address-invalid"),
        ("accounts/%00", 422, "address-invalid"),
        ("accounts/%F0%9F%92%A9", 422, "address-invalid"),
        ("pool?cursor=1", 400, "value-out-of-range"),
        ("pool?cursor=1-zz", 400, "value-out-of-range"),
        ("pool?cursor=1-" + "%2000" * 32, 400, "value-out-of-range"),
        ("pool?cursor=1-" + "AA" * 32, 400, "value-out-of-range"),
        ("pool?cursor=99999999999999999999-" + "00" * 32, 400, "value-out-of-range"),
        ("pool?order=random", 400, "value-out-of-range"),
        ("pool?cursor=" + "1" * 300, 400, "string-too-long"),
        ("pool/check?cursor=5-5", 400, "value-out-of-range"),
        ("nothing", 404, "not-found"),
        ("", 404, "not-found"),
        ("blocks/1/2/3", 404, "not-found"),
        ("../../etc/passwd", 404, "not-found"),
    ],
)
def test_bad_address_is_refused(client: FlaskClient, path: str, status: int, code: str):
    problem = refusal(client.get(f"/api/v1/{path}"))
    assert (problem["status"], problem["code"]) == (status, code), problem


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE"])
def test_wrong_method_names_the_right_one(client: FlaskClient, method: str):
    reply = client.open("/api/v1/status", method=method)
    problem = refusal(reply)
    assert (problem["status"], problem["code"]) == (405, "method-not-allowed")
    assert "GET" in reply.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("mine", {"blocks": 0}, "value-out-of-range"),
        ("mine", {"blocks": 1001}, "value-out-of-range"),
        ("mine", {"blocks": "1"}, "wrong-type"),
        ("mine", {"blocks": 10**50}, "value-out-of-range"),
        ("mine", {"block": 1}, "unknown-field"),
        ("nodes/join", {"url": "file:///etc/passwd"}, "value-out-of-range"),
        ("nodes/join", {"url": "http://"}, "value-out-of-range"),
        ("nodes/join", {"url": "http://[::1"}, "value-out-of-range"),
        ("nodes", {"record": "zz"}, "hex-invalid"),
        ("nodes", {"record": "00" * 5_000}, "string-too-long"),
        ("nodes", {"record": 5}, "wrong-type"),
        ("nodes", {}, "missing-field"),
    ],
)
def test_other_bodies_are_refused(client: FlaskClient, path: str, body: object, code: str):
    reply = client.post(f"/api/v1/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert refusal(reply)["code"] == code


def test_integer_above_64_bits_is_called_an_integer(client: FlaskClient, node: WebTestNode):
    fields = as_json(node.transaction(make_key(0), make_key(1)), node.params.address_prefix)
    problem = refusal(client.post("/api/v1/transactions", json=fields | {"amount": 2**64}))
    assert (problem["code"], problem["numbers"]["got"]) == ("wrong-type", "int")


def test_too_much_data_is_told_in_numbers(client: FlaskClient, node: WebTestNode):
    fields = as_json(node.transaction(make_key(0), make_key(1)), node.params.address_prefix)
    problem = refusal(client.post("/api/v1/transactions", json=fields | {"data": "00" * 1_025}))
    assert problem["code"] == "transaction-data-too-large"
    assert (problem["numbers"]["length"], problem["numbers"]["limit"]) == (1_025, 1_024)


def test_other_bodies_are_small(client: FlaskClient):
    reply = client.post("/api/v1/nodes", data=b"{" + b" " * 70_000, content_type="application/json")
    assert refusal(reply)["code"] == "body-too-large"


def test_bytes_that_are_no_node_record_are_refused_by_the_listener(client: FlaskClient):
    problem = refusal(client.post("/api/v1/nodes", json={"record": "00"}))
    assert (problem["status"], problem["code"]) == (422, "node-record-invalid")


def test_client_that_stops_sending_is_given_up(app: Flask):
    app.config[SOCKET_SECONDS] = 0.2
    ours, theirs = socket.socketpair()
    answer = []
    with ours, theirs, ours.makefile("rb", buffering=0) as body:
        theirs.sendall(b'{"public_key":')  # and never the rest
        environ = {
            **EnvironBuilder(
                path=URL, method="POST", content_type="application/json"
            ).get_environ(),
            "CONTENT_LENGTH": "1000",
            "wsgi.input": body,
            "gunicorn.socket": ours,
        }
        content = app.wsgi_app(environ, lambda status, headers, _=None: answer.append(status))
        problem = json.loads(b"".join(content))
    app.config[SOCKET_SECONDS] = DEFAULT_SOCKET_SECONDS
    assert answer == ["408 REQUEST TIMEOUT"]
    assert problem["code"] == "body-incomplete"


@pytest.mark.parametrize("size", [1_000_000])
def test_looking_for_nesting_takes_linear_time(size: int):
    for body in (b'"' * size, b'\\"' * size, b'"' + b"\\" * size, b'["' + b'\\"' * size):
        check_nesting(body)
    with pytest.raises(ApiProblem, match="nesting-too-deep"):
        check_nesting(b"[" * size)


def test_strings_do_not_count_as_nesting():
    check_nesting(b'["' + b"[" * 100 + b'", "\\"[[[[[[[[[[[[[[[[[[[["]')
