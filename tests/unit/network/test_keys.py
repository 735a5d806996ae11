"""The CURVE key file: private, complete or absent, and checked when it is read."""

import stat
from pathlib import Path

import pytest
import zmq

from cairn.network.keys import (
    CurveKeyError,
    generate_curve_keys,
    is_curve_key,
    load_curve_keys,
    load_or_create_curve_keys,
)


def test_makes_a_private_file_once(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "curve.key"
    keys = load_or_create_curve_keys(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_create_curve_keys(file) == keys == load_curve_keys(file)
    assert zmq.curve_public(keys.secret.encode()).decode() == keys.public
    assert [path.name for path in file.parent.iterdir()] == ["curve.key"]


def test_secret_is_not_shown() -> None:
    keys = generate_curve_keys()
    assert keys.secret not in repr(keys)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_refuses_a_file_others_may_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "curve.key"
    load_or_create_curve_keys(file)
    file.chmod(mode)
    with pytest.raises(CurveKeyError, match="chmod 600"):
        load_curve_keys(file)


@pytest.mark.parametrize("damage", ["", "x", "cairn-curve-v1 short short\n"])
def test_refuses_a_damaged_file(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "curve.key"
    file.write_text(damage)
    file.chmod(0o600)
    with pytest.raises(CurveKeyError, match="not a CURVE key pair"):
        load_or_create_curve_keys(file)


def test_refuses_a_public_key_of_another_pair(tmp_path: Path) -> None:
    file = tmp_path / "curve.key"
    keys, others = load_or_create_curve_keys(file), generate_curve_keys()
    file.write_text(file.read_text().replace(keys.public, others.public))
    with pytest.raises(CurveKeyError, match="not a CURVE key pair"):
        load_curve_keys(file)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CurveKeyError, match="no such file"):
        load_curve_keys(tmp_path / "curve.key")


def test_knows_a_key_from_other_text() -> None:
    key = generate_curve_keys().public
    assert is_curve_key(key)
    assert not is_curve_key(key[:-1])
    assert not is_curve_key(key[:-1] + '"')  # not in Z85's alphabet
    assert not is_curve_key("#" * 40)  # each group above 2^32
    assert not is_curve_key("é" * 40)
