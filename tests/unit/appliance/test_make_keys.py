"""The program that makes a server's keys, without the node's code: the node must accept them."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from cairn.network.keys import load_curve_keys
from cairn.wallet import load_key

PROGRAM = Path(__file__).parents[3] / "roles" / "node" / "files" / "make-keys"


def make_keys(folder: Path, *arguments: str) -> Any:
    command = [sys.executable, "-Es", str(PROGRAM), str(folder), *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_the_node_reads_what_was_made(tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    assert made["changed"] == ["account", "curve", "operator"]
    assert load_curve_keys(tmp_path / "curve.key").public == made["curve_public"]
    assert len(load_key(tmp_path / "account.pem").address) == 20
    assert len((tmp_path / "operator.token").read_text().strip()) >= 16
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_many_pairs_are_sound(tmp_path: Path) -> None:
    for number in range(20):  # a wrong digit of base 85 would show in some
        folder = tmp_path / str(number)
        folder.mkdir()
        public = make_keys(folder)["curve_public"]
        assert load_curve_keys(folder / "curve.key").public == public


def test_what_is_there_stays(tmp_path: Path) -> None:
    first = make_keys(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert make_keys(tmp_path) == {"changed": [], "curve_public": first["curve_public"]}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_asking_makes_nothing(tmp_path: Path) -> None:
    assert make_keys(tmp_path, "--show")["changed"] == ["account", "curve", "operator"]
    assert not list(tmp_path.iterdir())


def test_a_replaced_key_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    first = make_keys(tmp_path)
    old = (tmp_path / "curve.key").read_bytes()
    second = make_keys(tmp_path, "--replace", "curve")
    assert second["changed"] == ["curve"]
    assert second["curve_public"] != first["curve_public"]
    (kept,) = tmp_path.glob("curve.key.*")
    assert kept.read_bytes() == old
