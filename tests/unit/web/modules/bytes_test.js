// The pages' bytes and addresses, against the frozen vectors that the node's own code is held to.

import assert from "node:assert/strict";

import {
  concat,
  decodeAddress,
  encodeAddress,
  fromHex,
  sha256,
  toBigInt,
  toHex,
  unsigned,
} from "../../../../node/cairn/web/static/js/bytes.js";

const read = (name) =>
  JSON.parse(Deno.readTextFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url)));

Deno.test("addresses are written and read as the vectors say", () => {
  const vectors = read("addresses");
  assert.ok(vectors.length > 3);
  for (const vector of vectors) {
    for (const prefix of ["cairn", "rcairn", "vec"]) {
      assert.equal(encodeAddress(prefix, fromHex(vector.address)), vector[prefix]);
      assert.equal(toHex(decodeAddress(prefix, vector[prefix])), vector.address);
      assert.equal(toHex(decodeAddress(prefix, vector[prefix].toUpperCase())), vector.address);
    }
  }
});

Deno.test("every single typing error in an address is found", () => {
  const address = read("addresses")[0].cairn;
  for (let place = "cairn1".length; place < address.length; place++) {
    const other = address[place] === "q" ? "p" : "q";
    const wrong = address.slice(0, place) + other + address.slice(place + 1);
    assert.throws(() => decodeAddress("cairn", wrong), /typing error/);
  }
});

Deno.test("what is no address of this network is refused in words", () => {
  const address = read("addresses")[0].cairn;
  assert.throws(() => decodeAddress("other", address), /another network/);
  assert.throws(() => decodeAddress("cairn", ""), /not an address/);
  assert.throws(() => decodeAddress("cairn", "cairn1"), /not an address/);
  assert.throws(() => decodeAddress("cairn", `${address}${"q".repeat(80)}`), /not an address/);
  assert.throws(
    () => decodeAddress("cairn", address.slice(0, -1) + address.at(-1).toUpperCase()),
    /mixes|typing/,
  );
});

Deno.test("numbers are big-endian, and refused where they do not fit", () => {
  assert.equal(toHex(unsigned(258n, 2)), "0102");
  assert.equal(toHex(unsigned(2n ** 64n - 1n, 8)), "ff".repeat(8));
  assert.throws(() => unsigned(2n ** 64n, 8), /does not fit/);
  assert.throws(() => unsigned(-1n, 8), /does not fit/);
  assert.equal(toBigInt(fromHex("0100")), 256n);
  assert.throws(() => fromHex("0"), /hex/);
  assert.throws(() => fromHex("zz"), /hex/);
});

Deno.test("SHA-256 of abc is the standard's", async () => {
  const digest = await sha256(concat(fromHex("61"), fromHex("6263")));
  assert.equal(toHex(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
