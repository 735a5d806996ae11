"""Amounts between people and base units, exactly: text and integers, never a float."""

import re

from cairn.consensus.encoding import U64_MAX
from cairn.consensus.params import UNITS_PER_COIN
from cairn.wallet.errors import WalletError

_DECIMALS = len(str(UNITS_PER_COIN)) - 1
_AMOUNT = re.compile(r"([0-9]{1,20})(?:\.([0-9]+))?")


def parse_amount(text: str) -> int:
    """Base units of an amount in coins such as `1.5`.

    Digits with at most one dot and 8 decimals. Signs, exponents, separators and whatever
    would need rounding raise WalletError, as does more than fits 64 bits.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise WalletError(
            f"{text[:40]!r} is no amount", "write coins with digits and a dot, such as 1500 or 0.25"
        )
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > _DECIMALS:
        raise WalletError(
            f"{text[:40]!r} has {len(decimals)} decimals, the smallest unit is the {_DECIMALS}th"
        )
    units = int(whole) * UNITS_PER_COIN + int(decimals.ljust(_DECIMALS, "0"))
    if units > U64_MAX:
        raise WalletError(f"{text[:40]!r} is more than can exist")
    return units


def format_amount(units: int, symbol: str = "") -> str:
    """Coins with thousands separators and no trailing zeros, as in `1,234.5 CRN`.

    `units` may be negative (a difference). Without separators, `parse_amount` reads it back.
    """
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), UNITS_PER_COIN)
    decimals = f"{rest:0{_DECIMALS}d}".rstrip("0")
    text = f"{sign}{whole:,}" + (f".{decimals}" if decimals else "")
    return f"{text} {symbol}" if symbol else text
