// The Verify page's checks, on a sound proof of the frozen notarization and on all that is not.

import assert from "node:assert/strict";

import { answers } from "./page.js";

import { concat, fromHex, toHex, unsigned } from "../../../../node/cairn/web/static/js/bytes.js";
import { importKey } from "../../../../node/cairn/web/static/js/keys.js";
import { headerAt } from "../../../../node/cairn/web/static/js/headers.js";
import { checkProof, CHECKS, Unchecked } from "../../../../node/cairn/web/static/js/proof.js";
import { decodeProof, encodeProof } from "../../../../node/cairn/web/static/js/prooffile.js";
import { sha256d } from "../../../../node/cairn/web/static/js/sha256.js";
import { decode, signTransaction } from "../../../../node/cairn/web/static/js/transaction.js";
import { flipped, mineChain, proofOf, read, REGTEST, VECTOR_NET } from "./chain.js";

const [NETWORK, DOCUMENT, SIGNATURE, PATH, HEADERS, NODE] = CHECKS.keys();
const transactions = read("transactions");
const notarization = transactions.find(({ name }) => name === "notarized document");
const digest = fromHex(notarization.data.slice(-64));
const HEIGHT = 3;
const TIP = 5;

/** A proof on regtest that this transaction (hex) is the last of three leaves of block 3. */
function proofThat(raw, genesis = REGTEST) {
  const transaction = fromHex(raw);
  const leaf = sha256d(Uint8Array.of(0), transaction);
  const path = [sha256d(Uint8Array.of(1), new Uint8Array(64))];
  const root = toHex(sha256d(Uint8Array.of(1), path[0], leaf));
  const times = Array.from({ length: TIP }, (_, i) => genesis.genesis_time + 100 * (i + 1));
  const headers = mineChain(genesis, times, { [HEIGHT]: { root } });
  const place = { height: HEIGHT, leafIndex: 2, leafCount: 3, path };
  return { network: genesis.name, networkId: genesis.hash, transaction, headers, ...place };
}

const sound = proofThat(notarization.raw);
const block = toHex(sha256d(sound.headers.slice(2 * 96, HEIGHT * 96)));
const ANSWER = `/api/v1/transactions/${notarization.id}`;

function reset() {
  answers.clear();
  answers.set("/api/v1/genesis", REGTEST);
  answers.set(ANSWER, { block: { hash: block } });
}

/** What the checks find, and what they told on the way. */
async function check(proof, of = digest) {
  const told = [];
  const found = await checkProof(of, proof, (...how) => told.push(how));
  return { found, told };
}

async function fails(proof, step, words, of = digest) {
  const { found, told } = await check(proof, of);
  assert.equal(found, null);
  const expected = [];
  for (let i = 0; i < step; i++) expected.push([i, "now", ""], [i, "done", ""]);
  assert.deepEqual(told.slice(0, -1), [...expected, [step, "now", ""]]);
  const [last, state, why] = told.at(-1);
  assert.deepEqual([last, state], [step, "bad"]);
  if (words instanceof RegExp) assert.match(why, words);
  else assert.equal(why, words);
}

Deno.test("a sound proof holds, and all is found that it shows", async () => {
  reset();
  const { found, told } = await check(decodeProof(encodeProof(sound)));
  const { transaction, ...rest } = found;
  assert.deepEqual(rest, {
    id: notarization.id,
    sender: read("addresses").find(({ address }) => address === notarization.sender).rcairn,
    block: { hash: block, height: HEIGHT, timestamp: BigInt(REGTEST.genesis_time + 300) },
    work: 6n,
    confirmations: 3,
  });
  assert.equal(toHex(transaction.data), notarization.data);
  const steps = [...CHECKS.keys()].flatMap((i) => [[i, "now", ""], [i, "done", ""]]);
  assert.deepEqual(told, steps);
});

Deno.test("a sound proof of another network is refused", async () => {
  reset();
  for (const vector of read("proofs")) {
    const words = `The proof is of the network vector-net (${VECTOR_NET.hash.slice(0, 16)}…).`;
    await fails(proofOf(vector), NETWORK, words);
  }
});

Deno.test("neither name nor id of this network is enough alone", async () => {
  reset();
  const id = REGTEST.hash.slice(0, 16);
  const named = { ...sound, network: "x".repeat(100) };
  await fails(named, NETWORK, `The proof is of the network ${"x".repeat(32)} (${id}…).`);
  const other = { ...sound, networkId: VECTOR_NET.hash };
  await fails(
    other,
    NETWORK,
    `The proof is of the network regtest (${VECTOR_NET.hash.slice(0, 16)}…).`,
  );
  const turned = toHex(flipped(fromHex(REGTEST.hash), 31));
  await fails({ ...sound, networkId: turned }, NETWORK, /^The proof is of the network regtest /);
});

Deno.test("a foreign chain that takes this network's name and id is refused by its headers", async () => {
  reset();
  const foreign = proofThat(notarization.raw, VECTOR_NET);
  const disguised = { ...foreign, network: REGTEST.name, networkId: REGTEST.hash };
  await fails(disguised, HEADERS, "Block 1 does not follow the block before it.");
});

Deno.test("a transaction that was signed for another network is refused", async () => {
  reset();
  const key = await importKey(notarization.private_key);
  const raw = async (network) => {
    const fields = decode(fromHex(notarization.raw));
    const { signature } = await signTransaction(key, fields, network.hash);
    return notarization.unsigned + signature;
  };
  await fails(
    proofThat(await raw(VECTOR_NET)),
    SIGNATURE,
    "The signature is not that of the key that it names.",
  );
  // Signed by the same key for this network it passes, up to the node, which does not have it.
  answers.delete(ANSWER);
  await fails(proofThat(await raw(REGTEST)), NODE, /^This node's chain does not have/);
});

Deno.test("another file, or no notarization at all, is refused", async () => {
  reset();
  const other = flipped(digest, 31);
  await fails(
    sound,
    DOCUMENT,
    "The proof is about another file, or this one was changed: its SHA-256 is " +
      `${toHex(other)}, the proof's ${toHex(digest)}.`,
    other,
  );
  for (const { name, raw } of transactions) {
    if (name === notarization.name) continue;
    await fails(
      proofThat(raw),
      DOCUMENT,
      "The transaction in the proof notarizes no document at all.",
    );
  }
});

Deno.test("what is no transaction is refused", async () => {
  reset();
  const { transaction } = sound;
  const of = (bytes) => ({ ...sound, transaction: bytes });
  await fails(of(transaction.slice(0, 151)), DOCUMENT, "The transaction is cut off.");
  await fails(of(transaction.slice(0, -1)), DOCUMENT, "The transaction has a wrong length.");
  const longer = concat(transaction, Uint8Array.of(0));
  await fails(of(longer), DOCUMENT, "The transaction has a wrong length.");
  const version = flipped(transaction, 0, 3);
  await fails(of(version), DOCUMENT, "The transaction has the unknown version 2.");
});

Deno.test("signatures are the key's, and in the form that the protocol has", async () => {
  reset();
  const words = "The signature is not that of the key that it names.";
  const { transaction } = sound;
  const end = transaction.length;
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = BigInt(`0x${toHex(transaction.slice(end - 32))}`);
  for (const other of [order - s, 0n, order, 2n ** 256n - 1n]) {
    const raw = concat(transaction.slice(0, end - 32), unsigned(other, 32));
    await fails({ ...sound, transaction: raw }, SIGNATURE, words);
  }
  for (const r of [0n, order]) {
    const parts = [transaction.slice(0, end - 64), unsigned(r, 32), transaction.slice(end - 32)];
    await fails({ ...sound, transaction: concat(...parts) }, SIGNATURE, words);
  }
  await fails({ ...sound, transaction: flipped(transaction, 1) }, SIGNATURE, words); // −y
  const unknown = flipped(transaction, 1, 0xff);
  await fails({ ...sound, transaction: unknown }, SIGNATURE, words);
});

Deno.test("data and amounts stay within what the network allows", async () => {
  reset();
  answers.set("/api/v1/genesis", { ...REGTEST, "max_data_bytes": 43 });
  await fails(sound, SIGNATURE, "It carries more data than the network allows.");
  answers.set("/api/v1/genesis", { ...REGTEST, "max_data_bytes": 44 });
  assert.notEqual((await check(sound)).found, null);
  const transaction = sound.transaction.slice();
  transaction.fill(0xff, 62, 70); // the amount
  transaction.set(unsigned(1, 8), 70); // the fee
  const more = { ...sound, transaction };
  await fails(more, SIGNATURE, "It spends more than can exist.");
  transaction.set(unsigned(0, 8), 70);
  await fails(more, SIGNATURE, "The signature is not that of the key that it names.");
});

Deno.test("a place that the proof does not have is refused", async () => {
  reset();
  const path = "The merkle path does not lead to the block's root.";
  for (const height of [0, TIP + 1, 2 ** 32 - 1]) {
    const words = "The proof does not hold the header of its block.";
    await fails({ ...sound, height }, PATH, words);
  }
  for (const height of [1, 2, 4, TIP]) await fails({ ...sound, height }, PATH, path);
  for (const leafIndex of [0, 1, 3]) await fails({ ...sound, leafIndex }, PATH, path);
  for (const leafCount of [0, 1, 2, 4, 5]) await fails({ ...sound, leafCount }, PATH, path);
});

Deno.test("the node's own chain has the last word", async () => {
  reset();
  const lost = "This node's chain does not have the transaction in that block: the proof is of a " +
    "branch that lost, or the node is still catching up.";
  for (const answer of [404, { block: null }, {}, { block: { hash: "ab".repeat(32) } }]) {
    answers.set(ANSWER, answer);
    await fails(sound, NODE, lost);
  }
});

Deno.test("a node that does not answer speaks against no proof", async () => {
  for (const status of [429, 503]) {
    reset();
    answers.set(ANSWER, status);
    const told = [];
    await assert.rejects(checkProof(digest, sound, (...how) => told.push(how)), Unchecked);
    assert.deepEqual(told.at(-2), [NODE, "now", ""]);
    assert.deepEqual(told.at(-1).slice(0, 2), [NODE, "unsure"]);
  }
});

Deno.test("while many headers are checked it is told how far that is", async () => {
  reset();
  const more = Array.from({ length: 2_400 }, (_, i) => REGTEST.genesis_time + 600 + i);
  const times = [1, 2, 3].map((i) => REGTEST.genesis_time + 100 * i).concat(more);
  const root = toHex(headerAt(sound.headers, HEIGHT).root);
  const headers = mineChain(REGTEST, times, { [HEIGHT]: { root } });
  const { found, told } = await check({ ...sound, headers });
  assert.equal(found.confirmations, 2_401);
  assert.equal(found.work, 4_802n);
  assert.deepEqual(told.slice(2 * HEADERS, -2), [
    [HEADERS, "now", ""],
    [HEADERS, "now", "block 1,000"],
    [HEADERS, "now", "block 2,000"],
    [HEADERS, "done", ""],
  ]);
});

Deno.test("one flipped byte anywhere in a proof is refused, at its own check", async () => {
  reset();
  const { transaction, path, headers } = sound;
  const step = async (proof, at) => {
    const { found, told } = await check(proof);
    assert.equal(found, null, at);
    assert.equal(told.at(-1)[1], "bad", at);
    return told.at(-1)[0];
  };
  const within = (at, first, end) => at >= first && at < end;
  for (let at = 0; at < transaction.length; at++) {
    const where = `byte ${at} of the transaction`;
    const failed = await step({ ...sound, transaction: flipped(transaction, at) }, where);
    const shape = at === 0 || within(at, 86, 132);
    assert.equal(failed, shape ? DOCUMENT : SIGNATURE, where);
  }
  for (let at = 0; at < 32; at++) {
    const where = `byte ${at} of the path`;
    assert.equal(await step({ ...sound, path: [flipped(path[0], at)] }, where), PATH, where);
  }
  for (let at = 0; at < (TIP - 1) * 96; at++) {
    const where = `byte ${at} of the headers`;
    const failed = await step({ ...sound, headers: flipped(headers, at) }, where);
    const root = within(at, 2 * 96 + 40, 2 * 96 + 72);
    assert.equal(failed, root ? PATH : HEADERS, where);
  }
});

Deno.test("a proof whose block is the tip shows each flipped byte of its header", async () => {
  reset();
  const headers = sound.headers.slice(0, HEIGHT * 96);
  assert.equal((await check({ ...sound, headers })).found.confirmations, 1);
  for (let at = (HEIGHT - 1) * 96; at < HEIGHT * 96; at++) {
    const { found, told } = await check({ ...sound, headers: flipped(headers, at) });
    assert.equal(found, null, `byte ${at}`);
    assert.ok([PATH, HEADERS, NODE].includes(told.at(-1)[0]), `byte ${at}`);
  }
});

Deno.test("one flipped character of a proof's file is refused", async () => {
  reset();
  const text = encodeProof({ ...sound, headers: sound.headers.slice(0, HEIGHT * 96) });
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at) ^ 1;
    const other = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
    const found = await Promise.resolve(other).then(decodeProof).then((proof) => check(proof)).then(
      (told) => told.found,
      ({ message }) => message.startsWith("This is no proof file: ") ? null : message,
    );
    assert.equal(found, null, `character ${at}: ${other.slice(at - 9, at + 9)}`);
  }
});
