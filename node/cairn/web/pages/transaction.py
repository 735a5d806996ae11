"""One transaction: where it is, the proof of that, and its bytes."""

from flask import Response, render_template

from cairn.consensus.encoding import HASH_BYTES
from cairn.storage.answers import WaitingTransaction
from cairn.storage.rows import read_transaction
from cairn.web.api.transactions import mined_transaction, proof_view
from cairn.web.bodies import hex_bytes
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages
from cairn.web.pages.layout import decode_fields
from cairn.web.pages.merkle import draw_proof
from cairn.web.problems import ApiProblem
from cairn.web.proof_file import proof_file
from cairn.web.views import find_block, mined_view, tip_height, waiting_view

WANTED_CONFIRMATIONS = 6
"""From here on a transaction is called confirmed; as follow.js has it."""
_NAMED_DIGITS = 16
"""Of an id, in the name of a file."""


@pages.get("/transaction/<id>")
def transaction(id: str) -> str:  # noqa: A002 - as the path names it
    """One transaction."""
    node = this_node()
    transaction_id = hex_bytes(id, "id", length=HASH_BYTES)
    found = node.queries.transaction(transaction_id)
    if found is None:
        raise ApiProblem("not-found", f"no transaction {id} is in the chain or waits")
    decoded = read_transaction(found.id, found.raw, node.network_id)
    if isinstance(found, WaitingTransaction):
        view, drawing = waiting_view(found, node), None
    else:
        view = mined_view(found, tip_height(node), node)
        drawing = draw_proof(proof_view(found, node))
    return render_template(
        "transaction.html",
        transaction=view,
        drawing=drawing,
        fields=decode_fields(decoded, node),
        fee_rate=decoded.fee / len(decoded.raw),
        cost=decoded.cost,
        wanted_confirmations=WANTED_CONFIRMATIONS,
    )


@pages.get("/transaction/<id>/proof")
def transaction_proof(id: str) -> Response:  # noqa: A002 - as the path names it
    """The proof as the file that `cairn verify` reads, to be kept."""
    node = this_node()
    proof = proof_view(mined_transaction(id, node), node)
    tip = find_block(str(tip_height(node)), node)
    name = f"{proof.transaction_id[:_NAMED_DIGITS]}.cairn-proof.json"
    node.proof_downloads.take()
    response = Response(
        proof_file(proof, tip.height, node),
        content_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
    response.call_on_close(node.proof_downloads.give_back)
    return response
