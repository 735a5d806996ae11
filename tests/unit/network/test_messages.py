"""Wire messages: every kind survives its bytes, hostile bytes are refused by one rule."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.consensus.errors import Rule, RuleError
from cairn.network.messages import (
    CHAIN_TOPIC,
    FRAME_SLACK_BYTES,
    MAX_BLOCKS_BYTES,
    MAX_BROADCAST_BYTES,
    MAX_HEADERS,
    MAX_LOCATOR,
    MAX_NODES,
    MAX_POOL_IDS,
    MAX_REPLY_BYTES,
    MAX_REQUEST_BYTES,
    MAX_TRANSACTIONS,
    MAX_TRANSACTIONS_BYTES,
    TRANSACTIONS_TOPIC,
    Blocks,
    Busy,
    GetBlocks,
    GetHeaders,
    GetNodes,
    GetTransactions,
    Headers,
    Hello,
    Nodes,
    Refusal,
    Reply,
    Request,
    TipBroadcast,
    TransactionIds,
    Transactions,
    TransactionsBroadcast,
    Welcome,
    decode_broadcast,
    decode_reply,
    decode_request,
    encode_message,
    encode_work,
    split_transactions,
)
from cairn.network.records import MAX_RECORD_BYTES

HASH = bytes(32)
HEADER = bytes(96)
WORK = encode_work(7)
REQUESTS = [
    Hello(HASH, b"record", HEADER, WORK),
    GetNodes(),
    GetHeaders([HASH]),
    GetBlocks([HASH, bytes(31) + b"\1"]),
    GetTransactions([HASH]),
    GetTransactions(None),
]
REPLIES = [
    Welcome(HASH, b"record", HEADER, WORK, 3),
    Nodes([b"record"]),
    Headers([HEADER]),
    Blocks([b"block"]),
    TransactionIds([]),
    Transactions([b"transaction"]),
    Busy(50),
    Refusal("peer-banned", "until tomorrow"),
]


@pytest.mark.parametrize("body", REQUESTS)
def test_requests_survive_their_bytes(body: object) -> None:
    request = Request(5, body)  # type: ignore[arg-type]
    assert decode_request(encode_message(request)) == request


@pytest.mark.parametrize("body", REPLIES)
def test_replies_survive_their_bytes(body: object) -> None:
    reply = Reply(5, body)  # type: ignore[arg-type]
    assert decode_reply(encode_message(reply)) == reply


def test_broadcasts_survive_their_bytes() -> None:
    transactions = TransactionsBroadcast(1, [b"one"])
    tip = TipBroadcast(2, 1, HEADER, WORK)
    assert decode_broadcast([TRANSACTIONS_TOPIC, encode_message(transactions)]) == transactions
    assert decode_broadcast([CHAIN_TOPIC, encode_message(tip)]) == tip


def test_kinds_are_named_in_snake_case() -> None:
    assert msgspec.msgpack.decode(encode_message(TransactionIds([])))["type"] == "transaction_ids"


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (GetHeaders([HASH] * MAX_LOCATOR), MAX_REQUEST_BYTES),
        (GetTransactions([HASH] * MAX_TRANSACTIONS), MAX_REQUEST_BYTES),
        (Hello(HASH, bytes(MAX_RECORD_BYTES), HEADER, WORK), MAX_REQUEST_BYTES),
        (Nodes([bytes(MAX_RECORD_BYTES)] * MAX_NODES), MAX_REPLY_BYTES),
        (Headers([HEADER] * MAX_HEADERS), MAX_REPLY_BYTES),
        (TransactionIds([HASH] * MAX_POOL_IDS), MAX_REPLY_BYTES),
        (Blocks([bytes(MAX_BLOCKS_BYTES // 500)] * 500), MAX_REPLY_BYTES),
        (TransactionsBroadcast(1, [bytes(2_097)] * 500), MAX_BROADCAST_BYTES),
    ],
)
def test_fullest_messages_fit_their_frames(body: object, limit: int) -> None:
    curve_overhead = 64
    assert len(encode_message(body)) + curve_overhead <= limit  # type: ignore[arg-type]
    assert limit - MAX_BLOCKS_BYTES <= FRAME_SLACK_BYTES


@pytest.mark.parametrize(
    "body",
    [
        {"type": "headers", "headers": [HEADER] * (MAX_HEADERS + 1)},
        {"type": "headers", "headers": [HEADER[:-1]]},
        {"type": "headers", "headers": ["text"]},
        {"type": "headers"},
        {"type": "nodes", "records": [bytes(MAX_RECORD_BYTES + 1)]},
        {"type": "nodes", "records": [b""] * (MAX_NODES + 1)},
        {"type": "transaction_ids", "ids": [HASH] * (MAX_POOL_IDS + 1)},
        {"type": "busy", "retry_milliseconds": 60_001},
        {"type": "busy", "retry_milliseconds": True},
        {"type": "refusal", "rule": "x" * 65, "detail": ""},
        {"type": "get_nodes"},
        {"type": 1},
    ],
)
def test_replies_out_of_bounds_are_malformed(body: object) -> None:
    with pytest.raises(RuleError) as refused:
        decode_reply(msgspec.msgpack.encode([1, body]))
    assert refused.value.rule is Rule.MESSAGE_MALFORMED


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_malformed(raw: bytes) -> None:
    for decode in (
        decode_request,
        decode_reply,
        lambda each: decode_broadcast([CHAIN_TOPIC, each]),
        lambda each: decode_broadcast([TRANSACTIONS_TOPIC, each]),
    ):
        problem = problem_of(decode, raw)
        assert problem is None or problem.rule is Rule.MESSAGE_MALFORMED


def problem_of(decode: Callable[[bytes], object], raw: bytes) -> RuleError | None:
    try:
        decode(raw)
    except RuleError as error:
        return error
    return None


def test_transactions_are_split_within_both_bounds() -> None:
    raws = [bytes([number % 256]) * 3_000 for number in range(1_200)]
    portions = list(split_transactions(raws))
    assert [raw for portion in portions for raw in portion] == raws
    assert all(len(portion) <= MAX_TRANSACTIONS for portion in portions)
    assert all(sum(map(len, portion)) <= MAX_TRANSACTIONS_BYTES for portion in portions)
    assert list(split_transactions([])) == []


@pytest.mark.parametrize("body", [GetBlocks([HASH, HASH]), GetTransactions([HASH, WORK, HASH])])
def test_nothing_is_asked_for_twice_at_once(body: GetBlocks | GetTransactions) -> None:
    with pytest.raises(RuleError, match="1 hashes are asked for twice") as refused:
        decode_request(encode_message(Request(1, body)))
    assert refused.value.rule is Rule.MESSAGE_MALFORMED
