"""Account keys: made, derived, signing, and never shown."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cairn.consensus.crypto import CURVE_ORDER, HALF_ORDER, address_of, verify_signature
from cairn.wallet import (
    AccountKey,
    WalletError,
    generate_key,
    generate_private_key,
    public_key_of,
    sign,
)
from tests.support.builders import make_key

_EDGES = [1, 2, 3, CURVE_ORDER - 1, CURVE_ORDER - 2, HALF_ORDER, 2**255]


@pytest.mark.parametrize("private_key", [*_EDGES, *(make_key(n).private_key for n in range(5))])
def test_derives_the_public_key_that_openssl_derives(private_key: int) -> None:
    key = ec.derive_private_key(private_key, ec.SECP256R1()).public_key()
    expected = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    assert public_key_of(private_key) == expected


@pytest.mark.parametrize("private_key", _EDGES)
def test_signs_with_low_s_what_the_consensus_rules_accept(private_key: int) -> None:
    for number in range(20):
        message = number.to_bytes(2, "big")
        signature = sign(private_key, message)
        assert len(signature) == 64
        assert int.from_bytes(signature[32:], "big") <= HALF_ORDER
        assert verify_signature(public_key_of(private_key), message, signature)


def test_the_same_message_has_the_same_signature() -> None:
    key = make_key(0)
    assert key.sign(b"message") == key.sign(b"message") == sign(key.private_key, b"message")
    assert key.sign(b"message") != key.sign(b"another")


@pytest.mark.parametrize("private_key", [0, -1, CURVE_ORDER, CURVE_ORDER + 1, 2**256])
def test_refuses_a_private_key_out_of_range(private_key: int) -> None:
    for use in (AccountKey, public_key_of, lambda number: sign(number, b"")):
        with pytest.raises(WalletError, match="between 1 and the order"):
            use(private_key)


def test_generated_keys_are_in_range_and_differ() -> None:
    keys = {generate_private_key() for _ in range(50)} | {generate_key().private_key}
    assert len(keys) == 51
    assert all(1 <= key < CURVE_ORDER for key in keys)


def test_an_account_key_knows_its_address() -> None:
    key = make_key(3)
    assert key.public_key == public_key_of(key.private_key)
    assert key.address == address_of(key.public_key)


def test_an_account_key_never_shows_its_secret() -> None:
    key = make_key(4)
    shown = f"{key} {key!r} {[key]} {(key, None)}"
    for secret in (str(key.private_key), f"{key.private_key:x}", f"{key.private_key:X}"):
        assert secret not in shown
    assert key.address.hex() in shown
