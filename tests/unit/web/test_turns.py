"""What is costly is done by so many at a time, and the next is sent away in words."""

import json

import pytest
from flask.testing import FlaskClient

from cairn.web import proof_file
from cairn.web.models import ProofView
from cairn.web.node import EXTENSION, PROOF_DOWNLOADS, WebNode
from cairn.web.problems import ApiProblem
from cairn.web.turns import RETRY_SECONDS, Turns
from tests.unit.web.test_explorer_pages import mined_id


@pytest.fixture
def web_node(client: FlaskClient) -> WebNode:
    found = client.application.extensions[EXTENSION]
    assert isinstance(found, WebNode)
    return found


def test_a_place_is_free_again_after_a_failure() -> None:
    turns = Turns(1, "things")
    with pytest.raises(ZeroDivisionError), turns.one():
        _ = 1 / 0
    turns.take()
    with pytest.raises(ApiProblem, match="1 things are under way, at most 1 at a time"):
        turns.take()


def test_one_check_of_the_pool_at_a_time(client: FlaskClient, web_node: WebNode) -> None:
    with web_node.pool_checks.one():
        reply = client.get("/api/v1/pool/check")
        assert reply.status_code == 503
        assert reply.json["code"] == "node-busy"
        assert int(reply.headers["Retry-After"]) == RETRY_SECONDS
    assert client.get("/api/v1/pool/check").status_code == 200


def test_a_few_downloads_of_proofs_at_a_time(client: FlaskClient, web_node: WebNode) -> None:
    path = f"/transaction/{mined_id(client)}/proof"
    under_way = [client.get(path, buffered=False) for _ in range(PROOF_DOWNLOADS)]
    assert [each.status_code for each in under_way] == [200] * PROOF_DOWNLOADS
    refused = client.get(path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, str(RETRY_SECONDS))
    assert client.get("/api/v1/status").status_code == 200
    under_way[0].close()
    assert client.head(path, buffered=True).status_code == 200, "which gives its place back"
    assert client.get(path, buffered=True).status_code == 200
    for each in under_way[1:]:
        each.close()


def test_who_reads_a_proof_too_slowly_is_cut_off(
    client: FlaskClient, web_node: WebNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = json.loads(client.get(f"/api/v1/transactions/{mined_id(client)}/proof").data)
    now = [1_000.0]
    monkeypatch.setattr(proof_file, "monotonic", lambda: now[0])
    monkeypatch.setattr(proof_file, "_PAGE_HEADERS", 1)
    parts = proof_file.proof_file(ProofView(**proof), 2, web_node)
    next(parts)
    next(parts)
    now[0] += 31
    with pytest.raises(proof_file.TooSlowError):
        next(parts)
