// What a proof of notarization shows, check by check, each in words for people.

import { concat, encodeAddress, toBigInt, toHex, U64_MAX, unsigned } from "./bytes.js";
import { decompress, ORDER } from "./curve.js";
import { notarizedDigest } from "./documents.js";
import { checkChain, HEADER_BYTES, headerAt } from "./headers.js";
import { addressOf } from "./keys.js";
import { network } from "./network.js";
import { ask, Refusal, Unreachable } from "./node.js";
import { pathHolds } from "./prooffile.js";
import { decode, idOf, signingMessage } from "./transaction.js";

function must(condition, words) {
  if (!condition) throw new Error(words);
}

async function signatureHolds(publicKey, message, signature) {
  const point = decompress(publicKey);
  const [r, s] = [toBigInt(signature.slice(0, 32)), toBigInt(signature.slice(32))];
  if (!point || r < 1n || r >= ORDER || s < 1n || s > ORDER / 2n) return false;
  const raw = concat(Uint8Array.of(4), unsigned(point[0], 32), unsigned(point[1], 32));
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("raw", raw, algorithm, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, message);
}

function checkNetwork({ proof, genesis }) {
  must(
    proof.networkId === genesis.hash && proof.network === genesis.name,
    `The proof is of the network ${proof.network.slice(0, 32)} (${proof.networkId.slice(0, 16)}…).`,
  );
}

function checkDocument({ proof, digest, found }) {
  found.transaction = decode(proof.transaction);
  const notarized = notarizedDigest(found.transaction.data);
  must(notarized, "The transaction in the proof notarizes no document at all.");
  must(
    notarized === toHex(digest),
    `The proof is about another file, or this one was changed: its SHA-256 is ${toHex(digest)}, ` +
      `the proof's ${notarized}.`,
  );
}

async function checkSignature({ proof, genesis, found }) {
  const { transaction } = found;
  must(
    transaction.data.length <= genesis.max_data_bytes,
    "It carries more data than the network allows.",
  );
  must(transaction.amount + transaction.fee <= U64_MAX, "It spends more than can exist.");
  const message = signingMessage(network.id, proof.transaction.slice(0, -64));
  const { publicKey, signature } = transaction;
  must(
    await signatureHolds(publicKey, message, signature),
    "The signature is not that of the key that it names.",
  );
  found.id = await idOf(message);
  found.sender = encodeAddress(network.prefix, await addressOf(publicKey));
}

function checkPath({ proof, found }) {
  must(
    proof.height >= 1 && proof.height <= proof.headers.length / HEADER_BYTES,
    "The proof does not hold the header of its block.",
  );
  must(pathHolds(proof), "The merkle path does not lead to the block's root.");
  const header = headerAt(proof.headers, proof.height);
  found.block = { hash: toHex(header.hash), height: proof.height, timestamp: header.timestamp };
}

async function checkHeaders({ proof, genesis, found, progress }) {
  found.work = await checkChain(proof.headers, genesis, proof.height, progress);
  found.confirmations = proof.headers.length / HEADER_BYTES - proof.height + 1;
}

async function checkNode({ found }) {
  const block = await ask(`transactions/${found.id}`).then((answer) => answer.block).catch(
    (error) => {
      if (error.status === 404) return null;
      throw error;
    },
  );
  must(
    block?.hash === found.block.hash,
    "This node's chain does not have the transaction in that block: the proof is of a branch " +
      "that lost, or the node is still catching up.",
  );
}

/** Name and check, in order: a later one needs what an earlier one found. */
export const CHECKS = [
  ["The proof is of this node's network", checkNetwork],
  ["The fingerprint in the transaction is this file's", checkDocument],
  ["The transaction is signed by the key that it names", checkSignature],
  ["The transaction is in the block: its merkle path leads to the block's root", checkPath],
  [
    "The headers link from the network's first block on, each with the work and the date that " +
    "were due",
    checkHeaders,
  ],
  ["This node's chain has the same block", checkNode],
];

/** A check needs the node, which did not answer it: nothing speaks against the proof. */
export class Unchecked extends Error {}

/**
 * Runs the checks up to the first that fails. `step(i, state, words)` is told how each fares:
 * now, done, bad or unsure. Answers what was found, or null. Throws Unchecked where the node is
 * not there to be asked.
 */
export async function checkProof(digest, proof, step) {
  const found = {};
  const genesis = await ask("genesis");
  for (const [i, [, check]] of CHECKS.entries()) {
    const progress = (height) => step(i, "now", `block ${height.toLocaleString("en")}`);
    step(i, "now", "");
    try {
      await check({ digest, proof, genesis, found, progress });
    } catch (error) {
      const isUnsure = error instanceof Unreachable || error instanceof Refusal;
      step(i, isUnsure ? "unsure" : "bad", error.message);
      if (isUnsure) throw new Unchecked(error.message);
      return null;
    }
    step(i, "done", "");
  }
  return found;
}
