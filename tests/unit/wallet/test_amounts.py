"""Amounts as people write them, and as base units."""

import pytest

from cairn.wallet import WalletError, format_amount, parse_amount

_SAME = {
    "0": 0,
    "1": 10**8,
    "1.5": 150_000_000,
    "0.00000001": 1,
    "0.1": 10_000_000,
    "1234.56789012": 123_456_789_012,
    "184467440737.09551615": 2**64 - 1,
}


@pytest.mark.parametrize(("text", "units"), _SAME.items())
def test_reads_and_writes_exactly(text: str, units: int) -> None:
    assert parse_amount(text) == units
    assert format_amount(units).replace(",", "") == text


@pytest.mark.parametrize(
    ("text", "units"), [("1.50", 150_000_000), ("007", 7 * 10**8), ("0.10000000", 10**7)]
)
def test_reads_needless_zeros(text: str, units: int) -> None:
    assert parse_amount(text) == units


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1 ", " 1", "1.", ".5", ".", "1.2.3", "1,5", "1,000", "1_000", "+1", "-1"),
        *("1e3", "1E-3", "0x10", "nan", "inf", "Infinity", "١", "¹", "1\n", "1.5\u0660", "9" * 21),
    ],
)
def test_refuses_what_is_no_plain_number(text: str) -> None:
    with pytest.raises(WalletError, match="is no amount") as refusal:
        parse_amount(text)
    assert "0.25" in refusal.value.fix


def test_refuses_decimals_below_the_smallest_unit_even_zeros() -> None:
    for text in ("0.000000001", "1.123456789", "1.000000000"):
        with pytest.raises(WalletError, match="has 9 decimals"):
            parse_amount(text)


def test_refuses_more_than_64_bits() -> None:
    for text in ("184467440737.09551616", "99999999999999999999"):
        with pytest.raises(WalletError, match="more than can exist"):
            parse_amount(text)


def test_a_refusal_quotes_no_more_than_a_line() -> None:
    with pytest.raises(WalletError) as refusal:
        parse_amount("7" * 100_000)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (123_456_789_012_345_678, "1,234,567,890.12345678"),
        (100_000_000_000, "1,000"),
        (-150_000_000, "-1.5"),
        (-1, "-0.00000001"),
    ],
)
def test_writes_thousands_separators_and_differences(units: int, text: str) -> None:
    assert format_amount(units) == text
    assert format_amount(units, "CRN") == f"{text} CRN"
