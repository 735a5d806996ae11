"""Blocks, and the search for what the ledger holds."""

from flask import Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from cairn.chain.store import BlockStatus
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import RuleError
from cairn.consensus.proof_of_work import bits_to_target, work_of
from cairn.storage.answers import BlockSummary
from cairn.web.api.chain import BEFORE, block_page
from cairn.web.api.routing import Parameter
from cairn.web.bodies import hex_bytes
from cairn.web.models import TransactionView
from cairn.web.node import WebNode, this_node
from cairn.web.pages.blueprint import pages, see_other
from cairn.web.pages.charts import hashes
from cairn.web.problems import ApiProblem
from cairn.web.views import (
    block_view,
    find_block,
    find_transaction,
    load_block,
    mined_view,
    tip_height,
    transaction_view,
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
def block(reference: str) -> str | AnyResponse:
    """One block with its transactions. A height leads to the hash: another block may come to be
    at that height."""
    node = this_node()
    first = FIRST.number()
    if len(reference) != _HASH_DIGITS:
        named = find_block(reference, node).hash.hex()
        return redirect(f"/block/{named}?first={first}" if first else f"/block/{named}")
    found = stored_block(reference, node)
    if first and first >= found.transaction_count:
        raise ApiProblem(
            "not-found", f"no transaction {first:,}: the block has {found.transaction_count:,}"
        )
    tip = tip_height(node)
    in_chain = found.status is BlockStatus.ACTIVE
    return render_template(
        "block.html",
        block=block_view(found, node),
        in_chain=in_chain,
        broken=found.status is BlockStatus.INVALID,
        fees=node.fee_ranges([found]).get(found.hash),
        work=hashes(work_of(found.header.bits)),
        target=f"{bits_to_target(found.header.bits):064x}",
        confirmations=max(1, tip - found.height + 1),
        has_next=in_chain and found.height < tip,
        first=first,
        page_size=PAGE_TRANSACTIONS,
        transactions=_transactions(found, first, node),
    )


def stored_block(text: str, node: WebNode) -> BlockSummary:
    """The block with this hash, in the chain or beside it. Raises ApiProblem."""
    found = node.queries.block_by_hash(hex_bytes(text, "hash", length=HASH_BYTES))
    if found is None:
        raise ApiProblem("not-found", f"this node has no block {text}")
    return found


def _transactions(block: BlockSummary, first: int, node: WebNode) -> list[TransactionView]:
    """Those of one page, from position `first` on."""
    if block.status is not BlockStatus.ACTIVE:
        shown = load_block(block, node).transactions[first : first + PAGE_TRANSACTIONS]
        return [transaction_view(each, node) for each in shown]
    mined = node.queries.block_transactions(block.height, first, PAGE_TRANSACTIONS)
    return [mined_view(each, block.height, node) for each in mined if each.block_hash == block.hash]


@pages.get("/search")
def search() -> Response | tuple[str, int]:
    """Goes to the block, transaction or account that the text names."""
    node = this_node()
    text = request.args.get("q", "").strip()[:_MAX_SEARCH_CHARACTERS]
    if not text:
        return render_template("search.html", text="", readings=[]), 200
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
    for path, find in (("/block", stored_block), ("/transaction", find_transaction)):
        try:
            find(text, node)
        except ApiProblem:
            continue
        return f"{path}/{text}", []
    return None, [
        "Read as a block hash: this node has no such block.",
        "Read as a transaction id: it is neither mined nor waiting here.",
        "What was sent to another node arrives here within a second or so.",
    ]
