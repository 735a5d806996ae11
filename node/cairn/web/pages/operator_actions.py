"""What the buttons of the operator's page do; each has a twin in the API."""

from flask import Response

from cairn.ipc.messages import MAX_MINE_BLOCKS
from cairn.web.api.nodes import join_at, set_ban
from cairn.web.api.operations import mine, set_miner_mode
from cairn.web.bodies import decimal_number
from cairn.web.node import WebNode
from cairn.web.pages.blueprint import pages
from cairn.web.pages.operator import act

AS_CONFIGURED = "configured"


@pages.post("/operator/mine")
def mine_now() -> Response:
    """Blocks now."""

    def action(fields: dict[str, str], node: WebNode) -> str:
        blocks = decimal_number(fields.get("blocks", ""), "blocks", MAX_MINE_BLOCKS)
        return mine(blocks, node).detail

    return act(action)


@pages.post("/operator/miner-mode")
def miner_mode() -> Response:
    """The miner's mode until the listener restarts."""

    def action(fields: dict[str, str], node: WebNode) -> str:
        mode = fields.get("mode", "")
        return set_miner_mode(None if mode == AS_CONFIGURED else mode, node).detail

    return act(action)


@pages.post("/operator/join")
def join() -> Response:
    """Join at another node."""
    return act(lambda fields, node: join_at(fields.get("url", "").strip(), node).detail)


@pages.post("/operator/ban")
def ban() -> Response:
    """Ban a node, or lift its ban."""

    def action(fields: dict[str, str], node: WebNode) -> str:
        key = fields.get("curve_key", "")
        done = set_ban(key, fields.get("banned") == "yes", node)
        return f"{done.detail}: {key}"

    return act(action)
