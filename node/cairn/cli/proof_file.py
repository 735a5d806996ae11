"""A proof as a file: one JSON document that, with the genesis file, needs no node to check.

{"format": "cairn-proof", "version": 1, "network": "regtest", "network_id": hex,
 "transaction": hex, "height": 7, "leaf_index": 1, "leaf_count": 3, "path": [hex, …],
 "headers": base64 of the 96-byte headers of heights 1, 2, …, one after another}
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cairn.cli.failures import ExitCode, Failure
from cairn.consensus.block import HEADER_BYTES, Header, decode_header
from cairn.consensus.encoding import HASH_BYTES
from cairn.consensus.errors import RuleError
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof import ProofResult, TransactionProof, verify_proof

FORMAT = "cairn-proof"
VERSION = 1
MAX_FILE_BYTES = 128 * 1024 * 1024
"""Headers of a million blocks: two years of one a minute."""
_MAX_PATH = 32
_MAX_TRANSACTION_BYTES = 70_000
_FIELDS = {
    "format", "version", "network", "network_id", "transaction", "height",
    "leaf_index", "leaf_count", "path", "headers",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProofFile:
    """What a proof file says. Nothing in it is trusted until `check`."""

    network: str
    network_id: bytes
    proof: TransactionProof
    headers: bytes
    """Concatenated headers of heights 1 and up, 96 bytes each."""

    def encode(self) -> str:
        """The file's text."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network,
            "network_id": self.network_id.hex(),
            "transaction": self.proof.transaction.hex(),
            "height": self.proof.height,
            "leaf_index": self.proof.leaf_index,
            "leaf_count": self.proof.leaf_count,
            "path": [sibling.hex() for sibling in self.proof.path],
            "headers": base64.b64encode(self.headers).decode("ascii"),
        }
        return json.dumps(document, indent=1) + "\n"

    def check(self, params: NetworkParams) -> ProofResult:
        """What the proof shows on this network. Raises Failure or RuleError when it fails."""
        if self.network_id != params.network_id():
            raise Failure(
                f"the proof is of network {self.network[:32]!r} ({self.network_id.hex()[:16]}…),"
                f" the genesis file of {params.name!r} ({params.network_id().hex()[:16]}…)",
                "name the genesis file of the proof's network: --genesis FILE",
                code="network-mismatch",
            )
        if self.network != params.name:
            raise _bad(f"it calls the network {self.network[:32]!r}, its name is {params.name!r}")
        return verify_proof(self.proof, self._headers(), params, int(time.time()))

    def _headers(self) -> list[Header]:
        raw = self.headers
        return [
            decode_header(raw[start : start + HEADER_BYTES])
            for start in range(0, len(raw), HEADER_BYTES)
        ]


def load_proof(path: Path) -> ProofFile:
    """The proof in a file. Raises Failure for what is no proof, before it costs memory."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise Failure(f"{path}: no such file", exit_code=ExitCode.NOT_FOUND) from None
    if len(content) > MAX_FILE_BYTES:
        raise _bad(f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    try:
        document = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _bad(f"{path} is not JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict):
        raise _bad(f"{path} holds no JSON object")
    return decode_proof(document)


def decode_proof(document: Mapping[str, object]) -> ProofFile:
    """The proof that a JSON document is. Raises Failure naming the field at fault."""
    version = document.get("version")
    if document.get("format") != FORMAT or version is True or version != VERSION:
        raise _bad(f"it is not a {FORMAT} of version {VERSION}")
    if wrong := sorted(set(document) ^ _FIELDS):
        raise _bad(f"field {wrong[0][:40]!r} is {'unknown' if wrong[0] in document else 'missing'}")
    path = document["path"]
    if not isinstance(path, list) or len(path) > _MAX_PATH:
        raise _bad(f"path must be a list of at most {_MAX_PATH} hashes")
    headers = _base64(document["headers"])
    if not headers or len(headers) % HEADER_BYTES:
        raise _bad(f"headers are {len(headers)} bytes, not a multiple of {HEADER_BYTES}")
    network = document["network"]
    if not isinstance(network, str):
        raise _bad("network must be a string")
    proof = TransactionProof(
        transaction=_hex("transaction", document["transaction"], 1, _MAX_TRANSACTION_BYTES),
        height=_integer("height", document["height"]),
        leaf_index=_integer("leaf_index", document["leaf_index"]),
        leaf_count=_integer("leaf_count", document["leaf_count"]),
        path=tuple(_hex("path", sibling, HASH_BYTES, HASH_BYTES) for sibling in path),
    )
    network_id = _hex("network_id", document["network_id"], HASH_BYTES, HASH_BYTES)
    return ProofFile(network, network_id, proof, headers)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _hex(name: str, value: object, least: int, most: int) -> bytes:
    if not isinstance(value, str) or not 2 * least <= len(value) <= 2 * most:
        raise _bad(f"{name} must be {least} to {most} bytes in hexadecimal")
    try:
        return binascii.unhexlify(value)
    except (ValueError, binascii.Error):
        raise _bad(f"{name} is not hexadecimal") from None


def _integer(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
        raise _bad(f"{name} must be an integer from 0 to {2**32 - 1}")
    return value


def _base64(value: object) -> bytes:
    if not isinstance(value, str):
        raise _bad("headers must be a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise _bad("headers are not base64") from None


def _bad(reason: str) -> Failure:
    return Failure(reason, "ask for the proof again: `cairn proof ID`", code="proof-invalid")


def explain_invalid(error: RuleError) -> Failure:
    """The failure that says a proof does not hold, and by which rule."""
    return Failure(
        f"the proof does not hold: {error.detail} ({error.rule.value})",
        "ask for the proof again: `cairn proof ID`",
        code="proof-invalid",
        numbers=error.numbers,
    )
