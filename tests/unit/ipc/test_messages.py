"""The local messages' byte form."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ipc.messages import (
    Event,
    GetTemplate,
    Mine,
    MineRequested,
    Problem,
    Refused,
    Reply,
    Request,
    SubmitResult,
    Submitted,
    SubmitTransactions,
    TipChanged,
)

transactions = st.lists(st.binary(max_size=300), max_size=20)


@given(transactions)
def test_requests_survive_the_way(raws: list[bytes]) -> None:
    request = SubmitTransactions(raws)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=Request) == request


@given(
    st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.text(), st.integers(0, 2**64 - 1)))
)
def test_replies_survive_the_way(parts: list[tuple[bytes, str, int]]) -> None:
    results = [SubmitResult(id_, Problem("c", text, {"n": number})) for id_, text, number in parts]
    reply = Submitted(results)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply) == reply


@pytest.mark.parametrize("kind", [Request, Reply, Event])
@given(data=st.data())
def test_any_bytes_are_a_message_or_one_of_the_expected_faults(
    kind: object, data: st.DataObject
) -> None:
    good = [
        msgspec.msgpack.encode(message)
        for message in (Mine(1), Refused(Problem("c", "d")), TipChanged(b"", 1, 1, 1, 0, 0))
    ]
    raw = bytearray(data.draw(st.one_of(st.binary(max_size=200), st.sampled_from(good))))
    for _ in range(data.draw(st.integers(0, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    # what the server and the subscriber expect
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        msgspec.msgpack.decode(bytes(raw), type=kind)


@pytest.mark.parametrize("message", [GetTemplate(bytes(20)), Mine(1)])
def test_a_request_is_neither_reply_nor_event(message: object) -> None:
    raw = msgspec.msgpack.encode(message)
    for kind in (Reply, Event):
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(raw, type=kind)


def test_topic_and_tag_are_the_class_name() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(MineRequested(3))) == {
        "type": "MineRequested",
        "blocks": 3,
    }
