"""Posting transactions: one, many, as JSON and as bytes; what is refused and how."""

import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cairn.consensus.crypto import CURVE_ORDER
from tests.support.builders import COIN, make_key
from tests.support.web import WebTestNode, as_json

CAROL, DAVE, ERIN, FRANK = make_key(2), make_key(3), make_key(4), make_key(5)


def post(client: FlaskClient, document: object) -> TestResponse:
    return client.post("/api/v1/transactions", json=document)


def problem(reply: TestResponse, status: int) -> dict:
    assert reply.status_code == status, reply.data
    assert reply.content_type == "application/problem+json"
    document = json.loads(reply.data)
    assert document["status"] == status
    return document


def test_one_transaction_is_accepted_and_waits(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(CAROL, DAVE, data=b"hello")
    reply = post(client, as_json(transaction, node.params.address_prefix))
    assert reply.status_code == 202
    assert json.loads(reply.data) == {"id": transaction.id.hex()}
    found = client.get(f"/api/v1/transactions/{transaction.id.hex()}")
    assert json.loads(found.data)["status"] == "waiting"


def test_sequence_and_timestamp_may_be_decimal_strings(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(CAROL, DAVE)
    document = as_json(
        transaction,
        node.params.address_prefix,
        sequence=str(transaction.sequence),
        timestamp=str(transaction.timestamp),
    )
    assert json.loads(post(client, document).data) == {"id": transaction.id.hex()}


def test_data_may_be_left_out(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(CAROL, DAVE)
    document = as_json(transaction, node.params.address_prefix)
    del document["data"]
    assert post(client, document).status_code == 202


def test_canonical_bytes_one_after_another(client: FlaskClient, node: WebTestNode):
    transactions = [node.transaction(DAVE, CAROL, data=bytes(i)) for i in range(5)]
    reply = client.post(
        "/api/v1/transactions",
        data=b"".join(each.raw for each in transactions),
        content_type="application/octet-stream",
    )
    assert reply.status_code == 202
    answer = json.loads(reply.data)
    assert answer["next"] is None
    assert answer["items"] == [
        {"id": each.id.hex(), "status": "accepted", "problem": None} for each in transactions
    ]


def test_one_transaction_as_bytes_is_answered_with_its_id(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(DAVE, CAROL)
    reply = client.post(
        "/api/v1/transactions", data=transaction.raw, content_type="application/octet-stream"
    )
    assert json.loads(reply.data) == {"id": transaction.id.hex()}


def test_batch_tells_the_fate_of_each_in_order(client: FlaskClient, node: WebTestNode):
    prefix = node.params.address_prefix
    good = node.transaction(ERIN, DAVE)
    bad_signature = as_json(node.transaction(FRANK, DAVE, sequence=0), prefix)
    bad_signature["amount"] = "1"
    wrong_network = as_json(node.transaction(FRANK, DAVE, sequence=0), "other")
    poor = node.transaction(make_key(500), DAVE)
    documents = [as_json(good, prefix), bad_signature, wrong_network, as_json(poor, prefix)]
    reply = post(client, documents)
    assert reply.status_code == 202
    items = json.loads(reply.data)["items"]
    assert items[0] == {"id": good.id.hex(), "status": "accepted", "problem": None}
    assert [item["status"] for item in items[1:]] == ["refused"] * 3
    assert [item["problem"]["code"] for item in items[1:]] == [
        "signature-invalid",
        "address-wrong-network",
        "balance-insufficient",
    ]
    assert items[2]["id"] is None


def test_batch_of_which_none_is_accepted_is_422(client: FlaskClient, node: WebTestNode):
    poor = as_json(node.transaction(make_key(501), DAVE), node.params.address_prefix)
    reply = post(client, [poor])
    assert reply.status_code == 422
    assert json.loads(reply.data)["items"][0]["problem"]["code"] == "balance-insufficient"


def test_repeat_is_a_conflict_that_changes_nothing(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(ERIN, DAVE)
    document = as_json(transaction, node.params.address_prefix)
    assert post(client, document).status_code == 202
    assert problem(post(client, document), 409)["code"] == "pool-duplicate"


def test_used_sequence_is_a_conflict_with_its_numbers(client: FlaskClient, node: WebTestNode):
    node.submit([node.transaction(FRANK, DAVE, sequence=0)])
    node.mine()
    again = node.transaction(FRANK, DAVE, sequence=0, data=b"again")
    refused = problem(post(client, as_json(again, node.params.address_prefix)), 409)
    assert refused["code"] == "sequence-mismatch"
    assert refused["numbers"]["expected"] == 1


def test_overdraft_tells_the_balance(client: FlaskClient, node: WebTestNode):
    rich = node.transaction(FRANK, DAVE, amount=5_000 * COIN, sequence=1)
    refused = problem(post(client, as_json(rich, node.params.address_prefix)), 422)
    assert refused["code"] == "balance-insufficient"
    assert refused["numbers"]["amount"] == 5_000 * COIN


def test_overflow_is_refused(client: FlaskClient, node: WebTestNode):
    over = node.transaction(FRANK, DAVE, amount=2**64 - 1, fee=2**64 - 1, sequence=1)
    refused = problem(post(client, as_json(over, node.params.address_prefix)), 422)
    assert refused["code"] == "amount-overflow"


def test_high_s_signature_is_refused(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(FRANK, DAVE, sequence=1)
    s = CURVE_ORDER - int.from_bytes(transaction.signature[32:], "big")
    signature = transaction.signature[:32] + s.to_bytes(32, "big")
    document = as_json(transaction, node.params.address_prefix, signature=signature.hex())
    assert problem(post(client, document), 422)["code"] == "signature-invalid"


def test_transaction_of_another_network_is_refused(client: FlaskClient, node: WebTestNode):
    body = node.transaction(FRANK, DAVE, sequence=1)
    other = FRANK.sign(b"cairn:tx:v1" + bytes(32) + body.raw[:-64])
    document = as_json(body, node.params.address_prefix, signature=other.hex())
    assert problem(post(client, document), 422)["code"] == "signature-invalid"


@pytest.mark.parametrize("cut", [1, 63, 64, 100, 151])
def test_truncated_bytes_are_refused(client: FlaskClient, node: WebTestNode, cut: int):
    raw = node.transaction(FRANK, DAVE, sequence=1).raw
    reply = client.post(
        "/api/v1/transactions", data=raw + raw[:cut], content_type="application/octet-stream"
    )
    refused = problem(reply, 422)
    assert refused["code"] == "encoding-truncated"
    assert refused["numbers"]["item"] == 1


def test_over_500_transactions_are_refused_in_both_forms(client: FlaskClient, node: WebTestNode):
    transaction = node.transaction(FRANK, DAVE, sequence=1)
    many = [as_json(transaction, node.params.address_prefix)] * 501
    assert problem(post(client, many), 413)["code"] == "too-many"
    reply = client.post(
        "/api/v1/transactions",
        data=transaction.raw * 501,
        content_type="application/octet-stream",
    )
    assert problem(reply, 413)["code"] == "too-many"
    assert problem(post(client, []), 400)["code"] == "value-out-of-range"
