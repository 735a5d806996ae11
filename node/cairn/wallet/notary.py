"""Notarization: a document's hash in a transaction's data, so the chain dates the document."""

from hashlib import file_digest
from pathlib import Path

from cairn.consensus.encoding import HASH_BYTES
from cairn.wallet.errors import WalletError

_DOCUMENT_TAG = b"cairn:doc:v1"


def document_digest(path: Path) -> bytes:
    """SHA-256 (32 bytes) of the file at `path`, read in pieces. Raises WalletError."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").digest()
    except OSError as error:
        raise WalletError(f"cannot read {path}: {error.strerror}") from None


def notarization_data(digest: bytes) -> bytes:
    """A transaction's data that notarizes the document with this SHA-256 (44 bytes)."""
    if len(digest) != HASH_BYTES:
        raise WalletError(f"a SHA-256 digest is {HASH_BYTES} bytes, got {len(digest)}")
    return _DOCUMENT_TAG + digest


def notarized_digest(data: bytes) -> bytes | None:
    """The document's SHA-256 that a transaction's data notarizes; None when it is no such data."""
    if len(data) != len(_DOCUMENT_TAG) + HASH_BYTES or not data.startswith(_DOCUMENT_TAG):
        return None
    return data[len(_DOCUMENT_TAG) :]
