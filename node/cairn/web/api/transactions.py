"""Submitting transactions, finding them, proving them."""

from flask import request

from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.merkle import path_in_tree
from cairn.ipc.messages import SubmitResult
from cairn.storage.answers import MinedTransaction
from cairn.web.api.routing import Answer, api
from cairn.web.bodies import BYTES_TYPE, JSON_TYPE, check_content_type, hex_bytes, read_body
from cairn.web.models import (
    AcceptedView,
    FoundTransaction,
    NewTransaction,
    ProofView,
    SubmittedPage,
)
from cairn.web.node import WebNode, this_node
from cairn.web.problems import ApiProblem
from cairn.web.submit import (
    Offered,
    as_page,
    max_canonical_bytes,
    max_json_bytes,
    parse_canonical,
    parse_json,
    submit,
)
from cairn.web.views import find_block, find_transaction

ID = {"id": "Transaction id, 64 hex digits."}
_ACCEPTED = 202
_ALL_REFUSED = 422


@api.route(
    "POST /transactions",
    "transactions",
    {202: (AcceptedView, SubmittedPage), 422: SubmittedPage},
    bodies={JSON_TYPE: NewTransaction | list[NewTransaction], BYTES_TYPE: bytes},
    problems=(400, 408, 409, 413, 415, 422, 503),
)
def post_transactions() -> Answer:
    """Submit one signed transaction, or 1 to 500 of them.

    A single JSON object (or a single transaction's canonical bytes) is answered with its id,
    or with the problem that refused it. An array (or canonical bytes one after another) is
    answered with one item for each, in order: 202 when at least one was accepted. What is
    accepted is checked and durable; sending it again changes nothing.
    """
    node = this_node()
    offered, single = _parse(node)
    fates = submit(offered, node)
    if single:
        return _single(fates[0])
    page = as_page(fates)
    accepted = any(item.status == "accepted" for item in page.items)
    return page, _ACCEPTED if accepted else _ALL_REFUSED


def _parse(node: WebNode) -> tuple[list[Offered], bool]:
    check_content_type(JSON_TYPE, BYTES_TYPE)
    if request.mimetype == BYTES_TYPE:
        return parse_canonical(read_body(max_canonical_bytes(node.params), BYTES_TYPE), node)
    return parse_json(read_body(max_json_bytes(node.params), JSON_TYPE), node)


def _single(fate: SubmitResult | ApiProblem) -> Answer:
    if isinstance(fate, ApiProblem):
        raise fate
    if fate.problem is not None:
        raise ApiProblem.of(fate.problem)
    if fate.id is None:
        raise ApiProblem("internal-error", "the listener answered without an id")
    return AcceptedView(id=fate.id.hex()), _ACCEPTED


@api.route(
    "GET /transactions/<id>",
    "transactions",
    FoundTransaction,
    path_words=ID,
    problems=(400, 404),
)
def get_transaction(id: str) -> Answer:  # noqa: A002 - as the path names it
    """One transaction: where it is, and how many blocks confirm it."""
    return find_transaction(id, this_node())


@api.route(
    "GET /transactions/<id>/proof",
    "transactions",
    ProofView,
    path_words=ID,
    problems=(400, 404),
)
def get_proof(id: str) -> Answer:  # noqa: A002 - as the path names it
    """The merkle proof that a transaction is in the chain.

    It verifies offline with the genesis file and the headers (`GET /headers`).
    """
    node = this_node()
    return proof_view(mined_transaction(id, node), node)


def mined_transaction(text: str, node: WebNode) -> MinedTransaction:
    """The transaction of the active chain with this id (hex). Raises ApiProblem."""
    found = node.queries.transaction(hex_bytes(text, "id", length=HASH_BYTES))
    if not isinstance(found, MinedTransaction):
        where = "is not in the chain" if found is None else "still waits for a block"
        raise ApiProblem("not-found", f"transaction {text} {where}")
    return found


def proof_view(found: MinedTransaction, node: WebNode) -> ProofView:
    """The proof of a mined transaction. Raises ApiProblem."""
    block = find_block(found.block_hash.hex(), node)
    tree = node.block_tree(found.block_hash)
    leaf_index = found.position + 1  # the coinbase is the first leaf
    return ProofView(
        transaction_id=found.id.hex(),
        transaction=found.raw.hex(),
        height=block.height,
        block_hash=block.hash.hex(),
        header=block.header.encode().hex(),
        leaf_index=leaf_index,
        leaf_count=len(tree[0]),
        path=[each.hex() for each in path_in_tree(tree, leaf_index)],
        network_id=node.network_id.hex(),
    )
