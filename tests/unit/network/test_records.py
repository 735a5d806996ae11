"""Node records: one byte form, signed, of this network, bounded in every field."""

import msgspec
import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.network.addresses import parse_ranges
from cairn.network.keys import generate_curve_keys
from cairn.network.records import (
    MAX_RECORD_BYTES,
    NodeRecord,
    check_record,
    decode_record,
    encode_record,
    sign_record,
)
from cairn.network.settings import AccountSigner
from tests.support.builders import make_key

NOW = 1_800_000_000
NETWORK = bytes(range(32))
RANGES = parse_ranges(["127.0.0.0/8"])
KEY = make_key(1)
SIGNER = AccountSigner(KEY.public_key, KEY.sign)
UNSIGNED = NodeRecord(
    network_id=NETWORK,
    name="node-1",
    url="http://127.0.0.1:8000",
    publish="tcp://127.0.0.1:28600",
    request="tcp://127.0.0.1:28601",
    curve_key=generate_curve_keys().public,
    public_key=KEY.public_key,
    version="0.1.0",
    timestamp=NOW,
)


def signed(**changes: object) -> NodeRecord:
    return sign_record(msgspec.structs.replace(UNSIGNED, **changes), SIGNER)


def refusal(record: NodeRecord, network_id: bytes = NETWORK) -> Rule:
    with pytest.raises(RuleError) as refused:
        check_record(record, network_id, RANGES, NOW)
    return refused.value.rule


def test_signed_record_is_sound_and_survives_its_bytes() -> None:
    record = decode_record(encode_record(signed()))
    check_record(record, NETWORK, RANGES, NOW)
    assert record.address == KEY.address


def test_signature_covers_tag_network_and_every_field() -> None:
    record = signed()
    body = msgspec.msgpack.encode([*msgspec.structs.astuple(record)[:-1], b""])
    assert record.signing_message() == b"cairn:node:v1" + NETWORK + body


def test_changed_field_breaks_the_signature() -> None:
    for change in ({"name": "other"}, {"timestamp": NOW - 1}, {"request": "tcp://127.0.0.1:1"}):
        forged = msgspec.structs.replace(signed(), **change)
        assert refusal(forged) is Rule.SIGNATURE_INVALID
    assert refusal(UNSIGNED) is Rule.NODE_RECORD_INVALID  # no signature at all


def test_record_of_another_network_is_refused() -> None:
    assert refusal(signed(), bytes(32)) is Rule.NETWORK_MISMATCH


def test_addresses_outside_the_allowed_ranges_are_refused() -> None:
    for field in ("publish", "request"):
        changes = {field: "tcp://169.254.169.254:80"}
        assert refusal(signed(**changes)) is Rule.ADDRESS_NOT_ROUTABLE


@pytest.mark.parametrize(
    "changes",
    [
        {"network_id": bytes(31)},
        {"name": ""},
        {"name": "a" * 65},
        {"name": "<script>"},
        {"name": "a\nb"},
        {"url": "javascript:alert(1)"},
        {"url": "http://"},
        {"url": "http://user:secret@example.org"},
        {"url": "http://example.org/?q=1"},
        {"url": 'http://example.org/"'},
        {"url": "http://example.org:99999"},
        {"url": "http://" + "a" * 300},
        {"publish": "ipc:///run/x"},
        {"curve_key": "a" * 39},
        {"curve_key": "#" * 40},
        {"public_key": bytes(32)},
        {"version": ""},
        {"version": "1 2"},
        {"timestamp": 0},
        {"timestamp": -5},
        {"timestamp": NOW + 7_201},
    ],
)
def test_fields_out_of_bounds_are_refused(changes: dict[str, object]) -> None:
    assert refusal(signed(**changes)) is Rule.NODE_RECORD_INVALID


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        encode_record(signed())[:-1],
        encode_record(signed()) + b"\x00",
        msgspec.msgpack.encode([1, 2, 3]),
        msgspec.msgpack.encode([*msgspec.structs.astuple(signed()), "more"]),
        msgspec.msgpack.encode(msgspec.structs.asdict(signed())),
        b"\x91" * 1_000,
        bytes(MAX_RECORD_BYTES + 1),
        encode_record(signed()).replace(b"\xa6node-1", b"\xd9\x06node-1"),
    ],
    ids=[
        "empty", "no-msgpack", "cut-off", "trailing", "types", "more", "map", "nested", "long",
        "other-form",
    ],
)  # fmt: skip
def test_bytes_that_are_no_record_are_refused(raw: bytes) -> None:
    with pytest.raises(RuleError) as refused:
        decode_record(raw)
    assert refused.value.rule is Rule.NODE_RECORD_INVALID


def test_largest_record_fits_its_bound() -> None:
    endpoint = "tcp://" + ".".join(["a" * 62] * 4) + ":65535"
    record = signed(
        name="n" * 64, url="http://" + "/" * 249, version="v" * 64, publish=endpoint,
        request=endpoint,
    )  # fmt: skip
    assert len(encode_record(record)) <= MAX_RECORD_BYTES
