"""One transaction by itself: its bytes, its id and the rules that need no state."""

from dataclasses import replace

import pytest

from cairn.consensus.errors import Rule
from cairn.consensus.transaction import MINIMUM_TRANSACTION_BYTES, Transaction, decode_transaction
from cairn.consensus.validation import check_signature, check_transaction_sanity
from tests.support.builders import make_key, make_params, make_transaction, transaction_body
from tests.support.refusals import refused

PARAMS = make_params()
NETWORK = PARAMS.network_id()
SENDER = make_key(0)
RECIPIENT = make_key(1).address


def pay(amount: int = 5, fee: int = 1, data: bytes = b"") -> Transaction:
    return make_transaction(SENDER, PARAMS, 0, RECIPIENT, amount, fee, data)


def test_accepts_a_signed_payment() -> None:
    transaction = pay()
    check_transaction_sanity(transaction, PARAMS)
    check_signature(transaction, NETWORK)
    assert transaction.sender == SENDER.address
    assert transaction.cost == 6
    assert len(transaction.raw) == MINIMUM_TRANSACTION_BYTES


@pytest.mark.parametrize("version", [0, 2, 255])
def test_refuses_another_version(version: int) -> None:
    body = transaction_body(SENDER.public_key, 0, RECIPIENT, 1, 1, 0, b"", version)
    with refused(Rule.TRANSACTION_VERSION, version=version):
        decode_transaction(body + bytes(64), NETWORK)


@pytest.mark.parametrize("length", [0, 1, 87, 88, 151])
def test_refuses_truncated_bytes(length: int) -> None:
    with refused(Rule.ENCODING_TRUNCATED, length=length):
        decode_transaction(pay().raw[:length], NETWORK)


def test_refuses_fewer_data_bytes_than_it_says() -> None:
    raw = pay(data=b"12345").raw
    with refused(Rule.ENCODING_TRUNCATED, needed=157, length=156):
        decode_transaction(raw[:-1], NETWORK)


def test_refuses_trailing_bytes() -> None:
    with refused(Rule.ENCODING_TRAILING_BYTES, expected=152, length=153):
        decode_transaction(pay().raw + b"\x00", NETWORK)


def test_allows_data_up_to_the_limit_and_refuses_one_byte_more() -> None:
    check_transaction_sanity(pay(data=bytes(PARAMS.max_data_bytes)), PARAMS)
    with refused(Rule.TRANSACTION_DATA_TOO_LARGE, length=1025, limit=1024):
        check_transaction_sanity(pay(data=bytes(PARAMS.max_data_bytes + 1)), PARAMS)


def test_amount_may_be_zero_only_with_data() -> None:
    check_transaction_sanity(pay(amount=0, data=b"note"), PARAMS)
    with refused(Rule.TRANSACTION_EMPTY):
        check_transaction_sanity(pay(amount=0), PARAMS)


def test_refuses_amount_and_fee_that_overflow_together() -> None:
    check_transaction_sanity(pay(amount=2**64 - 2, fee=1), PARAMS)
    with refused(Rule.AMOUNT_OVERFLOW, amount=2**64 - 1, fee=1):
        check_transaction_sanity(pay(amount=2**64 - 1, fee=1), PARAMS)


def test_refuses_a_signature_made_for_another_network() -> None:
    other = make_params(name="othernet").network_id()
    transaction = decode_transaction(pay().raw, other)
    assert transaction.id != pay().id
    with refused(Rule.SIGNATURE_INVALID):
        check_signature(transaction, other)


def test_refuses_a_signature_by_another_key() -> None:
    raw = pay().raw
    forged = raw[:1] + make_key(1).public_key + raw[34:]
    with refused(Rule.SIGNATURE_INVALID):
        check_signature(decode_transaction(forged, NETWORK), NETWORK)


def test_the_id_does_not_depend_on_the_signature() -> None:
    transaction = pay()
    other = decode_transaction(transaction.raw[:-64] + bytes(64), NETWORK)
    assert other.id == transaction.id
    with refused(Rule.SIGNATURE_INVALID):
        check_signature(other, NETWORK)


def test_a_changed_field_breaks_the_signature() -> None:
    raw = bytearray(pay().raw)
    raw[69] ^= 1  # the last byte of the amount
    changed = decode_transaction(bytes(raw), NETWORK)
    assert changed.amount != pay().amount
    assert replace(changed, amount=pay().amount, id=pay().id, raw=pay().raw) == pay()
    with refused(Rule.SIGNATURE_INVALID):
        check_signature(changed, NETWORK)
