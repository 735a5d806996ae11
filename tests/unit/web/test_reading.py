"""What the API answers about chain, accounts, pool and node, read from a real database."""

import json

from flask.testing import FlaskClient

from cairn.consensus.block import decode_block, decode_header
from cairn.consensus.params import UNITS_PER_COIN
from cairn.consensus.proof import TransactionProof, verify_proof
from tests.support.builders import COIN, make_key
from tests.support.web import MINER, WebTestNode

ALICE, BOB = make_key(0), make_key(1)


def read(client: FlaskClient, path: str) -> dict:
    reply = client.get(f"/api/v1/{path}")
    assert reply.status_code == 200, reply.data
    assert reply.content_type == "application/json"
    return json.loads(reply.data)


def test_status_tells_network_chain_pool_and_listener(client: FlaskClient, node: WebTestNode):
    status = read(client, "status")
    assert status["network_id"] == node.network_id.hex()
    assert status["address_prefix"] == node.params.address_prefix
    assert status["height"] == status["tip"]["height"] == 2
    assert status["transactions"] == 3
    assert status["pool"]["transactions"] == 1
    assert status["listener"] == "running"
    assert status["recipient"] == node.address(make_key(999))
    allocated = sum(amount for _, amount in node.params.allocations)
    assert int(status["supply"]) == allocated + 2 * node.params.initial_subsidy


def test_blocks_come_newest_first_and_page_to_genesis(client: FlaskClient):
    first = read(client, "blocks?limit=2")
    assert [block["height"] for block in first["items"]] == [2, 1]
    rest = read(client, f"blocks?limit=2&before={first['next']}")
    assert [block["height"] for block in rest["items"]] == [0]
    assert rest["next"] is None
    assert first["items"][0]["previous_hash"] == first["items"][1]["hash"]


def test_block_is_found_by_height_and_by_hash(client: FlaskClient):
    by_height = read(client, "blocks/2")
    assert read(client, f"blocks/{by_height['hash']}") == by_height
    assert [each["amount"] for each in by_height["transactions"]] == [str(COIN), "7"]
    assert by_height["confirmations"] == 1
    assert by_height["coinbase"]["recipient"].startswith("rcairn1")


def test_block_is_answered_as_bytes_when_asked(client: FlaskClient, node: WebTestNode):
    reply = client.get("/api/v1/blocks/1", headers={"Accept": "application/octet-stream"})
    assert reply.content_type == "application/octet-stream"
    block = decode_block(reply.data, node.network_id, 10**7)
    assert block.transactions[0].data == b"<b>rent</b>"


def test_headers_link_from_genesis(client: FlaskClient, node: WebTestNode):
    reply = client.get("/api/v1/headers?from=0&limit=2000")
    assert len(reply.data) == 3 * 96
    headers = [decode_header(reply.data[at : at + 96]) for at in range(0, len(reply.data), 96)]
    assert headers[0].hash() == node.network_id
    assert headers[2].previous_hash == headers[1].hash()
    assert client.get("/api/v1/headers?from=2&limit=1").data == reply.data[192:]


def test_genesis_tells_the_networks_definition(client: FlaskClient, node: WebTestNode):
    genesis = read(client, "genesis")
    assert genesis["hash"] == node.network_id.hex()
    assert genesis["initial_subsidy"] == str(node.params.initial_subsidy)
    assert genesis["allocations"][node.address(ALICE)] == str(1_000 * UNITS_PER_COIN)


def test_mined_transaction_tells_block_and_confirmations(client: FlaskClient):
    block = read(client, "blocks/1")
    listed = block["transactions"][0]
    found = read(client, f"transactions/{listed['id']}")
    assert found["status"] == "mined"
    assert found["block"]["hash"] == block["hash"]
    assert found["confirmations"] == 2
    assert bytes.fromhex(found["data"]) == b"<b>rent</b>"
    assert {name: found[name] for name in listed} == listed


def test_waiting_transaction_has_no_block(client: FlaskClient):
    (waiting,) = read(client, "pool")["items"]
    found = read(client, f"transactions/{waiting['id']}")
    assert found == waiting
    assert (found["status"], found["block"], found["confirmations"]) == ("waiting", None, 0)


def test_proof_verifies_offline_with_headers_alone(client: FlaskClient, node: WebTestNode):
    block = read(client, "blocks/2")
    for listed in block["transactions"]:
        proof = read(client, f"transactions/{listed['id']}/proof")
        raw = client.get("/api/v1/headers?from=1").data
        headers = [decode_header(raw[at : at + 96]) for at in range(0, len(raw), 96)]
        shown = TransactionProof(
            bytes.fromhex(proof["transaction"]),
            proof["height"],
            proof["leaf_index"],
            proof["leaf_count"],
            tuple(bytes.fromhex(each) for each in proof["path"]),
        )
        result = verify_proof(shown, headers, node.params, now=2**63)
        assert result.transaction_id.hex() == listed["id"]
        assert result.block_hash.hex() == block["hash"]


def test_waiting_transaction_has_no_proof_yet(client: FlaskClient):
    (waiting,) = read(client, "pool")["items"]
    reply = client.get(f"/api/v1/transactions/{waiting['id']}/proof")
    assert reply.status_code == 404
    assert "waits" in json.loads(reply.data)["detail"]


def test_account_tells_confirmed_and_pending(client: FlaskClient, node: WebTestNode):
    account = read(client, f"accounts/{node.address(ALICE)}")
    confirmed = 1_000 * COIN - 5 * COIN - 10_000 + 7
    assert account["balance"] == str(confirmed)
    assert account["confirmed_sequence"] == 1
    assert account["next_sequence"] == 2
    assert account["pending"]["balance"] == str(confirmed - 3 - 10_000)
    assert account["pending"]["transactions"] == 1


def test_unknown_account_is_empty(client: FlaskClient, node: WebTestNode):
    account = read(client, f"accounts/{node.address(make_key(77))}")
    assert (account["balance"], account["next_sequence"]) == ("0", 0)


def test_history_pages_newest_first_with_own_transfer_once(client: FlaskClient, node: WebTestNode):
    path = f"accounts/{node.address(BOB)}/transactions"
    whole = read(client, path)["items"]
    assert [each["amount"] for each in whole] == ["7", str(COIN), str(5 * COIN)]
    paged, cursor = [], ""
    while cursor is not None:
        page = read(client, f"{path}?limit=1{cursor and '&cursor='}{cursor}")
        paged += page["items"]
        cursor = page["next"]
    assert paged == whole


def test_miner_was_paid(client: FlaskClient, node: WebTestNode):
    account = read(client, f"accounts/{node.address(MINER)}")
    assert int(account["balance"]) == 2 * node.params.initial_subsidy + 3 * 10_000


def test_lists_of_nothing_end_at_once(client: FlaskClient):
    assert read(client, "nodes") == {"items": [], "next": None}


def test_pool_check_finds_all_valid(client: FlaskClient):
    assert read(client, "pool/check") == {
        "checked": 1,
        "valid": 1,
        "problems": [],
        "next": None,
    }


def test_health_and_readiness_name_their_checks(client: FlaskClient):
    assert read(client, "health")["status"] == "ok"
    ready = read(client, "ready")
    assert {check["name"] for check in ready["checks"]} == {
        "database",
        "listener",
        "tip",
        "clock",
        "peers",
        "disk",
    }
    assert all(check["ok"] for check in ready["checks"])


def test_metrics_are_prometheus_text(client: FlaskClient):
    reply = client.get("/api/v1/metrics")
    assert reply.status_code == 200
    assert reply.content_type.startswith("text/plain")
    lines = reply.data.decode().splitlines()
    assert "cairn_height_blocks 2.0" in lines
    assert "cairn_listener_up 1.0" in lines
    assert "cairn_pool_transactions 1.0" in lines
