"""Wallets on this machine: key files by name in a folder, or by path anywhere.

An encrypted key file hides its public key as well, so `NAME.pub` beside it keeps that in the
open: who may read the folder can list balances, and still cannot spend.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from cairn.cli.failures import ExitCode, Failure
from cairn.consensus.crypto import address_of
from cairn.wallet import AccountKey, WalletError, load_key, save_key

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SUFFIX = ".pem"
_MAX_FILE_BYTES = 16_384
_MAX_PASSPHRASE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Wallet:
    """A key file, and the public key as far as it can be seen without a passphrase."""

    name: str
    path: Path
    is_encrypted: bool
    public_key: bytes | None
    """33 bytes; None when the file is encrypted and has no `.pub` beside it."""

    @property
    def address(self) -> bytes | None:
        """20 bytes."""
        return address_of(self.public_key) if self.public_key else None


def wallet_folder(given: str | None) -> Path:
    """Where named wallets are: as given, else under the user's configuration folder."""
    if given:
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "cairn" / "wallets"


def wallet_path(text: str, folder: Path) -> Path:
    """The file that `text` (a name, or a path with a slash or `.pem`) means, there or not."""
    if os.sep in text or text.endswith(_SUFFIX):
        return Path(text)
    if not _NAME.fullmatch(text):
        raise Failure(
            f"{text[:80]!r} is no wallet name",
            "use at most 64 letters, digits, '-' and '_', or give a path to a .pem file",
            exit_code=ExitCode.USAGE,
        )
    return folder / f"{text}{_SUFFIX}"


def find_wallet(text: str, folder: Path) -> Wallet:
    """The wallet of this name or path. Raises Failure when there is none."""
    path = wallet_path(text, folder)
    if not path.exists():
        raise Failure(
            f"there is no wallet {text} ({path})",
            f"see which there are: cairn wallet list; or make it: cairn wallet new {text}",
            exit_code=ExitCode.NOT_FOUND,
        )
    return _inspect(path)


def list_wallets(folder: Path) -> list[Wallet | Failure]:
    """All named wallets by name; for a file that cannot be used, the failure that says why."""
    found: list[Wallet | Failure] = []
    try:
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
    except OSError as error:
        raise Failure(f"{folder} cannot be read: {error.strerror}") from None
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            found.append(_inspect(path))
        except WalletError as error:
            found.append(Failure(f"{path.stem}: {error.problem}", error.fix, code="wallet"))
    return found


def create_wallet(path: Path, key: AccountKey, passphrase: str | None) -> Wallet:
    """Writes a new key file and, when it is encrypted, its public key beside it."""
    save_key(path, key, passphrase)
    if passphrase is not None:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.public_key)
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _public_path(path).write_bytes(pem)
    return Wallet(path.stem, path, passphrase is not None, key.public_key)


def open_wallet(wallet: Wallet, passphrase_file: str | None) -> AccountKey:
    """The wallet's key; asks for the passphrase where one is needed and none was given."""
    if not wallet.is_encrypted:
        return load_key(wallet.path)
    key = load_key(wallet.path, read_passphrase(wallet.name, passphrase_file))
    if wallet.public_key not in (None, key.public_key):
        raise Failure(
            f"{_public_path(wallet.path)} is not the public key of {wallet.path.name}",
            f"remove it: rm {_public_path(wallet.path)}",
        )
    return key


def read_passphrase(name: str, passphrase_file: str | None) -> str:
    """The passphrase of an existing wallet, from a file or the keyboard."""
    if passphrase_file:
        return _passphrase_from(passphrase_file)
    _require_keyboard()
    given: str = click.prompt(f"Passphrase of {name}", hide_input=True, err=True)
    return given


def new_passphrase(name: str, passphrase_file: str | None) -> str:
    """A passphrase for a new wallet: from a file, or typed twice."""
    if passphrase_file:
        return _passphrase_from(passphrase_file)
    _require_keyboard()
    given: str = click.prompt(
        f"New passphrase for {name}", hide_input=True, confirmation_prompt="Once more", err=True
    )
    return given


def _passphrase_from(file: str) -> str:
    try:
        with click.open_file(file, "rb") as stream:
            content: bytes = stream.read(_MAX_PASSPHRASE_BYTES + 1)
        passphrase = content.decode().split("\n", 1)[0].rstrip("\r")
    except OSError as error:
        raise Failure(f"the passphrase file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"the passphrase file {file} is no text") from None
    if not passphrase or len(content) > _MAX_PASSPHRASE_BYTES:
        raise Failure(f"the passphrase file {file} must begin with a line that is the passphrase")
    return passphrase


def _require_keyboard() -> None:
    if not sys.stdin.isatty():
        raise Failure(
            "a passphrase is needed, and there is no terminal to ask at",
            "give it in a file: --passphrase-file FILE",
            exit_code=ExitCode.USAGE,
        )


def _inspect(path: Path) -> Wallet:
    """Looks at a key file. Raises WalletError when it is none."""
    if not is_encrypted(path):
        return Wallet(path.stem, path, is_encrypted=False, public_key=load_key(path).public_key)
    return Wallet(path.stem, path, is_encrypted=True, public_key=_read_public(path))


def is_encrypted(path: Path) -> bool:
    """Whether the file is a key under a passphrase; False for what is no key file at all."""
    try:
        if not path.is_file():  # a pipe in its place must not hang us
            return False
        with path.open("rb") as file:
            return b"ENCRYPTED" in file.read(_MAX_FILE_BYTES)
    except OSError:
        return False  # load_key says what is wrong


def _public_path(path: Path) -> Path:
    return path.with_suffix(".pub")


def _read_public(path: Path) -> bytes | None:
    try:
        with _public_path(path).open("rb") as file:
            key = load_pem_public_key(file.read(_MAX_FILE_BYTES))
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        return None
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
