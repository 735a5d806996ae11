"""Signatures, addresses and Bech32m: who may speak for an account, and how it is written.

Curve NIST P-256, SHA-256, 64-byte signatures r ‖ s with s in the lower half of the order,
so that no third party can change a signature's bytes and keep it valid.
"""

from functools import reduce
from hashlib import sha256
from operator import xor

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from cairn.consensus.encoding import ADDRESS_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from cairn.consensus.errors import Rule, RuleError

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HALF_ORDER = CURVE_ORDER // 2

_ADDRESS_TAG = b"cairn:address:v1"
_CURVE = ec.SECP256R1()
_ECDSA_SHA256 = ec.ECDSA(SHA256())

_BECH32_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_VALUE = {character: value for value, character in enumerate(_BECH32_CHARSET)}
_BECH32M_CONSTANT = 0x2BC830A3
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_SUMS = tuple(
    reduce(xor, (each for i, each in enumerate(_BECH32_GENERATOR) if top >> i & 1), 0)
    for top in range(32)
)
"""What the five bits that leave the checksum add to it, for each of their values."""
_BECH32_MAX_CHARACTERS = 90
_BECH32_CHECKSUM_CHARACTERS = 6


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is `public_key`'s (33 bytes, SEC1) over SHA-256(message).

    Never raises: bad points, wrong lengths, r or s out of 1…n-1 and s above n/2 are False.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not (1 <= r < CURVE_ORDER and 1 <= s <= HALF_ORDER):
        return False
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public_key)
        key.verify(encode_dss_signature(r, s), message, _ECDSA_SHA256)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def is_public_key(public_key: bytes) -> bool:
    """Whether the bytes are a 33-byte compressed point on the curve."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public_key)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def address_of(public_key: bytes) -> bytes:
    """The 20-byte address of a 33-byte compressed public key."""
    return sha256(_ADDRESS_TAG + public_key).digest()[:ADDRESS_BYTES]


def encode_address(prefix: str, address: bytes) -> str:
    """Bech32m (BIP-350) text of a 20-byte address under the network's prefix."""
    if len(address) != ADDRESS_BYTES:
        raise ValueError(f"an address is {ADDRESS_BYTES} bytes, got {len(address)}")
    return bech32m_encode(prefix, _regroup(address, 8, 5, pad=True))


def decode_address(prefix: str, text: str) -> bytes:
    """The 20 bytes behind a Bech32m address.

    Raises RuleError `address-invalid` (form, character, checksum or length) or
    `address-wrong-network` (sound, but of another network).
    """
    found_prefix, values = bech32m_decode(text)
    if found_prefix != prefix:
        raise RuleError(
            Rule.ADDRESS_WRONG_NETWORK,
            f"address begins with {found_prefix!r}, this network's begin with {prefix!r}",
            expected=prefix,
            got=found_prefix,
        )
    address = _regroup(bytes(values), 5, 8, pad=False)
    if len(address) != ADDRESS_BYTES:
        raise _bad_address(f"holds {len(address)} bytes, an address is {ADDRESS_BYTES}")
    return bytes(address)


def bech32m_encode(prefix: str, values: list[int]) -> str:
    """Bech32m text of 5-bit `values` (BIP-350)."""
    checksum_input = [*_expand_prefix(prefix), *values, *([0] * _BECH32_CHECKSUM_CHARACTERS)]
    polymod = _bech32_polymod(checksum_input) ^ _BECH32M_CONSTANT
    checksum = [(polymod >> 5 * (5 - i)) & 31 for i in range(_BECH32_CHECKSUM_CHARACTERS)]
    return prefix + "1" + "".join(_BECH32_CHARSET[value] for value in [*values, *checksum])


def bech32m_decode(text: str) -> tuple[str, list[int]]:
    """Prefix and 5-bit values of Bech32m text. Raises RuleError `address-invalid`."""
    if len(text) > _BECH32_MAX_CHARACTERS:
        raise _bad_address(f"{len(text)} characters, at most {_BECH32_MAX_CHARACTERS}")
    if any(not 33 <= ord(character) <= 126 for character in text):
        raise _bad_address("holds a character outside printable ASCII")
    if text != text.lower() and text != text.upper():
        raise _bad_address("mixes upper and lower case")
    prefix, separator, data = text.lower().rpartition("1")
    if not separator or not prefix:
        raise _bad_address("has no prefix before a separator '1'")
    if len(data) < _BECH32_CHECKSUM_CHARACTERS:
        raise _bad_address(f"has {len(data)} of {_BECH32_CHECKSUM_CHARACTERS} checksum characters")
    foreign = sorted(set(data) - set(_BECH32_CHARSET))
    if foreign:
        raise _bad_address(f"holds {foreign[0]!r}, which Bech32m does not use")
    values = [_BECH32_VALUE[character] for character in data]
    if _bech32_polymod([*_expand_prefix(prefix), *values]) != _BECH32M_CONSTANT:
        raise _bad_address("checksum does not match: a character is wrong or missing")
    return prefix, values[:-_BECH32_CHECKSUM_CHARACTERS]


def _bad_address(reason: str) -> RuleError:
    return RuleError(Rule.ADDRESS_INVALID, f"address {reason}")


def _expand_prefix(prefix: str) -> list[int]:
    codes = [ord(character) for character in prefix]
    return [code >> 5 for code in codes] + [0] + [code & 31 for code in codes]


def _bech32_polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _BECH32_SUMS[checksum >> 25]
    return checksum


def _regroup(values: bytes, from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    """Regroups bits. Without `pad`, leftover bits must be fewer than a group and all zero."""
    accumulator = bits = 0
    groups = []
    for value in values:
        accumulator = (accumulator << from_bits) | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            groups.append((accumulator >> bits) & ((1 << to_bits) - 1))
        accumulator &= (1 << bits) - 1
    if pad and bits:
        groups.append(accumulator << (to_bits - bits))
    elif not pad and (bits >= from_bits or accumulator):
        raise _bad_address("is padded with bits that are not zero")
    return groups
