"""`cairn verify`: true proofs hold without a node; every field of one that lies is caught."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cairn.cli.app import cairn
from cairn.cli.proof_file import MAX_FILE_BYTES, ProofFile
from cairn.consensus.crypto import encode_address
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof import build_proof
from cairn.wallet import document_digest, notarization_data
from tests.support.builders import ChainBuilder, genesis_text, make_key, make_params

HEADER = 96


class Case:
    """A notarized document on a chain of seven blocks, its proof, and the genesis file."""

    def __init__(self, folder: Path) -> None:
        self.document = folder / "contract.txt"
        self.document.write_text("We agree.\n")
        self.genesis = folder / "genesis.toml"
        self.proof_file = folder / "contract.txt.cairn-proof.json"
        self.chain = ChainBuilder()
        self.params: NetworkParams = self.chain.params
        self.genesis.write_text(genesis_text(self.params))
        data = notarization_data(document_digest(self.document))
        for height in range(1, 8):
            transactions = []
            for number in range(height % 4):
                note = data if (height, number) == (3, 1) else b"other"
                key = make_key(number)
                transactions.append(self.chain.send(key, key.address, 0, data=note))
            self.chain.mine(transactions)
        self.block = self.chain.blocks[2]
        proof = build_proof(self.block, 1)
        headers = b"".join(block.header.encode() for block in self.chain.blocks)
        file = ProofFile(self.params.name, self.params.network_id(), proof, headers)
        self.document_json: dict[str, Any] = json.loads(file.encode())
        self.write(self.document_json)

    def write(self, document: object) -> None:
        """Replaces the proof file's content."""
        self.proof_file.write_text(json.dumps(document))

    def verify(self, *more: str) -> Result:
        """`cairn verify` of document and proof."""
        command = ["verify", str(self.document), str(self.proof_file)]
        return CliRunner().invoke(cairn, [*command, "--genesis", str(self.genesis), *more])


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_a_true_proof_says_who_when_and_where(case: Case) -> None:
    result = case.verify("--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    transaction = case.block.transactions[1]
    assert told["verified"] is True
    assert told["transaction_id"] == transaction.id.hex()
    assert told["sender"] == encode_address(case.params.address_prefix, make_key(1).address)
    assert told["block"] == {
        "hash": case.block.hash.hex(),
        "height": 3,
        "timestamp": case.block.header.timestamp,
    }
    assert told["confirmations"] == 5
    people = case.verify()
    assert people.exit_code == 0
    assert told["sender"] in people.stdout
    assert case.block.hash.hex() in people.stdout


def test_a_changed_document_is_not_what_was_notarized(case: Case) -> None:
    case.document.write_text("We agree!\n")
    result = case.verify()
    assert result.exit_code == 1
    assert "not about this file" in result.stderr


def _flip_hex(text: str, at: int = 10) -> str:
    return text[:at] + format(int(text[at], 16) ^ 1, "x") + text[at + 1 :]


def _headers(change: Callable[[bytearray], bytes | bytearray]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        return base64.b64encode(bytes(change(bytearray(base64.b64decode(text))))).decode()

    return apply


def _flip_byte(at: int) -> Callable[[bytearray], bytearray]:
    def flip(raw: bytearray) -> bytearray:
        raw[at] ^= 1
        return raw

    return flip


TAMPERED: list[tuple[str, Callable[[Any], Any]]] = [
    ("format", lambda value: "other-proof"),
    ("version", lambda value: 2),
    ("version", lambda value: True),
    ("network", lambda value: "mainnet"),
    ("network", lambda value: 3),
    ("network_id", _flip_hex),
    ("network_id", lambda value: value[:-2]),
    ("transaction", _flip_hex),
    ("transaction", lambda value: _flip_hex(value, len(value) - 1)),
    ("transaction", lambda value: value + "00"),
    ("transaction", lambda value: ""),
    ("transaction", lambda value: "zz" * 200),
    ("height", lambda value: value + 1),
    ("height", lambda value: 0),
    ("height", lambda value: -1),
    ("height", lambda value: 10**30),
    ("height", lambda value: "3"),
    ("height", lambda value: 3.0),
    ("height", lambda value: True),
    ("leaf_index", lambda value: value + 1),
    ("leaf_index", lambda value: 0),
    ("leaf_index", lambda value: -1),
    ("leaf_count", lambda value: 1),
    ("leaf_count", lambda value: 2**31),
    ("path", lambda value: []),
    ("path", lambda value: [*value, value[0]]),
    ("path", lambda value: value[::-1]),
    ("path", lambda value: [_flip_hex(value[0]), *value[1:]]),
    ("path", lambda value: ["00", *value[1:]]),
    ("path", lambda value: [None]),
    ("path", lambda value: value * 40),
    ("path", lambda value: "x"),
    ("headers", lambda value: ""),
    ("headers", lambda value: value[:-1]),
    ("headers", lambda value: "%%%%"),
    ("headers", lambda value: 5),
    ("headers", _headers(lambda raw: raw[: 2 * HEADER])),
    ("headers", _headers(lambda raw: raw[HEADER:])),
    ("headers", _headers(lambda raw: raw[:-1])),
    ("headers", _headers(lambda raw: raw[HEADER:] + raw[:HEADER])),
    *[("headers", _headers(_flip_byte(2 * HEADER + at))) for at in (0, 5, 20, 50, 75, 82, 86, 95)],
    *[("headers", _headers(_flip_byte(6 * HEADER + at))) for at in (5, 20, 82)],
]


@pytest.mark.parametrize(
    ("field", "change"), TAMPERED, ids=[f"{at}-{name}" for at, (name, _) in enumerate(TAMPERED)]
)
def test_a_proof_tampered_with_does_not_hold(
    case: Case, field: str, change: Callable[[Any], Any]
) -> None:
    lie = {**case.document_json, field: change(case.document_json[field])}
    assert repr(lie) != repr(case.document_json)  # 1, 1.0 and True are equal, yet not the same
    case.write(lie)
    result = case.verify()
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error (")


@pytest.mark.parametrize("field", ["format", "network_id", "transaction", "headers", "path"])
def test_a_proof_without_a_field_is_none(case: Case, field: str) -> None:
    case.write({name: value for name, value in case.document_json.items() if name != field})
    assert case.verify().exit_code == 1


def test_unknown_and_repeated_fields_are_refused(case: Case) -> None:
    case.write({**case.document_json, "extra": 1})
    assert "unknown" in case.verify().stderr
    text = json.dumps(case.document_json)
    case.proof_file.write_text('{"height": 1, ' + text[1:])
    assert "twice" in case.verify().stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 100, b"\xff\xfe", b"[]", b"3", b"null", b"[" * 100_000, b'{"a":', b"NaN"],
)
def test_garbage_is_no_proof(case: Case, content: bytes) -> None:
    case.proof_file.write_bytes(content)
    result = case.verify()
    assert result.exit_code == 1
    assert "proof-invalid" in result.stderr


def test_a_huge_file_is_refused_by_its_size(case: Case) -> None:
    with case.proof_file.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 10)  # sparse: takes no room
    result = case.verify()
    assert result.exit_code == 1
    assert "larger than" in result.stderr


def test_a_proof_of_another_network_is_named_so(case: Case) -> None:
    case.genesis.write_text(genesis_text(make_params(genesis_time=1_600_000_000)))
    result = case.verify()
    assert result.exit_code == 1
    assert "proof-invalid" in result.stderr or "network-mismatch" in result.stderr


def test_verify_asks_which_network(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAIRN_GENESIS", raising=False)
    command = ["verify", str(case.document), str(case.proof_file)]
    result = CliRunner().invoke(cairn, command)
    assert result.exit_code == 2
    assert "--genesis" in result.stderr


def test_missing_files_end_with_4(case: Case) -> None:
    case.document.unlink()
    assert case.verify().exit_code == 4
    case.document.write_text("We agree.\n")
    case.proof_file.unlink()
    assert case.verify().exit_code == 4
