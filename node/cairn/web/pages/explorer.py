"""Blocks, and the search for what the ledger holds."""

from flask import Response, render_template, request

from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import RuleError
from cairn.consensus.proof_of_work import bits_to_target, work_of
from cairn.web.api.chain import BEFORE, block_page
from cairn.web.api.routing import Parameter
from cairn.web.node import WebNode, this_node
from cairn.web.pages.blueprint import pages, see_other
from cairn.web.pages.charts import hashes
from cairn.web.problems import ApiProblem
from cairn.web.views import (
    block_view,
    find_block,
    find_transaction,
    mined_view,
    tip_height,
)

PAGE_BLOCKS = 20
PAGE_TRANSACTIONS = 50
FIRST = Parameter("first", "Position of the first transaction shown.", high=2**31 - 1, default=0)
_MAX_SEARCH_CHARACTERS = 200
_HASH_DIGITS = 2 * HASH_BYTES


@pages.get("/chain")
def chain() -> str:
    """Blocks, newest first."""
    before = BEFORE.optional_number()
    page = block_page(before, PAGE_BLOCKS, this_node())
    return render_template("chain.html", page=page, before=before)


@pages.get("/block/<reference>")
def block(reference: str) -> str:
    """One block with its transactions."""
    node = this_node()
    found = find_block(reference, node)
    first = FIRST.number()
    mined = node.queries.block_transactions(found.height, first, PAGE_TRANSACTIONS)
    tip = tip_height(node)
    return render_template(
        "block.html",
        block=block_view(found, node),
        fees=node.fee_ranges([found]).get(found.hash),
        work=hashes(work_of(found.header.bits)),
        target=f"{bits_to_target(found.header.bits):064x}",
        confirmations=max(1, tip - found.height + 1),
        has_next=found.height < tip,
        first=first,
        page_size=PAGE_TRANSACTIONS,
        transactions=[
            mined_view(each, tip, node) for each in mined if each.block_hash == found.hash
        ],
    )


@pages.get("/search")
def search() -> Response | tuple[str, int]:
    """Goes to the block, transaction or account that the text names."""
    node = this_node()
    text = request.args.get("q", "").strip()[:_MAX_SEARCH_CHARACTERS]
    target, readings = resolve(text, node)
    if target is None:
        return render_template("search.html", text=text, readings=readings), 404
    return see_other(target)


def resolve(text: str, node: WebNode) -> tuple[str | None, list[str]]:
    """The path of the page that a text names, or None and what the text was tried as."""
    plain = text.replace(",", "").replace(" ", "") if text[:1].isdigit() else text
    if plain.isascii() and plain.isdigit() and len(plain) < _HASH_DIGITS:
        return _resolve_height(plain, node)
    lowered = text.lower()
    if len(lowered) == _HASH_DIGITS and set(lowered) <= set("0123456789abcdef"):
        return _resolve_hash(lowered, node)
    try:
        return f"/address/{node.encode_address(node.decode_address(text))}", []
    except RuleError as error:
        shape = f"an address of this network begins with {node.params.address_prefix}1"
        return None, [
            f"Read as an address: {error.detail} ({shape}).",
            f"A block hash or transaction id has {_HASH_DIGITS} hex digits, this {len(text)}.",
            "A height is a whole number.",
        ]


def _resolve_height(text: str, node: WebNode) -> tuple[str | None, list[str]]:
    try:
        block = find_block(text, node)
    except ApiProblem:
        tip = tip_height(node)
        return None, [f"Read as a height: the chain has blocks 0 to {tip:,}."]
    return f"/block/{block.hash.hex()}", []


def _resolve_hash(text: str, node: WebNode) -> tuple[str | None, list[str]]:
    for path, find in (("/block", find_block), ("/transaction", find_transaction)):
        try:
            find(text, node)
        except ApiProblem:
            continue
        return f"{path}/{text}", []
    return None, [
        "Read as a block hash: no block of the active chain has it.",
        "Read as a transaction id: it is neither mined nor waiting here.",
        "What was sent to another node arrives here within a second or so.",
    ]
