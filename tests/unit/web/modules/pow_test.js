// Compact bits, work and the schedule of difficulty, by published figures.

import assert from "node:assert/strict";

import { bitsToTarget, nextBits, workOf } from "../../../../node/cairn/web/static/js/pow.js";

// Bitcoin's genesis and limit, its developer reference's example, regtest; then arith_uint256's
// own tests; then the ends of the range.
const CANONICAL = [
  [0x1d00ffff, 0xffffn << 208n],
  [0x1b0404cb, 0x404cbn << 192n],
  [0x207fffff, 0x7fffffn << 232n],
  [0x02008000, 0x80n],
  [0x03123456, 0x123456n],
  [0x04123456, 0x12345600n],
  [0x05009234, 0x92340000n],
  [0x20123456, 0x123456n << 232n],
  [0x01010000, 1n],
  [0x017f0000, 0x7fn],
  [0x2100ffff, 0xffffn << 240n],
];

const INVALID = {
  zero: [0, 0x01000000, 0x01003456, 0x02000056, 0x03000000, 0x04000000, 0x00123456],
  negative: [0x00923456, 0x01803456, 0x02800056, 0x03800000, 0x04800000, 0x01fedcba, 0x04923456],
  "above 2^256": [0x21010000, 0x22000100, 0x23000001, 0xff123456, 0xff7fffff, 0xffffffff],
  "not the shortest": [
    ...[0x01123456, 0x02123456, 0x04000001, 0x1d00007f, 0x1e0000ff, 0x220000ff, 0x02007f00],
  ],
  "no 32-bit number": [-1, 2 ** 32, 2 ** 32 + 0x1d00ffff, 0x1d00ffff + 0.5, NaN, Infinity],
};

Deno.test("known bits give their targets", () => {
  for (const [bits, target] of CANONICAL) {
    assert.equal(bitsToTarget(bits), target, bits.toString(16));
  }
});

Deno.test("bits that no target has are refused, and have no work", () => {
  for (const [reason, many] of Object.entries(INVALID)) {
    for (const bits of many) {
      const words = `${reason}: ${bits.toString(16)}`;
      const refusal = { name: "Error", message: "bits that no target has" };
      assert.throws(() => bitsToTarget(bits), refusal, words);
      assert.throws(() => workOf(bits), refusal, words);
    }
  }
});

Deno.test("of all bits with one exponent, those in the shortest form are taken", () => {
  for (let top = 0; top < 0x100; top++) {
    const bits = 0x10000000 + top * 2 ** 16;
    if (top > 0 && top < 0x80) assert.equal(bitsToTarget(bits), BigInt(top) << 120n);
    else assert.throws(() => bitsToTarget(bits), /no target/, bits.toString(16));
  }
  assert.equal(bitsToTarget(0x10008000), 0x8000n << 104n);
  assert.throws(() => bitsToTarget(0x10007fff), /no target/);
});

Deno.test("work is the expected number of hashes", () => {
  assert.equal(workOf(0x1d00ffff), 0x100010001n); // the chain work of Bitcoin's genesis block
  assert.equal(workOf(0x207fffff), 2n);
  assert.equal(workOf(0x2100ffff), 1n);
  assert.equal(workOf(0x01010000), 2n ** 255n);
});

const HALF_LIFE = 172_800;

/** The schedule that ASERT was published with, anchored at a genesis of time 0. */
const bitsAfter = (height, time, anchor = 0x1b00ffff, limit = 0x1d00ffff) =>
  nextBits(height, BigInt(time), {
    "genesis_time": 0,
    "target_interval_seconds": 600,
    "half_life_seconds": HALF_LIFE,
    "initial_target": anchor,
    "target_limit": limit,
  });

Deno.test("a chain on its schedule keeps its difficulty", () => {
  for (const height of [0, 1, 1_000, 10 ** 6]) {
    assert.equal(bitsAfter(height, 600 * height), 0x1b00ffff);
  }
});

Deno.test("the target doubles a half-life late, and halves a half-life early", () => {
  assert.equal(bitsAfter(10, 6_000 + HALF_LIFE, 0x1a7fff00), 0x1b00fffe);
  assert.equal(bitsAfter(1_000, 600_000 - HALF_LIFE, 0x1b00fffe), 0x1a7fff00);
  assert.equal(bitsAfter(0, 200 * HALF_LIFE, 0x01010000, 0x207fffff), 0x1a010000);
});

Deno.test("fractions of a half-life follow the published cubic", () => {
  // Rows of the published run 6, its anchor at height 1 moved to height 0 here.
  const rows = [
    [2, 1_200, 0x1802aee8],
    [3, 1_310, 0x1802ad91],
    [4, 1_327, 0x1802abf8],
    [8, 2_746, 0x1802a94b],
    [9, 7_099, 0x1802b39c],
    [13, 8_816, 0x1802b1b7],
  ];
  for (const [height, time, bits] of rows) {
    assert.equal(bitsAfter(height - 1, time - 600, 0x1802aee8), bits, `height ${height}`);
  }
});

Deno.test("targets stay from 1 to the limit, however early or late", () => {
  for (const delay of [10n ** 7n, 10n ** 9n, 2n ** 63n, 2n ** 64n - 1n]) {
    assert.equal(bitsAfter(1, delay), 0x1d00ffff);
  }
  assert.equal(bitsAfter(2 ** 32, 0), 0x01010000);
});

Deno.test("an early chain's exponent is cut toward zero", () => {
  assert.equal(bitsAfter(1, 599), 0x1b00ffff); // -0.379… of a step is none, where rounding is one
  assert.equal(bitsAfter(1, 597), 0x1b00fffe);
});
