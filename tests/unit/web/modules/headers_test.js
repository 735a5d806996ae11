// Headers and chains of them: the frozen chain holds, and each rule refuses what breaks it.

import assert from "node:assert/strict";

import { concat, fromHex, toHex, unsigned } from "../../../../node/cairn/web/static/js/bytes.js";
import {
  checkChain,
  HEADER_BYTES,
  headerAt,
} from "../../../../node/cairn/web/static/js/headers.js";
import { nextBits, workOf } from "../../../../node/cairn/web/static/js/pow.js";
import {
  blocks,
  EASY,
  flipped,
  frozenHeaders,
  mineChain,
  read,
  REGTEST,
  VECTOR_NET,
} from "./chain.js";

const TIP = 5;

const refused = (headers, height, words, genesis = VECTOR_NET) =>
  assert.rejects(checkChain(headers, genesis, 1), { message: `Block ${height} ${words}.` });

/** The same as `headers`, with these bytes at a place of the header at `height`. */
function patched(headers, height, at, bytes) {
  const other = headers.slice();
  other.set(bytes, (height - 1) * HEADER_BYTES + at);
  return other;
}

/** Runs `work` with the clock at this second. */
async function at(second, work) {
  const clock = Date.now;
  Date.now = () => second * 1000;
  try {
    return await work();
  } finally {
    Date.now = clock;
  }
}

Deno.test("a header's bytes are read at their places", () => {
  assert.equal(blocks.length, TIP);
  const headers = frozenHeaders();
  for (const { header, hash } of blocks) {
    const found = headerAt(headers, Number(header.height));
    assert.equal(found.version, Number(header.version));
    assert.equal(found.height, Number(header.height));
    assert.equal(found.previous, header.previous_hash);
    assert.equal(toHex(found.root), header.merkle_root);
    assert.equal(found.timestamp, BigInt(header.timestamp));
    assert.equal(found.bits, parseInt(header.bits, 16));
    assert.equal(found.reserved, 0);
    assert.equal(toHex(found.hash), hash);
  }
});

Deno.test("numbers are read big-endian and unsigned, in bytes that begin anywhere", () => {
  const raw = concat(
    unsigned(0x81020304, 4),
    unsigned(0xfffffffe, 4),
    new Uint8Array(32).fill(0xaa),
    new Uint8Array(32).fill(0xbb),
    unsigned(2n ** 64n - 2n, 8),
    unsigned(0xf0000001, 4),
    unsigned(0x80000000, 4),
    unsigned(1, 8),
  );
  const found = headerAt(concat(new Uint8Array(7), raw).subarray(7), 1);
  assert.equal(found.version, 0x81020304);
  assert.equal(found.height, 0xfffffffe);
  assert.equal(found.previous, "aa".repeat(32));
  assert.equal(toHex(found.root), "bb".repeat(32));
  assert.equal(found.timestamp, 2n ** 64n - 2n);
  assert.equal(found.bits, 0xf0000001);
  assert.equal(found.reserved, 0x80000000);
});

Deno.test("the genesis blocks' headers hash to the networks' ids", () => {
  for (const vector of read("networks")) {
    const header = headerAt(fromHex(vector.genesis_block), 1);
    assert.equal(toHex(header.hash), vector.network_id);
    assert.equal(header.previous, "00".repeat(32));
    assert.equal(header.bits, EASY);
  }
});

Deno.test("the frozen chain holds, and its work is counted from a block on", async () => {
  for (let from = 1; from <= TIP + 1; from++) {
    const work = await checkChain(frozenHeaders(), VECTOR_NET, from);
    assert.equal(work, 2n * BigInt(TIP + 1 - from));
  }
});

Deno.test("the chain of another network follows no genesis of this one", async () => {
  await refused(frozenHeaders(), 1, "does not follow the block before it", REGTEST);
  const headers = mineChain(REGTEST, [REGTEST.genesis_time + 1]);
  assert.equal(await checkChain(headers, REGTEST, 1), 2n);
  await refused(headers, 1, "does not follow the block before it");
  // Its id alone does not make it this network's chain: every other number counts as well.
  const hard = { ...VECTOR_NET, "initial_target": 0x1f00ffff };
  await refused(frozenHeaders(), 1, "does not have the difficulty that was due", hard);
});

Deno.test("headers stand in their order, whole and without a gap", async () => {
  const headers = frozenHeaders();
  const part = (first, last) => headers.slice((first - 1) * HEADER_BYTES, last * HEADER_BYTES);
  const words = "does not follow the block before it";
  await refused(part(2, TIP), 1, words);
  await refused(concat(part(1, 2), part(4, TIP)), 3, words);
  await refused(concat(part(1, 2), part(2, TIP)), 3, words);
  await refused(concat(part(1, 1), part(3, 3), part(2, 2)), 2, words);
});

Deno.test("versions of another time are refused", async () => {
  const headers = frozenHeaders();
  for (const height of [1, 3, TIP]) {
    for (const version of [0, 2, 0x01000000]) {
      const other = patched(headers, height, 0, unsigned(version, 4));
      await refused(other, height, "is of an unknown version");
    }
    for (const reserved of [1, 0x80000000]) {
      const other = patched(headers, height, 84, unsigned(reserved, 4));
      await refused(other, height, "is of an unknown version");
    }
  }
});

Deno.test("a header that says another height is refused", async () => {
  for (const height of [0, 1, 3, 2 ** 32 - 1]) {
    const headers = mineChain(VECTOR_NET, [1751241630, 1751241660], { 2: { height } });
    await refused(headers, 2, "says it has another height");
  }
});

Deno.test("a hash above the target is no proof of work", async () => {
  const time = VECTOR_NET.genesis_time;
  const headers = mineChain(VECTOR_NET, [time + 30, time + 60], { 2: { enough: false } });
  assert.ok(headerAt(headers, 2).hash[0] >= 0x80);
  await refused(headers, 2, "lacks its proof of work");
});

Deno.test("bits are those of the schedule, for an early chain's harder ones, too", async () => {
  const [early, late] = [1, 30].map((second) => VECTOR_NET.genesis_time + second);
  const harder = nextBits(1, BigInt(early), VECTOR_NET);
  assert.equal(harder, 0x207f4a3f);
  const chain = (bits, first) => mineChain(VECTOR_NET, [first, first + 30], { 2: { bits } });
  assert.equal(await checkChain(chain(harder, early), VECTOR_NET, 2), workOf(harder));
  const words = "does not have the difficulty that was due";
  await refused(chain(EASY, early), 2, words);
  await refused(chain(harder, late), 2, words);
  for (const bits of [0, 0x20ffffff, 0x2100ffff, 0x04000001]) {
    await refused(chain(bits, late), 2, words);
  }
});

// So late a chain has the easiest bits all along. Its dates get another digit on the way.
const LATE = { ...REGTEST, "genesis_time": 999_900_000 };
const dates = (count) =>
  Array.from({ length: count }, (_, i) => LATE.genesis_time + 10_000 * (i + 1));

Deno.test("a block is dated after the middle of the eleven before it", async () => {
  const times = dates(22);
  times[10] += 10_000_000; // far ahead, so that a twelfth or a missing eleventh would be noticed
  const words = "is dated before the blocks before it";
  for (const last of [LATE.genesis_time, times[15], times[16]]) {
    await refused(mineChain(LATE, [...times, last]), 23, words, LATE);
  }
  assert.equal(await checkChain(mineChain(LATE, [...times, times[16] + 1]), LATE, 23), 2n);
});

Deno.test("of an even number of blocks the later middle counts, genesis among them", async () => {
  const words = "is dated before the blocks before it";
  await refused(mineChain(LATE, [LATE.genesis_time]), 1, words, LATE);
  assert.equal(await checkChain(mineChain(LATE, [LATE.genesis_time + 1]), LATE, 1), 2n);
  const [first] = dates(1);
  await refused(mineChain(LATE, [first, first]), 2, words, LATE);
  assert.equal(await checkChain(mineChain(LATE, [first, first + 1]), LATE, 1), 4n);
});

Deno.test("a block may be dated two minutes ahead, and no second more", async () => {
  const headers = mineChain(LATE, dates(2));
  const [, tip] = dates(2);
  assert.equal(await at(tip - 120, () => checkChain(headers, LATE, 1)), 4n);
  const words = "is dated in the future, if this machine's clock is right";
  await at(tip - 121, () => refused(headers, 2, words, LATE));
  await at(tip - 120.001, () => refused(headers, 2, words, LATE));
  const never = mineChain(LATE, [2n ** 64n - 1n]);
  await refused(never, 1, words, LATE);
});

Deno.test("one flipped bit anywhere below the tip is noticed", async () => {
  const headers = frozenHeaders();
  for (let place = 0; place < (TIP - 1) * HEADER_BYTES; place++) {
    const other = flipped(headers, place, 1 << place % 8);
    await assert.rejects(checkChain(other, VECTOR_NET, 1), /^Error: Block [1-5] /, `byte ${place}`);
  }
});

Deno.test("a flipped bit of the tip is noticed, or makes another block of it", async () => {
  const [headers, { hash }] = [frozenHeaders(), blocks.at(-1)];
  let held = 0;
  for (let place = (TIP - 1) * HEADER_BYTES; place < TIP * HEADER_BYTES; place++) {
    const other = flipped(headers, place);
    assert.notEqual(toHex(headerAt(other, TIP).hash), hash);
    const told = await checkChain(other, VECTOR_NET, 1).catch((error) => error.message);
    if (told === 10n) held++;
    else assert.match(told, /^Block 5 /, `byte ${place}`);
  }
  // Of a root, a date and a nonce every second one is another that was found.
  assert.ok(held > 10 && held < 40, `${held}`);
});

Deno.test("a long chain lets the page do other things, and tells how far it is", async () => {
  const count = 2_500;
  const headers = mineChain(LATE, dates(count).map((_, i) => LATE.genesis_time + 10 * (i + 1)));
  const told = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const work = await checkChain(headers, LATE, count, (height) => told.push([height, turns > 0]));
  clearInterval(timer);
  assert.equal(work, 2n);
  assert.deepEqual(told, [[1_000, false], [2_000, true]]);
});
