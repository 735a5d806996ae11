"""Account keys on P-256 and their signatures: RFC 6979 nonces, s in the lower half.

fastecdsa makes keys and signatures; whether a signature is valid is decided by
`cairn.consensus.crypto` alone.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from fastecdsa import ecdsa, keys
from fastecdsa.curve import P256

from cairn.consensus.crypto import CURVE_ORDER, HALF_ORDER, address_of
from cairn.wallet.errors import WalletError


def generate_private_key() -> int:
    """A new private key, 1 … n-1, from the system's randomness."""
    return keys.gen_private_key(P256)


def generate_key() -> "AccountKey":
    """A new account key from the system's randomness."""
    return AccountKey(generate_private_key())


def public_key_of(private_key: int) -> bytes:
    """The 33-byte compressed SEC1 public key. Raises WalletError outside 1 … n-1."""
    _check_private_key(private_key)
    point = keys.get_public_key(private_key, P256)
    parity = b"\x03" if point.y & 1 else b"\x02"
    return parity + point.x.to_bytes(32, "big")


def sign(private_key: int, message: bytes) -> bytes:
    """64 bytes r ‖ s over SHA-256(message): deterministic, and s at most n/2.

    Raises WalletError when the private key is outside 1 … n-1.
    """
    _check_private_key(private_key)
    r, s = ecdsa.sign(message, private_key, curve=P256, hashfunc=sha256)
    if s > HALF_ORDER:  # both s and n - s are valid; the protocol allows the lower
        s = CURVE_ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True, slots=True, repr=False)
class AccountKey:
    """A private key and what follows from it. Its repr never shows the secret."""

    private_key: int
    """1 … n-1; anything else raises WalletError."""
    public_key: bytes = field(init=False)
    """33 bytes, compressed SEC1."""
    address: bytes = field(init=False)
    """20 bytes."""

    def __post_init__(self) -> None:
        public_key = public_key_of(self.private_key)
        object.__setattr__(self, "public_key", public_key)
        object.__setattr__(self, "address", address_of(public_key))

    def __repr__(self) -> str:
        return f"AccountKey(address={self.address.hex()})"

    def sign(self, message: bytes) -> bytes:
        """64 bytes r ‖ s over SHA-256(message), low s."""
        return sign(self.private_key, message)


def _check_private_key(private_key: int) -> None:
    if not 1 <= private_key < CURVE_ORDER:
        raise WalletError("a private key lies between 1 and the order of P-256 less 1")
