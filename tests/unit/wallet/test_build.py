"""Building transactions: what comes out is valid, and what cannot be said is refused."""

import pytest

from cairn.consensus.transaction import Transaction
from cairn.consensus.validation import check_signature, check_transaction_sanity
from cairn.wallet import WalletError, build_transaction
from tests.support.builders import make_key, make_params, make_transaction

PARAMS = make_params()
NETWORK = PARAMS.network_id()
KEY = make_key(0)
TO = make_key(1).address


def build(**fields: int | bytes) -> Transaction:
    usual = {
        "network_id": NETWORK,
        "sequence": 4,
        "recipient": TO,
        "amount": 15,
        "fee": 2,
        "timestamp": 1_700_000_000,
    }
    return build_transaction(KEY, **{**usual, **fields})


def test_builds_a_valid_transaction_byte_for_byte() -> None:
    transaction = build(data=b"note")
    check_transaction_sanity(transaction, PARAMS)
    check_signature(transaction, NETWORK)
    assert transaction == make_transaction(KEY, PARAMS, 4, TO, 15, 2, b"note")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"network_id": NETWORK[:-1]}, "network id is 32 bytes, got 31"),
        ({"recipient": TO + b"\x00"}, "address is 20 bytes, got 21"),
        ({"data": bytes(65_536)}, "data is 65536 bytes"),
        ({"amount": -1}, "amount must lie"),
        ({"amount": 2**64}, "amount must lie"),
        ({"fee": -1}, "fee must lie"),
        ({"sequence": 2**64}, "sequence must lie"),
        ({"timestamp": -1}, "timestamp must lie"),
        ({"amount": 2**64 - 1, "fee": 1}, r"amount \+ fee must lie"),
    ],
)
def test_refuses_what_the_layout_cannot_hold(fields: dict[str, int | bytes], problem: str) -> None:
    with pytest.raises(WalletError, match=problem):
        build(**fields)


def test_holds_the_largest_values() -> None:
    largest = 2**64 - 1
    transaction = build(
        sequence=largest, amount=largest, fee=0, timestamp=largest, data=bytes(65_535)
    )
    assert (transaction.amount, len(transaction.data)) == (largest, 65_535)
