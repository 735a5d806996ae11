// Targets and the schedule of difficulty (ASERT), as consensus has them: integers only.

const RADIX_BITS = 16n;
const MAX_TARGET = 2n ** 256n;

/** The target of compact bits (a number). Throws for what is no canonical form. */
export function bitsToTarget(bits) {
  const exponent = bits >>> 24;
  const mantissa = BigInt(bits & 0x7fffff);
  const target = exponent <= 3
    ? mantissa >> BigInt(8 * (3 - exponent))
    : mantissa << BigInt(8 * (exponent - 3));
  const sound = !(bits & 0x800000) && target > 0n && target < MAX_TARGET;
  if (!sound || targetToBits(target) !== bits) throw new Error("bits that no target has");
  return target;
}

function targetToBits(target) {
  let size = Math.ceil(target.toString(16).length / 2);
  let mantissa = Number(
    size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)),
  );
  if (mantissa & 0x800000) {
    mantissa >>= 8;
    size++;
  }
  return size * 2 ** 24 + mantissa;
}

/** Expected hashes to meet these bits. */
export const workOf = (bits) => MAX_TARGET / (bitsToTarget(bits) + 1n);

/** 65536 · 2^(fraction/65536), by the specification's cubic. */
function powerOfTwo(fraction) {
  const cubic = 195766423245049n * fraction + 971821376n * fraction ** 2n + 5127n * fraction ** 3n;
  return 65536n + ((cubic + 2n ** 47n) >> 48n);
}

/** Bits of the block after the one at `height` (a number) of timestamp `time` (BigInt). */
export function nextBits(height, time, genesis) {
  const interval = BigInt(genesis.target_interval_seconds);
  // The anchor is genesis, and its parent would be one interval older.
  const passed = time - (BigInt(genesis.genesis_time) - interval);
  const delay = passed - interval * BigInt(height + 1);
  const scaled = (delay < 0n ? -delay : delay) << RADIX_BITS;
  const halfLives = scaled / BigInt(genesis.half_life_seconds);
  const exponent = delay < 0n ? -halfLives : halfLives;
  const shifts = (exponent >> RADIX_BITS) - RADIX_BITS;
  if (shifts > 256n) return genesis.target_limit;
  const raw = bitsToTarget(genesis.initial_target) * powerOfTwo(exponent & 0xffffn);
  const target = shifts >= 0n ? raw << shifts : raw >> -shifts;
  const limit = bitsToTarget(genesis.target_limit);
  const least = target > 1n ? target : 1n;
  return targetToBits(least < limit ? least : limit);
}
