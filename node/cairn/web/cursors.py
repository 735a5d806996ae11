"""Where a list goes on, as text that clients pass back. Opaque to them, checked here."""

import re

from cairn.consensus.encoding import ADDRESS_BYTES, HASH_BYTES
from cairn.storage.answers import PoolOrder
from cairn.web.problems import ApiProblem

_MAX_NUMBER = 2**63 - 1
_MAX_DIGITS = 19
_HEX = re.compile(r"[0-9a-f]*")


def encode_cursor(values: tuple[int | bytes, int | bytes]) -> str:
    """Two values: numbers in decimal, bytes in hex."""
    return "-".join(value.hex() if isinstance(value, bytes) else str(value) for value in values)


def history_cursor(text: str | None) -> tuple[int, int] | None:
    """Height and position."""
    if text is None:
        return None
    height, position = _split(text)
    return _number(height), _number(position)


def pool_cursor(text: str | None, order: PoolOrder) -> tuple[int | bytes, int | bytes] | None:
    """As `WaitingTransaction.cursor` gives it."""
    if text is None:
        return None
    first, second = _split(text)
    if order is PoolOrder.SENDER:
        return _bytes(first, ADDRESS_BYTES), _number(second)
    return _number(first), _bytes(second, HASH_BYTES)


def fork_cursor(text: str | None) -> tuple[int, bytes] | None:
    """Height and hash of a branch's tip."""
    if text is None:
        return None
    height, tip = _split(text)
    return _number(height), _bytes(tip, HASH_BYTES)


def number_cursor(text: str | None) -> int | None:
    """A number by itself."""
    return None if text is None else _number(text)


def _split(text: str) -> tuple[str, str]:
    first, separator, second = text.partition("-")
    if not separator:
        raise _bad_cursor()
    return first, second


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise _bad_cursor()
    value = int(text)
    if value > _MAX_NUMBER:
        raise _bad_cursor()
    return value


def _bytes(text: str, length: int) -> bytes:
    if len(text) != 2 * length or not _HEX.fullmatch(text):
        raise _bad_cursor()
    return bytes.fromhex(text)


def _bad_cursor() -> ApiProblem:
    return ApiProblem("value-out-of-range", "cursor is not the `next` of a page", field="cursor")
