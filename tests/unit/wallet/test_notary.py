"""Notarizing documents: their hash, and the data that carries it."""

from hashlib import sha256
from pathlib import Path

import pytest

from cairn.wallet import WalletError, document_digest, notarization_data, notarized_digest

DIGEST = sha256(b"a document").digest()


@pytest.mark.parametrize("content", [b"", b"a document", bytes(range(256)) * 20_000])
def test_digest_is_sha256_of_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "document"
    path.write_bytes(content)
    assert document_digest(path) == sha256(content).digest()


def test_says_which_file_it_cannot_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(WalletError, match=f"cannot read {path}"):
            document_digest(path)


def test_data_is_a_tag_and_the_digest() -> None:
    data = notarization_data(DIGEST)
    assert data == b"cairn:doc:v1" + DIGEST
    assert notarized_digest(data) == DIGEST


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_refuses_a_digest_of_another_length(length: int) -> None:
    with pytest.raises(WalletError, match="32 bytes"):
        notarization_data(bytes(length))


@pytest.mark.parametrize(
    "data",
    [b"", DIGEST, b"cairn:doc:v1", b"cairn:doc:v2" + DIGEST, b"cairn:doc:v1" + DIGEST + b"\x00"],
)
def test_other_data_notarizes_nothing(data: bytes) -> None:
    assert notarized_digest(data) is None
