"""Targets, compact bits, work, and the ASERT difficulty schedule. Integers only.

ASERT is aserti3-2d as specified for Bitcoin Cash (2020-11-15): each block's target is an
exponential of how far the chain runs ahead of or behind its ideal schedule since the anchor.
"""

from cairn.consensus.errors import Rule, RuleError

_RADIX_BITS = 16
_MANTISSA_SIGN = 0x00800000


def bits_to_target(bits: int) -> int:
    """The target of compact `bits` (Bitcoin's nBits), 1 … 2^256-1.

    Raises RuleError `bits-invalid` for a negative, zero, overflowing or non-canonical form.
    """
    exponent, mantissa = bits >> 24, bits & 0x007FFFFF
    if not 0 <= bits < 2**32 or bits & _MANTISSA_SIGN:
        raise _bad_bits(bits, "negative")
    if exponent <= 3:
        target = mantissa >> 8 * (3 - exponent)
    else:
        target = mantissa << 8 * (exponent - 3)
    if target == 0:
        raise _bad_bits(bits, "zero")
    if target >= 2**256:
        raise _bad_bits(bits, "above 2^256")
    if target_to_bits(target) != bits:
        raise _bad_bits(bits, "not the shortest form of its target")
    return target


def target_to_bits(target: int) -> int:
    """Compact bits of a target 1 … 2^256-1, rounded down to 23 or more significant bits."""
    if not 0 < target < 2**256:
        raise ValueError("a target lies between 1 and 2^256-1")
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & _MANTISSA_SIGN:
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def work_of(bits: int) -> int:
    """Expected hashes to meet `bits`: floor(2^256 / (target + 1))."""
    return 2**256 // (bits_to_target(bits) + 1)


def check_proof_of_work(block_hash: bytes, bits: int) -> None:
    """Raises RuleError `proof-of-work` unless the hash, big-endian, is at most the target."""
    if int.from_bytes(block_hash, "big") > bits_to_target(bits):
        raise RuleError(
            Rule.PROOF_OF_WORK,
            f"hash {block_hash.hex()} is above the target of bits {bits:#010x}",
            bits=bits,
        )


def asert_bits(
    anchor_bits: int,
    anchor_height: int,
    anchor_parent_time: int,
    height: int,
    time: int,
    target_interval: int,
    half_life: int,
    limit_bits: int,
) -> int:
    """Bits of the block after the one at `height` with timestamp `time` (seconds).

    The anchor's target is the one due when blocks keep exactly to `target_interval`; it
    doubles (or halves) for every `half_life` seconds of delay (or hurry). Never easier than
    `limit_bits`, never below target 1.
    """
    delay = (time - anchor_parent_time) - target_interval * (height - anchor_height + 1)
    # Signed division truncates toward zero, as in the specification's C++.
    scaled = abs(delay) << _RADIX_BITS
    exponent = scaled // half_life if delay >= 0 else -(scaled // half_life)
    shifts, fraction = exponent >> _RADIX_BITS, exponent & 0xFFFF
    target = bits_to_target(anchor_bits) * _power_of_two(fraction)
    limit = bits_to_target(limit_bits)
    shifts -= _RADIX_BITS
    if shifts > 256:  # only a chain stalled for ages; spares a giant integer
        return limit_bits
    target = target << shifts if shifts >= 0 else target >> -shifts
    return target_to_bits(min(max(target, 1), limit))


def _power_of_two(fraction: int) -> int:
    """65536 · 2^(fraction/65536), the specification's cubic approximation."""
    cubic = 195766423245049 * fraction + 971821376 * fraction**2 + 5127 * fraction**3
    return 65536 + ((cubic + 2**47) >> 48)


def _bad_bits(bits: int, why: str) -> RuleError:
    return RuleError(Rule.BITS_INVALID, f"bits {bits:#010x} are {why}", bits=bits)
