"""The faucet, where the node has one: the listener signs and keeps the limits."""

import msgspec

from cairn.ipc.messages import Drip, Dripped
from cairn.web.api.routing import Answer, api
from cairn.web.bodies import JSON_TYPE, read_json
from cairn.web.node import WebNode, this_node
from cairn.web.node_models import FaucetRequest, FaucetView
from cairn.web.problems import ApiProblem

_faucet = msgspec.json.Decoder(FaucetRequest)


@api.route(
    "POST /faucet",
    "accounts",
    {202: FaucetView},
    bodies={JSON_TYPE: FaucetRequest},
    problems=(400, 404, 413, 415, 422, 429, 503),
)
def post_faucet() -> Answer:
    """Have the faucet pay an address.

    Only where the node has one: development networks, and nodes that are configured so. An
    address is paid once in a while, and so is who asks for many; the answer's `Retry-After`
    tells when again.
    """
    node = this_node()
    return drip(read_json(_faucet).address, node), 202


def drip(address: str, node: WebNode) -> FaucetView:
    """Has the listener pay this address. Raises ApiProblem, or RuleError for the address."""
    check_faucet(node)
    recipient = node.decode_address(address)
    wait = node.faucet_asks.take(node.client())
    if wait > 0:
        raise ApiProblem(
            "too-many-requests",
            f"the faucet paid what you asked for a moment ago; ask again in {wait} s",
            retry_after_seconds=wait,
        )
    paid = node.ask(Drip(recipient), Dripped)
    return FaucetView(id=paid.id.hex(), address=address, amount=str(paid.amount))


def check_faucet(node: WebNode) -> None:
    """Raises ApiProblem `faucet-disabled` where there is no faucet."""
    if not node.has_faucet:
        raise ApiProblem("faucet-disabled", "this node has no faucet")
