"""Blocks, headers and the network's definition."""

from flask import Response, request

from cairn.consensus.block import HEADER_BYTES
from cairn.consensus.params import NetworkParams
from cairn.web.api.routing import LIMIT, Answer, Parameter, api
from cairn.web.bodies import BYTES_TYPE, JSON_TYPE
from cairn.web.models import BlockDetail, BlockPage, GenesisView
from cairn.web.node import WebNode, this_node
from cairn.web.views import MAX_HEIGHT, block_detail, block_view, find_block

MAX_HEADERS = 2_000
BEFORE = Parameter("before", "Only blocks below this height.", high=MAX_HEIGHT)
FROM = Parameter("from", "Height of the first header.", high=MAX_HEIGHT, default=0)
HEADERS_LIMIT = Parameter("limit", "At most.", low=1, high=MAX_HEADERS, default=MAX_HEADERS)
REFERENCE = {"reference": "Height, or hash (64 hex digits)."}


@api.route("GET /blocks", "chain", BlockPage, parameters=(BEFORE, LIMIT))
def list_blocks() -> Answer:
    """Blocks of the active chain, newest first."""
    return block_page(BEFORE.optional_number(), LIMIT.number(), this_node())


def block_page(before: int | None, limit: int, node: WebNode) -> BlockPage:
    """Blocks below a height (None: from the tip)."""
    blocks = node.queries.blocks(before, limit)
    last = blocks[-1].height if blocks else 0
    following = str(last) if len(blocks) == limit and last > 0 else None
    return BlockPage(items=[block_view(each, node) for each in blocks], next=following)


@api.route(
    "GET /blocks/<reference>",
    "chain",
    {200: BlockDetail},
    path_words=REFERENCE,
    problems=(400, 404),
)
def get_block(reference: str) -> Answer:
    """One block of the active chain with its transactions.

    Asked for application/octet-stream, it answers the block's canonical bytes.
    """
    node = this_node()
    block = find_block(reference, node)
    accepted = request.accept_mimetypes.best_match([JSON_TYPE, BYTES_TYPE], JSON_TYPE)
    if accepted == BYTES_TYPE:
        return _bytes(node.queries.block_bytes(block.hash) or b"")
    return block_detail(block, node)


@api.route(
    "GET /headers",
    "chain",
    {200: BYTES_TYPE},
    parameters=(FROM, HEADERS_LIMIT),
)
def list_headers() -> Answer:
    """Headers of the active chain from a height up, 96 bytes each.

    With the genesis file they are all that verifying a proof offline needs.
    """
    headers = this_node().queries.headers(FROM.number(), HEADERS_LIMIT.number())
    response = _bytes(b"".join(headers))
    response.headers["X-Header-Bytes"] = str(HEADER_BYTES)
    return response


@api.route("GET /genesis", "chain", GenesisView)
def get_genesis() -> Answer:
    """The network's definition, and the genesis hash that is its id."""
    node = this_node()
    return genesis_view(node.params, node)


def genesis_view(params: NetworkParams, node: WebNode) -> GenesisView:
    """The genesis file's content."""
    return GenesisView(
        hash=node.network_id.hex(),
        name=params.name,
        address_prefix=params.address_prefix,
        symbol=params.symbol,
        genesis_time=params.genesis_time,
        target_interval_seconds=params.target_interval_seconds,
        half_life_seconds=params.half_life_seconds,
        initial_target=params.initial_target,
        target_limit=params.target_limit,
        initial_subsidy=str(params.initial_subsidy),
        halving_interval_blocks=params.halving_interval_blocks,
        max_block_bytes=params.max_block_bytes,
        max_data_bytes=params.max_data_bytes,
        allocations={
            node.encode_address(address): str(amount) for address, amount in params.allocations
        },
    )


def _bytes(content: bytes) -> Response:
    return Response(content, content_type=BYTES_TYPE, headers={"Cache-Control": "no-store"})
