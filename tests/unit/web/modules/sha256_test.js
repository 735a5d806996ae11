// SHA-256 piece by piece, against the browser's own.

import assert from "node:assert/strict";

import { concat, sha256, toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import { Sha256, sha256d } from "../../../../node/cairn/web/static/js/sha256.js";

const bytesOf = (length) => Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 8)) & 255);

Deno.test("the standard's own examples", () => {
  const text = (words) => new TextEncoder().encode(words);
  const of = (words) => toHex(new Sha256().update(text(words)).digest());
  assert.equal(of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

Deno.test("every length around the blocks' ends, in pieces of every size", async () => {
  for (let length = 0; length < 200; length++) {
    const bytes = bytesOf(length);
    const expected = toHex(await sha256(bytes));
    for (const piece of [1, 3, 55, 63, 64, 65, 200]) {
      const hash = new Sha256();
      for (let at = 0; at < length; at += piece) hash.update(bytes.subarray(at, at + piece));
      assert.equal(toHex(hash.digest()), expected, `${length} bytes by ${piece}`);
    }
  }
});

Deno.test("twice over parts", async () => {
  const [one, other] = [bytesOf(96), bytesOf(33)];
  const expected = await sha256(await sha256(concat(one, other)));
  assert.equal(toHex(sha256d(one, other)), toHex(expected));
});
