"""The faucet's page, where the node has one."""

from flask import Response, make_response, render_template, request

from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import RuleError
from cairn.ipc.client import ListenerUnavailable
from cairn.web.api.faucet import check_faucet, drip
from cairn.web.bodies import read_form
from cairn.web.node import this_node
from cairn.web.pages.blueprint import pages, see_other
from cairn.web.problems import ApiProblem, explain, problem_response
from cairn.web.security import check_origin, name_origin

_MAX_FORM_BYTES = 1_024


@pages.get("/faucet")
def faucet() -> Response:
    """The form, and after a payment where to follow it."""
    node = this_node()
    check_faucet(node)
    paid = request.args.get("paid", "")
    is_id = len(paid) == 2 * HASH_BYTES and set(paid) <= set("0123456789abcdef")
    # Anybody can write such a link: what is not known here was not paid.
    is_paid = is_id and node.queries.transaction(bytes.fromhex(paid)) is not None
    page = _page(request.args.get("address", ""), paid=paid if is_paid else "")
    return name_origin(make_response(page))


@pages.post("/faucet")
def ask_faucet() -> Response:
    """Pays the address of the form."""
    node = this_node()
    check_faucet(node)
    check_origin()  # no other site may have its visitors empty a faucet that only they reach
    address = read_form(_MAX_FORM_BYTES).get("address", "").strip()
    try:
        paid = drip(address, node)
    except (ApiProblem, RuleError, ListenerUnavailable) as error:
        code, detail, numbers = explain(error)
        response = problem_response(code, detail, numbers)
        response.set_data(_page(address, problem=detail))
        response.content_type = "text/html; charset=utf-8"
        return name_origin(response)
    return see_other(f"/faucet?paid={paid.id}")


def _page(address: str, paid: str = "", problem: str = "") -> str:
    node = this_node()
    return render_template(
        "faucet.html",
        settings=node.config.faucet,
        prefix=node.params.address_prefix,
        address=address[:100],
        paid=paid,
        problem=problem,
    )
