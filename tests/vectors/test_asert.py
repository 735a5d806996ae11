"""The published runs of aserti3-2d, where the folder with them lies beside the checkout."""

from pathlib import Path

import pytest

from cairn.consensus.proof_of_work import asert_bits, target_to_bits

_CHECKOUT = Path(__file__).resolve().parents[2]
_RUNS = _CHECKOUT.parent / "shared" / "vectors" / "asert"
_INTERVAL_SECONDS = 600
_HALF_LIFE_SECONDS = 172_800
_LIMIT_BITS = 0x1D00FFFF


@pytest.mark.skipif(not _RUNS.is_dir(), reason="no folder shared/vectors/asert beside the checkout")
@pytest.mark.parametrize("number", range(1, 11))
def test_follows_published_run(number: int) -> None:
    text = (_RUNS / f"run{number:02}").read_text()
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("##")]
    header = dict(line.split(": ", 1) for line in comments)
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert len(rows) == int(header["iterations"]) > 0
    for _, height, time, bits in rows:
        found = asert_bits(
            anchor_bits=int(header["anchor nBits"], 16),
            anchor_height=int(header["anchor height"]),
            anchor_parent_time=int(header["anchor ancestor time"]),
            height=int(height),
            time=int(time),
            target_interval=_INTERVAL_SECONDS,
            half_life=_HALF_LIFE_SECONDS,
            limit_bits=_LIMIT_BITS,
        )
        assert f"{found:#010x}" == bits, f"height {height}"


# Figures that follow from the specification alone, so that the schedule is checked even
# where the published runs are absent.


def _bits_after(height: int, time: int, anchor_bits: int = 0x1B00FFFF) -> int:
    return asert_bits(
        anchor_bits, 0, -_INTERVAL_SECONDS, height, time, 600, _HALF_LIFE_SECONDS, _LIMIT_BITS
    )


def test_keeps_the_anchor_target_on_schedule() -> None:
    for height in (0, 1, 1_000, 10**6):
        assert _bits_after(height, 600 * height) == 0x1B00FFFF


def test_doubles_the_target_one_half_life_late() -> None:
    assert _bits_after(10, 6_000 + _HALF_LIFE_SECONDS, 0x1A7FFF00) == 0x1B00FFFE


def test_halves_the_target_one_half_life_early() -> None:
    assert _bits_after(1_000, 600_000 - _HALF_LIFE_SECONDS, 0x1B00FFFE) == 0x1A7FFF00


def test_never_exceeds_the_limit_however_late() -> None:
    for delay in (10**7, 10**9, 2**63):
        assert _bits_after(1, delay) == _LIMIT_BITS


def test_never_falls_below_target_one_however_early() -> None:
    assert _bits_after(2**32, 0) == 0x01010000


def test_truncates_a_negative_exponent_toward_zero() -> None:
    # One second early scales to -65536 / 172800 = -0.379…, which truncates to 0; rounding
    # down would give -1 and another target.
    assert _bits_after(1, 599) == 0x1B00FFFF
    assert _bits_after(1, 597) != 0x1B00FFFF  # -1.13… truncates to -1


def test_counts_two_hundred_doublings_exactly() -> None:
    easiest = 0x207FFFFF
    bits = asert_bits(0x01010000, 0, -600, 0, 200 * _HALF_LIFE_SECONDS, 600, 172_800, easiest)
    assert bits == target_to_bits(2**200)


@pytest.mark.parametrize(
    ("height", "time", "bits"),
    [
        (2, 1_200, 0x1802AEE8),
        (3, 1_310, 0x1802AD91),
        (4, 1_327, 0x1802ABF8),
        (8, 2_746, 0x1802A94B),
        (9, 7_099, 0x1802B39C),
        (13, 8_816, 0x1802B1B7),
    ],
)
def test_follows_rows_of_published_run_6(height: int, time: int, bits: int) -> None:
    assert asert_bits(0x1802AEE8, 1, 0, height, time, 600, 172_800, _LIMIT_BITS) == bits
