// What the pages sign, against the frozen vectors that the node's own code is held to.

import assert from "node:assert/strict";

import { concat, fromHex, toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import { addressOf, importKey } from "../../../../node/cairn/web/static/js/keys.js";
import {
  encode,
  FIXED_BYTES,
  signTransaction,
} from "../../../../node/cairn/web/static/js/transaction.js";

const vectors = JSON.parse(
  Deno.readTextFileSync(new URL("../../../vectors/transactions.json", import.meta.url)),
);

const fields = (vector) => ({
  sequence: BigInt(vector.sequence),
  recipient: fromHex(vector.recipient),
  amount: BigInt(vector.amount),
  fee: BigInt(vector.fee),
  timestamp: BigInt(vector.timestamp),
  data: fromHex(vector.data),
});

Deno.test("the bytes of a transaction are the vectors'", () => {
  assert.ok(vectors.length > 1);
  for (const vector of vectors) {
    const bytes = encode({ ...fields(vector), publicKey: fromHex(vector.public_key) });
    assert.equal(toHex(bytes), vector.unsigned, vector.name);
    assert.equal(toHex(concat(bytes, fromHex(vector.signature))), vector.raw);
    assert.equal(vector.raw.length / 2, FIXED_BYTES + vector.data.length / 2);
  }
});

Deno.test("keys, addresses, ids and signatures are what the protocol asks for", async () => {
  for (const vector of vectors) {
    const key = await importKey(vector.private_key);
    assert.equal(toHex(key.publicKey), vector.public_key);
    assert.equal(toHex(await addressOf(key.publicKey)), vector.sender);
    const { id, signature } = await signTransaction(key, fields(vector), vector.network_id);
    assert.equal(id, vector.id);
    await verify(vector, fromHex(signature));
  }
});

const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;

/** WebCrypto's signatures are random, so they are verified: another path than the one that signs. */
async function verify(vector, signature) {
  assert.equal(signature.length, 64);
  assert.ok(BigInt(`0x${toHex(signature.slice(32))}`) <= HALF_ORDER);
  const { createPublicKey, verify } = await import("node:crypto");
  // SubjectPublicKeyInfo of a compressed P-256 point.
  const header = fromHex("3039301306072a8648ce3d020106082a8648ce3d030107032200");
  const der = concat(header, fromHex(vector.public_key));
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const options = { key, dsaEncoding: "ieee-p1363" };
  assert.ok(verify("sha256", fromHex(vector.signing_message), options, signature));
}
