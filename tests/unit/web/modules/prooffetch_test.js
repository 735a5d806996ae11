// Proofs as the pages fetch them of their node: its answer, and all headers page by page.

import assert from "node:assert/strict";

import { answers } from "./page.js";

import { toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import { fetchProof } from "../../../../node/cairn/web/static/js/prooffile.js";
import { sha256d } from "../../../../node/cairn/web/static/js/sha256.js";
import { proofOf, read, VECTOR_NET } from "./chain.js";

const [vector] = read("proofs");
const proof = proofOf(vector);
const network = { name: VECTOR_NET.name, id: VECTOR_NET.hash };
const ID = vector.transaction_id;
const PAGE = 2_000;
const headersFrom = (height) => `/api/v1/headers?from=${height}&limit=${PAGE}`;

const answer = {
  transaction: vector.transaction,
  height: proof.height,
  "leaf_index": proof.leafIndex,
  "leaf_count": proof.leafCount,
  path: vector.path,
};

/** The node answers with these proofs, one after another; says how many were asked for. */
function reset(...proofs) {
  let asked = 0;
  answers.clear();
  answers.set(`/api/v1/transactions/${ID}/proof`, () => proofs[asked++]);
  answers.set(headersFrom(1), proof.headers);
  return () => asked;
}

Deno.test("a fetched proof is the frozen one", async () => {
  const asked = reset(answer);
  assert.deepEqual(await fetchProof(ID, network), proof);
  assert.equal(asked(), 1);
});

/** So many headers of one byte, the first of which follows the last of `before`. */
function following(before, count, byte) {
  const page = new Uint8Array(count * 96).fill(byte);
  if (count) page.set(sha256d(before.slice(-96)), 8);
  return page;
}

const first = new Uint8Array(PAGE * 96).fill(1);
first.set(proof.headers);
const second = following(first, PAGE, 2);

Deno.test("pages of headers are put together, and a full one is not the last", async () => {
  for (const rest of [0, 3]) {
    reset(answer);
    const third = following(second, rest, 3);
    answers.set(headersFrom(1), first);
    answers.set(headersFrom(PAGE + 1), second);
    answers.set(headersFrom(2 * PAGE + 1), third);
    const { headers } = await fetchProof(ID, network);
    assert.equal(headers.length, (2 * PAGE + rest) * 96);
    const places = [5 * 96, PAGE * 96 - 1, PAGE * 96, 2 * PAGE * 96 - 1];
    assert.deepEqual(places.map((at) => headers[at]), [1, 1, 2, 2]);
    assert.equal(toHex(headers.slice(2 * PAGE * 96)), toHex(third));
  }
});

Deno.test("pages of two branches are no proof: all is asked for again", async () => {
  const pages = [following(second, 3, 9), following(first, 3, 4)];
  const asked = reset(answer, answer);
  answers.set(headersFrom(1), first);
  answers.set(headersFrom(PAGE + 1), () => pages.shift());
  const { headers } = await fetchProof(ID, network);
  assert.deepEqual([asked(), headers.length, headers.at(-1)], [2, (PAGE + 3) * 96, 4]);
  const never = reset(answer, answer, answer);
  answers.set(headersFrom(1), first);
  answers.set(headersFrom(PAGE + 1), following(second, 3, 9));
  await assert.rejects(fetchProof(ID, network), { message: /does not fit its own headers/ });
  assert.equal(never(), 3);
});

Deno.test("headers of another network's first block are none of this one's", async () => {
  reset(answer, answer, answer);
  const other = { ...network, id: "00".repeat(32) };
  await assert.rejects(fetchProof(ID, other), { message: /does not fit its own headers/ });
});

Deno.test("a proof that does not fit the headers is asked for again, three times in all", async () => {
  const old = { ...answer, height: 3 };
  const asked = reset(old, old, answer);
  assert.deepEqual(await fetchProof(ID, network), proof);
  assert.equal(asked(), 3);
  const never = reset(old, old, old, answer);
  await assert.rejects(fetchProof(ID, network), {
    message: "The node's proof does not fit its own headers. Try again, or another node.",
  });
  assert.equal(never(), 3);
});

Deno.test("the node's refusal is passed on", async () => {
  reset(404);
  await assert.rejects(fetchProof(ID, network), { status: 404 });
  reset(answer);
  answers.set(headersFrom(1), 503);
  await assert.rejects(fetchProof(ID, network), { status: 503 });
});
