// Proofs as the pages fetch them of their node: its answer, and all headers page by page.

import assert from "node:assert/strict";

import { answers } from "./page.js";

import { toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import { fetchProof } from "../../../../node/cairn/web/static/js/prooffile.js";
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

Deno.test("pages of headers are put together, and a full one is not the last", async () => {
  for (const rest of [0, 3]) {
    reset(answer);
    const first = new Uint8Array(PAGE * 96).fill(1);
    first.set(proof.headers);
    answers.set(headersFrom(1), first);
    answers.set(headersFrom(PAGE + 1), first.map(() => 2));
    answers.set(headersFrom(2 * PAGE + 1), new Uint8Array(rest * 96).fill(3));
    const { headers } = await fetchProof(ID, network);
    assert.equal(headers.length, (2 * PAGE + rest) * 96);
    const places = [5 * 96, PAGE * 96 - 1, PAGE * 96, 2 * PAGE * 96 - 1];
    assert.deepEqual(places.map((at) => headers[at]), [1, 1, 2, 2]);
    assert.equal(toHex(headers.slice(2 * PAGE * 96)), "03".repeat(rest * 96));
  }
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
