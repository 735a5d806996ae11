"""Signatures and addresses: what is accepted, and every way of being refused."""

import pytest

from cairn.consensus.crypto import (
    CURVE_ORDER,
    HALF_ORDER,
    address_of,
    bech32m_encode,
    decode_address,
    encode_address,
    is_public_key,
    verify_signature,
)
from cairn.consensus.errors import Rule
from tests.support.builders import make_key
from tests.support.refusals import refused

KEY = make_key(0)
MESSAGE = b"pay the ferryman"
SIGNATURE = KEY.sign(MESSAGE)
FIELD_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1


def test_accepts_the_senders_signature() -> None:
    assert verify_signature(KEY.public_key, MESSAGE, SIGNATURE)


def test_refuses_another_message_another_key_and_another_signature() -> None:
    assert not verify_signature(KEY.public_key, MESSAGE + b"!", SIGNATURE)
    assert not verify_signature(make_key(1).public_key, MESSAGE, SIGNATURE)
    assert not verify_signature(KEY.public_key, MESSAGE, make_key(1).sign(MESSAGE))


def test_refuses_the_high_twin_of_a_signature() -> None:
    s = int.from_bytes(SIGNATURE[32:], "big")
    assert s <= HALF_ORDER
    twin = SIGNATURE[:32] + (CURVE_ORDER - s).to_bytes(32, "big")
    assert not verify_signature(KEY.public_key, MESSAGE, twin)


@pytest.mark.parametrize("number", [0, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1])
def test_refuses_r_or_s_out_of_range(number: int) -> None:
    encoded = number.to_bytes(32, "big")
    assert not verify_signature(KEY.public_key, MESSAGE, encoded + SIGNATURE[32:])
    assert not verify_signature(KEY.public_key, MESSAGE, SIGNATURE[:32] + encoded)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 70, 128])
def test_refuses_a_signature_of_another_length(length: int) -> None:
    assert not verify_signature(KEY.public_key, MESSAGE, (SIGNATURE * 2)[:length])


def _x_without_point() -> bytes:
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x = 5
    while pow(x**3 - 3 * x + b, (FIELD_PRIME - 1) // 2, FIELD_PRIME) != FIELD_PRIME - 1:
        x += 1
    return x.to_bytes(32, "big")


@pytest.mark.parametrize(
    "public_key",
    [
        b"",
        b"\x00",
        bytes(33),
        KEY.public_key[:-1],
        KEY.public_key + b"\x00",
        b"\x04" + KEY.public_key[1:],
        b"\x05" + KEY.public_key[1:],
        b"\x06" + KEY.public_key[1:],
        b"\x02" + b"\xff" * 32,
        b"\x02" + FIELD_PRIME.to_bytes(32, "big"),
        b"\x03" + _x_without_point(),
        b"\x04" + KEY.public_key[1:] * 2,
    ],
)
def test_refuses_what_is_no_compressed_point(public_key: bytes) -> None:
    assert not is_public_key(public_key)
    assert not verify_signature(public_key, MESSAGE, SIGNATURE)


def test_the_other_parity_is_another_key() -> None:
    flipped = bytes([KEY.public_key[0] ^ 1]) + KEY.public_key[1:]
    assert is_public_key(KEY.public_key)
    assert is_public_key(flipped)
    assert address_of(flipped) != KEY.address
    assert not verify_signature(flipped, MESSAGE, SIGNATURE)


def test_address_text_reads_back_in_either_case() -> None:
    text = encode_address("rcairn", KEY.address)
    assert decode_address("rcairn", text) == KEY.address
    assert decode_address("rcairn", text.upper()) == KEY.address


def test_refuses_a_sound_address_of_another_network() -> None:
    text = encode_address("rcairn", KEY.address)
    with refused(Rule.ADDRESS_WRONG_NETWORK, expected="cairn", got="rcairn"):
        decode_address("cairn", text)


@pytest.mark.parametrize("count", [0, 19, 21, 32])
def test_refuses_an_address_of_another_length(count: int) -> None:
    number = int.from_bytes(bytes(range(1, count + 1)), "big") << -8 * count % 5
    symbols = -(-8 * count // 5)
    values = [number >> 5 * (symbols - 1 - index) & 31 for index in range(symbols)]
    with refused(Rule.ADDRESS_INVALID) as refusal:
        decode_address("rcairn", bech32m_encode("rcairn", values))
    assert f"holds {count} bytes" in refusal.value.detail
    with pytest.raises(ValueError, match="an address is 20 bytes"):
        encode_address("rcairn", bytes(count))


@pytest.mark.parametrize(
    "values",
    [
        [0] * 33,  # 20 bytes and a whole symbol too many
        [*[0] * 33, 1],  # 21 bytes and two bits that are not zero
    ],
)
def test_refuses_an_address_with_wrong_padding(values: list[int]) -> None:
    with refused(Rule.ADDRESS_INVALID) as refusal:
        decode_address("rcairn", bech32m_encode("rcairn", values))
    assert "padded" in refusal.value.detail


@pytest.mark.parametrize("text", ["", "1", "rcairn1", "rcairn", "r" * 91, "rcairn1é", "\x00"])
def test_refuses_text_that_is_no_address(text: str) -> None:
    with refused(Rule.ADDRESS_INVALID):
        decode_address("rcairn", text)
