"""RFC 6979 A.2.5 (P-256, SHA-256) against `cairn.wallet.sign`, s normalised to the lower half."""

import re
from importlib.resources import files

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cairn.consensus.crypto import CURVE_ORDER, verify_signature
from cairn.wallet import public_key_of, sign
from tests.vectors.der import parse_der_signature

_TEXT = (
    files("cryptography_vectors") / "asymmetric/ECDSA/RFC6979/evppkey_ecdsa_rfc6979.txt"
).read_text()


def _private_key() -> int:
    pem = re.search(r"PrivateKey=P-256_PRIV\n(-----BEGIN.*?-----END[^\n]*\n)", _TEXT, re.DOTALL)
    assert pem
    key = load_pem_private_key(pem[1].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value


def _vectors() -> list[tuple[bytes, bytes]]:
    """(message, DER signature) of each signing vector."""
    stanzas = [dict(re.findall(r"(\w+) = (.*)", stanza)) for stanza in _TEXT.split("\n\n")]
    wanted = {"DigestSign": "SHA256", "Key": "P-256_PRIV", "NonceType": "deterministic"}
    return [
        (stanza["Input"].strip('"').encode(), bytes.fromhex(stanza["Output"]))
        for stanza in stanzas
        if wanted.items() <= stanza.items()
    ]


def test_the_file_holds_the_two_messages_of_the_appendix() -> None:
    assert [message for message, _ in _vectors()] == [b"sample", b"test"]


@pytest.mark.parametrize(("message", "der"), _vectors())
def test_signs_as_rfc_6979_with_low_s(message: bytes, der: bytes) -> None:
    private_key = _private_key()
    r, s = parse_der_signature(der)
    s = min(s, CURVE_ORDER - s)
    signature = sign(private_key, message)
    assert signature == r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert verify_signature(public_key_of(private_key), message, signature)
