// Amounts between people and base units, exactly: text and BigInt, never a float.

import { U64_MAX } from "./bytes.js";

const DECIMALS = 8;
const UNITS = 10n ** BigInt(DECIMALS);

/** Base units of coins such as `1.5`. Throws what is wrong, in words for people. */
export function parseAmount(text) {
  const compact = text.trim();
  if (!compact) throw new Error("Type a number of coins, such as 1.5.");
  const match = /^(\d{1,20})(?:\.(\d+))?$/.exec(compact);
  if (!match) throw new Error("Write it with digits and a dot, such as 1500 or 0.25.");
  const decimals = match[2] ?? "";
  if (decimals.length > DECIMALS) throw new Error(`At most ${DECIMALS} digits after the dot.`);
  const units = BigInt(match[1]) * UNITS + BigInt(decimals.padEnd(DECIMALS, "0"));
  if (units > U64_MAX) throw new Error("This is more than can exist.");
  return units;
}

/** Coins, with thousands separators unless `plain`, and no zeros at the end. */
export function formatAmount(units, plain = false) {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(DECIMALS + 1, "0");
  const whole = digits.slice(0, -DECIMALS);
  const rest = digits.slice(-DECIMALS).replace(/0+$/, "");
  const grouped = plain ? whole : whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return sign + grouped + (rest && `.${rest}`);
}
