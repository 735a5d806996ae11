"""Fetches a proof from a node and makes a file of it that needs no node."""

import secrets
from pathlib import Path

from cairn.cli.api_client import NodeClient
from cairn.cli.failures import Failure
from cairn.cli.output import progress
from cairn.cli.proof_file import ProofFile
from cairn.cli.replies import Proof, Status, read
from cairn.consensus.block import HEADER_BYTES, decode_header
from cairn.consensus.errors import RuleError
from cairn.consensus.merkle import verify_path
from cairn.consensus.proof import TransactionProof

PAGE_HEADERS = 2_000
_ATTEMPTS = 3
"""The chain may be reorganised between the proof and its headers."""


def fetch_proof(client: NodeClient, status: Status, transaction_id: str) -> ProofFile:
    """The proof of a mined transaction, with all headers up to the tip.

    Its merkle path and the links of its headers are checked. Raises Failure.
    """
    for _ in range(_ATTEMPTS):
        answer = read(client.get("transactions", transaction_id, "proof"), Proof)
        headers = _fetch_headers(client, status)
        proof = TransactionProof(
            transaction=bytes.fromhex(answer.transaction),
            height=answer.height,
            leaf_index=answer.leaf_index,
            leaf_count=answer.leaf_count,
            path=tuple(bytes.fromhex(sibling) for sibling in answer.path),
        )
        if _fits(proof, headers, bytes.fromhex(status.network_id)):
            return ProofFile(status.network, bytes.fromhex(status.network_id), proof, headers)
    raise Failure(
        "the node's proof does not fit its own headers",
        "try again, or ask another node: --node URL",
        code="proof-invalid",
    )


def _fetch_headers(client: NodeClient, status: Status) -> bytes:
    """Concatenated headers of heights 1 to the tip."""
    pieces: list[bytes] = []
    height = 1
    with progress("headers") as bar:
        task = bar.add_task("Fetching headers", total=status.height)
        while True:
            page = client.get_bytes("headers", **{"from": height, "limit": PAGE_HEADERS})
            if not page or len(page) % HEADER_BYTES:
                break
            pieces.append(page)
            height += len(page) // HEADER_BYTES
            bar.update(task, completed=height - 1)
            if len(page) < PAGE_HEADERS * HEADER_BYTES and height > status.height:
                break
    return b"".join(pieces)


def _fits(proof: TransactionProof, raw: bytes, genesis_hash: bytes) -> bool:
    """Whether the headers link back to genesis and the path leads into one of them."""
    previous = genesis_hash
    root = None
    try:
        for start in range(0, len(raw), HEADER_BYTES):
            header = decode_header(raw[start : start + HEADER_BYTES])
            if header.previous_hash != previous:
                return False
            previous = header.hash()
            if header.height == proof.height:
                root = header.merkle_root
    except RuleError:
        return False
    return root is not None and verify_path(
        proof.transaction, proof.leaf_index, proof.leaf_count, proof.path, root
    )


def write_proof(path: Path, proof: ProofFile) -> None:
    """Writes the file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        temporary.write_text(proof.encode(), encoding="ascii")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path, *, force: bool) -> None:
    """Raises Failure when something is at `path` already or its folder is missing."""
    if path.exists() and not force:
        raise Failure(
            f"{path} exists", "name another file with -o FILE, or replace it with --force"
        )
    if not path.parent.is_dir():
        raise Failure(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
