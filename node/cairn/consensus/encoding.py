"""Fixed-width big-endian reading with bounds, shared by every byte layout."""

from hashlib import sha256

from cairn.consensus.errors import Rule, RuleError

U64_MAX = 2**64 - 1
U32_MAX = 2**32 - 1

HASH_BYTES = 32
ADDRESS_BYTES = 20
PUBLIC_KEY_BYTES = 33
SIGNATURE_BYTES = 64


def sha256d(data: bytes) -> bytes:
    """SHA-256 applied twice: the hash of blocks, transactions and merkle nodes."""
    return sha256(sha256(data).digest()).digest()


class Reader:
    """Takes fields from the front of `data`; asking for more than there is raises RuleError."""

    __slots__ = ("data", "offset", "what")

    def __init__(self, data: bytes, what: str, offset: int = 0) -> None:
        self.data = data
        self.what = what
        self.offset = offset

    def take(self, count: int) -> bytes:
        """The next `count` bytes. Raises `encoding-truncated` when fewer are left."""
        end = self.offset + count
        if end > len(self.data):
            raise RuleError(
                Rule.ENCODING_TRUNCATED,
                f"{self.what} needs {end} bytes, has {len(self.data)}",
                needed=end,
                length=len(self.data),
            )
        chunk = self.data[self.offset : end]
        self.offset = end
        return chunk

    def unsigned(self, width: int) -> int:
        """The next `width` bytes as an unsigned big-endian integer."""
        return int.from_bytes(self.take(width), "big")

    def finish(self) -> None:
        """Raises `encoding-trailing-bytes` unless every byte has been taken."""
        if self.offset != len(self.data):
            raise RuleError(
                Rule.ENCODING_TRAILING_BYTES,
                f"{self.what} is {self.offset} bytes, got {len(self.data)}",
                expected=self.offset,
                length=len(self.data),
            )
