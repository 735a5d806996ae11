"""`cairn doctor --self-check`: what it promises, and that each check can fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from cairn.cli import self_check as subject
from cairn.cli.failures import Failure
from cairn.cli.self_check import self_check

VECTORS = Path(__file__).parents[2] / "vectors"
CONFIG = '[node]\nname = "one"\n'


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def config_file(tmp_path: Path, text: str = CONFIG) -> str:
    file = tmp_path / "cairn.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_passes_here_and_leaves_nothing(tmp_path: Path) -> None:
    results = list(self_check(config_file(tmp_path)))
    assert [result.name for result in results] == [
        "imports",
        "vectors",
        "mining kernel",
        "configuration",
        "migrations",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["cairn.toml"]


def test_frozen_vectors_are_those_of_the_tests() -> None:
    transaction, block = vectors("transactions")[0], vectors("blocks")[1]
    address, network = vectors("addresses")[0], vectors("networks")[0]
    assert network["network_id"] == subject.REGTEST_ID == transaction["network_id"]
    assert (address["public_key"], address["cairn"]) == (subject.PUBLIC_KEY, subject.ADDRESS)
    assert transaction["raw"] == subject.TRANSACTION
    assert transaction["id"] == subject.TRANSACTION_ID
    assert block["network_id"] == subject.BLOCK_NETWORK_ID
    assert (block["raw"], block["hash"]) == (subject.BLOCK, subject.BLOCK_HASH)


def test_another_network_id_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BLOCK_HASH", "00" * 32)
    with pytest.raises(Failure, match="vectors: the block hash"):
        list(self_check(config_file(tmp_path)))


def test_a_bad_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"(?s)configuration: .*node\.nmae: unknown key"):
        list(self_check(config_file(tmp_path, '[node]\nnmae = "one"\n')))
