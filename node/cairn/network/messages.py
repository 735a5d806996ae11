"""What travels between nodes: msgpack, strictly typed, every list and string bounded.

A request is `[id, body]` on DEALER → ROUTER, its reply `[id, body]` on the way back. A
broadcast is two frames, topic and body. Bodies are maps whose `type` names their kind.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from cairn.consensus.errors import Rule, RuleError
from cairn.network.records import MAX_RECORD_BYTES

MAX_HEADERS = 2_000
MAX_BLOCKS = 500
MAX_BLOCKS_BYTES = 4 * 1024 * 1024
MAX_TRANSACTIONS = 500
MAX_TRANSACTIONS_BYTES = 1024 * 1024
MAX_POOL_IDS = 25_000
MAX_NODES = 1_000
MAX_LOCATOR = 128

FRAME_SLACK_BYTES = 64 * 1024
"""What envelopes and encryption add at most to the bytes above."""
MAX_REQUEST_BYTES = 64 * 1024
MAX_REPLY_BYTES = MAX_BLOCKS_BYTES + FRAME_SLACK_BYTES
MAX_BROADCAST_BYTES = MAX_TRANSACTIONS_BYTES + FRAME_SLACK_BYTES
MAX_SUBSCRIPTION_BYTES = 1_024

TRANSACTIONS_TOPIC = b"tx"
CHAIN_TOPIC = b"chain"

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
HeaderBytes = Annotated[bytes, Meta(min_length=96, max_length=96)]
Work = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""Chain work, big-endian."""
Count = Annotated[int, Meta(ge=0, le=2**62)]
RecordBytes = Annotated[bytes, Meta(max_length=MAX_RECORD_BYTES)]


class Body(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag=lambda name: "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in name
    ).lstrip("_"),
    forbid_unknown_fields=True,
):
    """A request, reply or broadcast; its `type` is its name in snake case."""


# -- requests ------------------------------------------------------------------------------------


class Hello(Body, frozen=True):
    """Who asks, and where its chain and broadcasts stand. Reply: Welcome, the same of the other."""

    network_id: Hash
    record: RecordBytes
    header: HeaderBytes
    """Of its tip."""
    chain_work: Work


class GetNodes(Body, frozen=True):
    """Reply: Nodes."""


class GetHeaders(Body, frozen=True):
    """Reply: Headers that follow the first of these hashes in the other's active chain."""

    locator: Annotated[list[Hash], Meta(min_length=1, max_length=MAX_LOCATOR)]


class GetBlocks(Body, frozen=True):
    """Reply: Blocks, in this order; unknown ones are left out, and the last ones when 4 MiB
    are reached."""

    hashes: Annotated[list[Hash], Meta(min_length=1, max_length=MAX_BLOCKS)]


class GetTransactions(Body, frozen=True):
    """Reply: Transactions of the pool; with no ids, TransactionIds of the pool."""

    ids: Annotated[list[Hash], Meta(min_length=1, max_length=MAX_TRANSACTIONS)] | None


# -- replies -------------------------------------------------------------------------------------


class Welcome(Body, frozen=True):
    """The answer to Hello."""

    network_id: Hash
    record: RecordBytes
    header: HeaderBytes
    chain_work: Work
    transactions_sequence: Count
    """Of its last broadcast of transactions."""


class Nodes(Body, frozen=True):
    """Node records."""

    records: Annotated[list[RecordBytes], Meta(max_length=MAX_NODES)]


class Headers(Body, frozen=True):
    """Headers that follow one another, oldest first."""

    headers: Annotated[list[HeaderBytes], Meta(max_length=MAX_HEADERS)]


class Blocks(Body, frozen=True):
    """Whole blocks."""

    blocks: Annotated[list[bytes], Meta(max_length=MAX_BLOCKS)]


class TransactionIds(Body, frozen=True):
    """Ids of waiting transactions."""

    ids: Annotated[list[Hash], Meta(max_length=MAX_POOL_IDS)]


class Transactions(Body, frozen=True):
    """Whole transactions."""

    transactions: Annotated[list[bytes], Meta(max_length=MAX_TRANSACTIONS)]


class Busy(Body, frozen=True):
    """Too many requests: ask again after this time."""

    retry_milliseconds: Annotated[int, Meta(ge=0, le=60_000)]


class Refusal(Body, frozen=True):
    """The request was not answered."""

    rule: Annotated[str, Meta(max_length=64)]
    detail: Annotated[str, Meta(max_length=400)]


# -- broadcasts ----------------------------------------------------------------------------------


class TransactionsBroadcast(Body, frozen=True):
    """Topic `tx`: newly admitted transactions."""

    sequence: Count
    """Counts this publisher's broadcasts on the topic, from 1."""
    transactions: Annotated[list[bytes], Meta(min_length=1, max_length=MAX_TRANSACTIONS)]


class TipBroadcast(Body, frozen=True):
    """Topic `chain`: the publisher's tip, when it moves and every few seconds."""

    sequence: Count
    transactions_sequence: Count
    """Of the last broadcast on topic `tx`: shows a loss even when nothing follows it."""
    header: HeaderBytes
    chain_work: Work


RequestBody = Hello | GetNodes | GetHeaders | GetBlocks | GetTransactions
ReplyBody = (
    Welcome | Nodes | Headers | Blocks | TransactionIds | Transactions | Busy | Refusal
)  # fmt: skip


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A question; `id` comes back with the answer."""

    id: Count
    body: RequestBody


class Reply(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An answer. `id` 0 answers what could not be read."""

    id: Count
    body: ReplyBody


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)
_transactions_decoder = msgspec.msgpack.Decoder(TransactionsBroadcast)
_tip_decoder = msgspec.msgpack.Decoder(TipBroadcast)


def encode_message(message: Request | Reply | Body) -> bytes:
    """The bytes of a frame."""
    return _encoder.encode(message)


def decode_request(raw: bytes) -> Request:
    """Raises RuleError `message-malformed`."""
    try:
        request = _request_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise malformed(f"request: {error}") from None
    body = request.body
    wanted = body.hashes if isinstance(body, GetBlocks) else None
    if isinstance(body, GetTransactions):
        wanted = body.ids
    if wanted is not None and len(set(wanted)) != len(wanted):
        # A block named 500 times would make a large answer of a small chain.
        raise malformed(f"{len(wanted) - len(set(wanted))} hashes are asked for twice")
    return request


def decode_reply(raw: bytes) -> Reply:
    """Raises RuleError `message-malformed`."""
    try:
        return _reply_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise malformed(f"reply: {error}") from None


def decode_broadcast(frames: Sequence[bytes]) -> TransactionsBroadcast | TipBroadcast:
    """The broadcast in these frames, topic first. Raises RuleError `message-malformed`."""
    if len(frames) != 2:
        raise malformed(f"broadcast of {len(frames)} frames, must be 2")
    topic, raw = frames
    try:
        if topic == TRANSACTIONS_TOPIC:
            return _transactions_decoder.decode(raw)
        if topic == CHAIN_TOPIC:
            return _tip_decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise malformed(f"broadcast: {error}") from None
    raise malformed(f"topic {topic[:16]!r} is not of this protocol")


def split_transactions(raws: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Portions of at most 500 transactions and 1 MiB, in order."""
    portion: list[bytes] = []
    size = 0
    for raw in raws:
        full = len(portion) == MAX_TRANSACTIONS or size + len(raw) > MAX_TRANSACTIONS_BYTES
        if portion and full:
            yield portion
            portion, size = [], 0
        portion.append(raw)
        size += len(raw)
    if portion:
        yield portion


def encode_work(work: int) -> bytes:
    """Chain work as 32 bytes."""
    return work.to_bytes(32, "big")


def malformed(detail: str) -> RuleError:
    """The error of bytes that are no message of this protocol."""
    return RuleError(Rule.MESSAGE_MALFORMED, detail)
