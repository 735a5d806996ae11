"""Accounts of tests: keys, addresses and signed transactions written again from the protocol.

Signatures are OpenSSL's, byte layouts and Bech32m are spelt out here, so that nothing of the
node's own code can agree with itself by mistake.
"""

import struct
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def double_sha256(data: bytes) -> bytes:
    """SHA-256 of SHA-256."""
    return sha256(sha256(data).digest()).digest()


@dataclass(frozen=True)
class SignedTransaction:
    """A transaction as a client holds it."""

    raw: bytes
    id: bytes
    document: dict[str, object]
    """The JSON form that the API takes."""

    @property
    def hex_id(self) -> str:
        """As the API writes it."""
        return self.id.hex()


@dataclass(frozen=True)
class Account:
    """The same key for the same number, in every run."""

    number: int

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        seed = sha256(b"functional test account" + struct.pack(">Q", self.number)).digest()
        return ec.derive_private_key(int.from_bytes(seed, "big") % (ORDER - 1) + 1, ec.SECP256R1())

    @cached_property
    def public_key(self) -> bytes:
        """33 bytes, compressed."""
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    @cached_property
    def address(self) -> bytes:
        """20 bytes."""
        return sha256(b"cairn:address:v1" + self.public_key).digest()[:20]

    @cached_property
    def pem(self) -> bytes:
        """The key's file."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes, *, high_s: bool = False) -> bytes:
        """r ‖ s with the lower s, or on purpose the higher."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(SHA256())))
        if (s > ORDER // 2) != high_s:
            s = ORDER - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def transaction(
        self,
        network: "NetworkName",
        sequence: int,
        recipient: bytes,
        amount: int,
        fee: int = 1_000,
        data: bytes = b"",
        timestamp: int | None = None,
        *,
        high_s: bool = False,
    ) -> SignedTransaction:
        """A signed transaction; nothing about it is checked."""
        timestamp = int(time.time()) if timestamp is None else timestamp
        body = b"".join(
            [
                b"\x01",
                self.public_key,
                struct.pack(">Q", sequence),
                recipient,
                struct.pack(">QQQH", amount, fee, timestamp, len(data)),
                data,
            ]
        )
        message = b"cairn:tx:v1" + network.id + body
        signature = self.sign(message, high_s=high_s)
        document = {
            "public_key": self.public_key.hex(),
            "sequence": sequence,
            "recipient": network.address(recipient),
            "amount": str(amount),
            "fee": str(fee),
            "timestamp": timestamp,
            "data": data.hex(),
            "signature": signature.hex(),
        }
        return SignedTransaction(body + signature, double_sha256(message), document)


@dataclass(frozen=True)
class NetworkName:
    """What a client must know of a network."""

    id: bytes
    """The genesis hash, 32 bytes."""
    prefix: str

    def address(self, address: bytes) -> str:
        """Bech32m text."""
        return bech32m(self.prefix, address)


def bech32m(prefix: str, payload: bytes) -> str:
    """BIP-350 text of bytes under a prefix."""
    number = int.from_bytes(payload, "big") << (-len(payload) * 8) % 5
    count = (len(payload) * 8 + 4) // 5
    values = [number >> 5 * (count - 1 - i) & 31 for i in range(count)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = _polymod(expanded + values + [0] * 6) ^ 0x2BC830A3
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(_CHARSET[value] for value in values)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    return check
