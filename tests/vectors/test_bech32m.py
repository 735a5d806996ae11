"""BIP-350's valid and invalid Bech32m strings."""

import pytest

from cairn.consensus.crypto import bech32m_decode, bech32m_encode, encode_address
from cairn.consensus.errors import Rule, RuleError

_VALID = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]
_INVALID = {
    "\x201xj0phk": "outside printable ASCII",
    "\x7f1g6xzxy": "outside printable ASCII",
    "\x801vctc34": "outside printable ASCII",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4": (
        "91 characters"
    ),
    "qyrz8wqd2c9m": "no prefix",
    "1qyrz8wqd2c9m": "no prefix",
    "y1b0jsk6g": "'b'",
    "lt1igcx5c0": "'i'",
    "in1muywd": "checksum characters",
    "mm1crxm3i": "'i'",
    "au1s5cgom": "'o'",
    "M1VUXWEZ": "checksum does not match",
    "16plkw9": "no prefix",
    "1p2gdwpf": "no prefix",
}
_BECH32_NOT_M = ["A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"]


@pytest.mark.parametrize("text", _VALID)
def test_reads_and_writes_valid_strings_of_bip_350(text: str) -> None:
    prefix, values = bech32m_decode(text)
    assert bech32m_encode(prefix, values) == text.lower()


@pytest.mark.parametrize(("text", "reason"), _INVALID.items(), ids=range(len(_INVALID)))
def test_refuses_invalid_strings_of_bip_350_and_says_why(text: str, reason: str) -> None:
    with pytest.raises(RuleError) as refusal:
        bech32m_decode(text)
    assert refusal.value.rule is Rule.ADDRESS_INVALID
    assert reason in refusal.value.detail


@pytest.mark.parametrize("text", _BECH32_NOT_M)
def test_refuses_the_older_bech32_checksum(text: str) -> None:
    with pytest.raises(RuleError, match="checksum does not match"):
        bech32m_decode(text)


def test_an_address_is_its_20_bytes_in_32_symbols_without_a_version() -> None:
    address = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
    prefix, values = bech32m_decode(encode_address("bc", address))
    assert (prefix, len(values)) == ("bc", 32)
    assert int("".join(f"{value:05b}" for value in values), 2) == int.from_bytes(address, "big")
