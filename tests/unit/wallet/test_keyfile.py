"""Key files: private, whole, never overwritten, and refused in words that name the fix."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from cairn.wallet import WalletError, load_key, save_key
from tests.support.builders import make_key

KEY = make_key(0)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_private(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("passphrase", [None, "correct horse", "pässwörd", " "])
def test_loads_the_key_it_saved(tmp_path: Path, passphrase: str | None) -> None:
    path = tmp_path / "account.pem"
    save_key(path, KEY, passphrase)
    assert load_key(path, passphrase) == KEY


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_0600_and_a_new_folder_0700_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "keys" / "account.pem"
    before = os.umask(umask)
    try:
        save_key(path, KEY)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["account.pem"]


def test_the_file_is_pkcs8_that_other_programs_read(tmp_path: Path) -> None:
    save_key(tmp_path / "plain.pem", KEY)
    save_key(tmp_path / "locked.pem", KEY, "secret")
    plain, locked = ((tmp_path / name).read_bytes() for name in ("plain.pem", "locked.pem"))
    assert plain.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert locked.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    for pem, passphrase in ((plain, None), (locked, b"secret")):
        key = load_pem_private_key(pem, passphrase).public_key()
        assert key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint) == KEY.public_key


def test_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "account.pem"
    save_key(path, KEY)
    with pytest.raises(WalletError, match="never overwritten") as refusal:
        save_key(path, make_key(1))
    assert refusal.value.fix.endswith(f"mv {path} {path}.old")
    assert load_key(path) == KEY
    assert list(tmp_path.iterdir()) == [path]


def test_does_not_write_through_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "account.pem"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WalletError, match="never overwritten"):
        save_key(link, KEY)
    assert list(tmp_path.iterdir()) == [link]


def test_refuses_an_empty_passphrase(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="empty passphrase"):
        save_key(tmp_path / "account.pem", KEY, "")
    assert list(tmp_path.iterdir()) == []


def test_says_so_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WalletError, match="cannot write the key file"):
        save_key(tmp_path / "file" / "account.pem", KEY)


def test_names_the_command_that_makes_a_missing_key(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="there is no key file") as refusal:
        load_key(tmp_path / "absent.pem")
    assert "cairn wallet new" in refusal.value.fix


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o644, 0o660, 0o610, 0o666, 0o777])
def test_refuses_a_file_open_to_others_and_names_the_chmod(tmp_path: Path, open_mode: int) -> None:
    path = tmp_path / "my account.pem"
    save_key(path, KEY)
    path.chmod(open_mode)
    with pytest.raises(WalletError, match=f"mode {open_mode:04o}") as refusal:
        load_key(path)
    assert refusal.value.fix == f"chmod 600 '{path}'"
    assert refusal.value.fix in str(refusal.value)
    path.chmod(0o400)
    assert load_key(path) == KEY


def test_refuses_a_wrong_or_missing_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "account.pem"
    save_key(path, KEY, "right")
    with pytest.raises(WalletError, match="does not open with this passphrase"):
        load_key(path, "wrong")
    for nothing in (None, ""):
        with pytest.raises(WalletError, match="is encrypted") as refusal:
            load_key(path, nothing)
        assert "passphrase" in refusal.value.fix


def test_a_passphrase_is_not_needed_for_a_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "account.pem"
    save_key(path, KEY)
    assert load_key(path, "needless") == KEY


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1(), ec.SECP521R1()])
def test_refuses_a_key_of_another_curve(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    path = write_private(tmp_path / "other.pem", pem_of(ec.generate_private_key(curve)))
    with pytest.raises(WalletError, match=f"of the curve {curve.name}; accounts use P-256"):
        load_key(path)


def test_refuses_a_key_of_another_kind(tmp_path: Path) -> None:
    path = write_private(tmp_path / "ed.pem", pem_of(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(WalletError, match="not of an elliptic curve for ECDSA"):
        load_key(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        b"\xff" * 100,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        pem_of(ec.generate_private_key(ec.SECP256R1()))[:-60],
    ],
)
def test_refuses_what_is_no_private_key(tmp_path: Path, content: bytes) -> None:
    path = write_private(tmp_path / "account.pem", content)
    with pytest.raises(WalletError, match="no private key in PEM form"):
        load_key(path)


def test_refuses_a_file_too_large_to_be_a_key(tmp_path: Path) -> None:
    path = write_private(tmp_path / "account.pem", bytes(20_000))
    with pytest.raises(WalletError, match="larger than any key file"):
        load_key(path)


def test_refuses_a_folder_and_a_pipe_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path, pipe):
        with pytest.raises(WalletError, match="not a regular file"):
            load_key(path)


def test_no_refusal_shows_the_passphrase_or_the_key(tmp_path: Path) -> None:
    path = tmp_path / "account.pem"
    save_key(path, KEY, "hunter2 hunter2")
    with pytest.raises(WalletError) as refusal:
        load_key(path, "hunter3 hunter3")
    assert "hunter" not in str(refusal.value)
    assert refusal.value.__suppress_context__
