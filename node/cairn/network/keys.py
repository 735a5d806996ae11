"""The CURVE key pair that encrypts a node's connections, and the file that keeps it."""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import zmq

Z85_KEY_CHARACTERS = 40
_Z85_ALPHABET = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
)
_Z85_CHARACTERS = frozenset(_Z85_ALPHABET)
_FORMAT = re.compile(r"cairn-curve-v1 ([!-~]{40}) ([!-~]{40})\n")


class CurveKeyError(Exception):
    """A key file cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class CurveKeyPair:
    """A Curve25519 key pair in Z85, 40 characters each. Its repr never shows the secret."""

    public: str
    secret: str = field(repr=False)


def generate_curve_keys() -> CurveKeyPair:
    """A new pair from the system's randomness."""
    public, secret = zmq.curve_keypair()
    return CurveKeyPair(public.decode("ascii"), secret.decode("ascii"))


def load_curve_keys(file: Path, *, group_may_read: bool = False) -> CurveKeyPair:
    """The pair in `file`. Raises CurveKeyError: absent, readable by others, or damaged.

    `group_may_read` is for systemd's credentials, whose mode is 0440 where it grants the
    service's user access by an access control list.
    """
    allowed_bits = stat.S_IRGRP if group_may_read else 0
    try:
        with file.open(encoding="ascii") as stream:
            _check_private(file, os.fstat(stream.fileno()).st_mode & ~allowed_bits)
            text = stream.read(200)
    except FileNotFoundError:
        raise CurveKeyError(f"{file}: no such file; the listener makes one at start") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CurveKeyError(f"{file}: cannot be read: {error}") from None
    match = _FORMAT.fullmatch(text)
    sound = match is not None and is_curve_key(match[1]) and is_curve_key(match[2])
    if match is None or not sound or _public_of(match[2]) != match[1]:
        raise CurveKeyError(
            f"{file}: not a CURVE key pair; restore it from a backup, or remove it and start "
            "again (peers that list the old key must then list the new one)"
        )
    return CurveKeyPair(match[1], match[2])


def load_or_create_curve_keys(file: Path) -> CurveKeyPair:
    """The pair in `file`, made first (0600, complete or not at all) when there is none."""
    if not file.exists():
        keys = generate_curve_keys()
        try:
            _write_new(file, f"cairn-curve-v1 {keys.public} {keys.secret}\n")
        except FileExistsError:
            pass  # another process was quicker: its pair counts
        except OSError as error:
            raise CurveKeyError(f"{file}: cannot be made: {error}") from None
    return load_curve_keys(file)


def is_curve_key(text: str) -> bool:
    """Whether the text is 32 bytes in Z85."""
    if len(text) != Z85_KEY_CHARACTERS or not set(text) <= _Z85_CHARACTERS:
        return False
    groups = (text[start : start + 5] for start in range(0, Z85_KEY_CHARACTERS, 5))
    return all(_z85_value(group) < 2**32 for group in groups)


def _z85_value(group: str) -> int:
    value = 0
    for character in group:
        value = value * 85 + _Z85_ALPHABET.index(character)
    return value


def _public_of(secret: str) -> str:
    return zmq.curve_public(secret.encode("ascii")).decode("ascii")


def _check_private(file: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise CurveKeyError(f"{file}: others may read it; run: chmod 600 {file}")
    if not stat.S_ISREG(mode):
        raise CurveKeyError(f"{file}: not a regular file")


def _write_new(file: Path, text: str) -> None:
    """Writes beside the target and links it into place: no reader ever sees half a file."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)  # unlike rename, refuses to replace
    finally:
        draft.unlink()
