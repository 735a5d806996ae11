"""The nonce search in pure Python: works everywhere, and is what the native kernel must equal."""

from hashlib import sha256

HEADER_BYTES = 96
NONCE_BYTES = 8
NONCES = 2**64
TARGETS = 2**256
_FIXED_BYTES = HEADER_BYTES - NONCE_BYTES


def search(header: bytes, target: int, first_nonce: int, count: int) -> int | None:
    """The first of `count` nonces from `first_nonce` whose block hash is at most `target`.

    `header` is a whole header of 96 bytes; the nonce in it, its last 8 bytes, does not matter.
    `target` is 1 … 2^256-1. The search ends at 2^64-1. None when no nonce solves the header.
    Raises ValueError for arguments out of range.
    """
    check_arguments(header, target, first_nonce, count)
    limit = target.to_bytes(32, "big")
    copy_prefix = sha256(header[:_FIXED_BYTES]).copy  # the first 64 bytes are hashed once
    for nonce in range(first_nonce, min(first_nonce + count, NONCES)):
        digest = copy_prefix()
        digest.update(nonce.to_bytes(NONCE_BYTES, "big"))
        if sha256(digest.digest()).digest() <= limit:
            return nonce
    return None


def check_arguments(header: bytes, target: int, first_nonce: int, count: int) -> None:
    """Raises ValueError unless these are a header, a target, a nonce and a count."""
    if len(header) != HEADER_BYTES:
        raise ValueError(f"a header is {HEADER_BYTES} bytes, got {len(header)}")
    if not 0 < target < TARGETS:
        raise ValueError("a target lies between 1 and 2^256-1")
    if not 0 <= first_nonce < NONCES:
        raise ValueError(f"a nonce lies between 0 and 2^64-1, got {first_nonce}")
    if not 0 <= count <= NONCES:
        raise ValueError(f"a count lies between 0 and 2^64, got {count}")
