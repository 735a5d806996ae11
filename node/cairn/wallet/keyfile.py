"""Key files: PKCS#8 in PEM, readable by their owner alone, never overwritten.

A key appears at its path whole or not at all: it is written beside it under a name of its
own, flushed to disk, and then linked into place, which fails when something is there.
"""

import os
import secrets
import shlex
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cairn.wallet.errors import WalletError
from cairn.wallet.keys import AccountKey

_MAX_KEY_FILE_BYTES = 16_384
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def save_key(path: Path, key: AccountKey, passphrase: str | None = None) -> None:
    """Writes `key` to a new file of mode 0600; its folder is made (0700) where missing.

    With a passphrase the file is encrypted. Raises WalletError when something is at `path`
    already, the passphrase is empty, or the folder cannot be written.
    """
    pem = _to_pem(key, passphrase)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _create_whole(path, pem)
    except FileExistsError:
        raise WalletError(
            f"{path} exists, and a key file is never overwritten",
            f"give another path, or set it aside: mv {_quoted(path)} {_quoted(path)}.old",
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def load_key(
    path: Path,
    passphrase: str | None = None,
    *,
    group_may_read: bool = False,
    all_may_read: bool = False,
) -> AccountKey:
    """The key in the file at `path`.

    `group_may_read` is for systemd's credentials, whose mode is 0440 where it grants the
    service's user access by an access control list; `all_may_read` for files that are not
    kept as they are, such as a browser's downloads.

    Raises WalletError when the file is missing, not a regular file, open to others than its
    owner, no PEM key, of another curve, or does not open with `passphrase`.
    """
    allowed_bits = _OTHERS if all_may_read else stat.S_IRGRP if group_may_read else 0
    pem = _read_private(path, allowed_bits)
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not passphrase:
        raise WalletError(f"{path} is encrypted", "give its passphrase")
    secret = passphrase.encode() if encrypted and passphrase else None
    try:
        loaded = load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if secret is not None:
            raise WalletError(
                f"{path} does not open with this passphrase", "give the one it was made with"
            ) from None
        raise WalletError(
            f"{path} holds no private key in PEM form",
            "restore it from your backup, or make another: cairn wallet new",
        ) from None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.name != "secp256r1":
        raise WalletError(
            f"{path} holds {_kind_of(loaded)}; accounts use P-256 (secp256r1)",
            "make one: cairn wallet new",
        )
    return AccountKey(loaded.private_numbers().private_value)


def _to_pem(key: AccountKey, passphrase: str | None) -> bytes:
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        if not passphrase:
            raise WalletError("an empty passphrase protects nothing", "give one, or none at all")
        encryption = BestAvailableEncryption(passphrase.encode())
    private_key = ec.derive_private_key(key.private_key, ec.SECP256R1())
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _create_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # else a crash may forget a key that money was already sent to
    finally:
        os.close(folder)


def _read_private(path: Path, allowed_bits: int) -> bytes:
    try:
        # non-blocking, so that a pipe in the key's place cannot hang the caller
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise WalletError(f"there is no key file at {path}", "make one: cairn wallet new") from None
    except OSError as error:
        raise WalletError(
            f"cannot read the key file {path}: {error.strerror}",
            f"run as its owner: ls -l {_quoted(path)}",
        ) from None
    try:
        _check_private(path, os.fstat(descriptor).st_mode & ~allowed_bits)
        content = os.read(descriptor, _MAX_KEY_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MAX_KEY_FILE_BYTES:
        raise WalletError(
            f"{path} is larger than any key file ({_MAX_KEY_FILE_BYTES} bytes)",
            "give the path of a key file",
        )
    return content


def _check_private(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise WalletError(f"{path} is not a regular file", "give the path of a key file")
    if mode & _OTHERS:
        raise WalletError(
            f"{path} is open to others than its owner (mode {mode & 0o777:04o})",
            f"chmod 600 {_quoted(path)}",
        )


def _unwritable(path: Path, error: OSError) -> WalletError:
    return WalletError(
        f"cannot write the key file {path}: {error.strerror}",
        f"use a folder you own: ls -ld {_quoted(path.parent)}",
    )


def _kind_of(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"a key of the curve {key.curve.name}"
    return "a key that is not of an elliptic curve for ECDSA"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
