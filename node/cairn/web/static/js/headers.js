// Block headers, 96 bytes each, and the rules that a chain of them must keep.

import { toBigInt, toHex } from "./bytes.js";
import { bitsToTarget, nextBits, workOf } from "./pow.js";
import { sha256d } from "./sha256.js";

export const HEADER_BYTES = 96;
const MEDIAN_BLOCKS = 11;
const FUTURE_SECONDS = 120n;
const AT_ONCE = 1_000; // headers between two looks at what else the page has to do

/** The header at this height (1 and up) of headers that begin at height 1. */
export function headerAt(headers, height) {
  const raw = headers.subarray((height - 1) * HEADER_BYTES, height * HEADER_BYTES);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return {
    version: view.getUint32(0),
    height: view.getUint32(4),
    previous: toHex(raw.subarray(8, 40)),
    root: raw.subarray(40, 72),
    timestamp: view.getBigUint64(72),
    bits: view.getUint32(80),
    reserved: view.getUint32(84),
    hash: sha256d(raw),
  };
}

function median(times) {
  const sorted = [...times].sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  return sorted[Math.floor(sorted.length / 2)];
}

function must(condition, height, words) {
  if (!condition) throw new Error(`Block ${height.toLocaleString("en")} ${words}.`);
}

function checkHeader(header, height, parent, genesis, now) {
  must(header.version === 1 && header.reserved === 0, height, "is of an unknown version");
  must(header.previous === parent.hash, height, "does not follow the block before it");
  must(header.height === height, height, "says it has another height");
  const bits = nextBits(height - 1, parent.times.at(-1), genesis);
  must(header.bits === bits, height, "does not have the difficulty that was due");
  must(toBigInt(header.hash) <= bitsToTarget(bits), height, "lacks its proof of work");
  must(header.timestamp > median(parent.times), height, "is dated before the blocks before it");
  must(
    header.timestamp <= now + FUTURE_SECONDS,
    height,
    "is dated in the future, if this machine's clock is right",
  );
}

/**
 * Checks all headers from height 1 on against the network's definition. Throws at the first that
 * breaks a rule. Answers the work (BigInt) of those from `from` on; `progress` is told heights.
 */
export async function checkChain(headers, genesis, from, progress = () => {}) {
  const count = headers.length / HEADER_BYTES;
  const now = BigInt(Math.floor(Date.now() / 1000));
  let parent = { hash: genesis.hash, times: [BigInt(genesis.genesis_time)] };
  let work = 0n;
  for (let height = 1; height <= count; height++) {
    const header = headerAt(headers, height);
    checkHeader(header, height, parent, genesis, now);
    const times = [...parent.times, header.timestamp].slice(-MEDIAN_BLOCKS);
    parent = { hash: toHex(header.hash), times };
    if (height >= from) work += workOf(header.bits);
    if (height % AT_ONCE === 0) {
      progress(height);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  return work;
}
