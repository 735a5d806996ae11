// Proof files, as `cairn proof` writes and `cairn verify` reads them.

import { fromBase64, toBase64 } from "./base64.js";
import { concat, fromHex, toHex } from "./bytes.js";
import { HEADER_BYTES, headerAt } from "./headers.js";
import { leadsTo } from "./merkle.js";
import { ask, askBytes } from "./node.js";

const FORMAT = "cairn-proof";
const VERSION = 1;
const PAGE_HEADERS = 2_000;
const ATTEMPTS = 3; // the chain may be reorganised between the proof and its headers
const MAX_PATH = 32;
const MAX_TRANSACTION = 70_000;
export const MAX_PROOF_BYTES = 128 * 1024 * 1024;
const FIELDS = [
  "format",
  "version",
  "network",
  "network_id",
  "transaction",
  "height",
  "leaf_index",
  "leaf_count",
  "path",
  "headers",
];

/** The file's text. */
export function encodeProof(proof) {
  const document = {
    format: FORMAT,
    version: VERSION,
    network: proof.network,
    "network_id": proof.networkId,
    transaction: toHex(proof.transaction),
    height: proof.height,
    "leaf_index": proof.leafIndex,
    "leaf_count": proof.leafCount,
    path: proof.path.map(toHex),
    headers: toBase64(proof.headers),
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function bad(words) {
  return new Error(`This is no proof file: ${words}.`);
}

function hexField(name, value, least, most) {
  const sound = typeof value === "string" && value.length >= 2 * least &&
    value.length <= 2 * most && /^([0-9a-f]{2})*$/i.test(value);
  if (!sound) throw bad(`${name} is not ${least} to ${most} bytes in hexadecimal`);
  return fromHex(value.toLowerCase());
}

function numberField(name, value) {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
    throw bad(`${name} is not a number from 0 to ${2 ** 32 - 1}`);
  }
  return value;
}

function headersField(value) {
  if (typeof value !== "string") throw bad("its headers are not a text");
  let headers;
  try {
    headers = fromBase64(value);
  } catch {
    throw bad("its headers are not Base64");
  }
  if (!headers.length || headers.length % HEADER_BYTES) throw bad("its headers are cut off");
  return headers;
}

/** As strict as the command: JSON.parse takes the last of two equal keys, and 1.0 for 1. */
function checkPlain(text) {
  const counts = new Map();
  for (const [, name, number] of text.matchAll(/"([a-z_]+)"\s*:\s*(-?[0-9][^\s,}]*)?/g)) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    if (number && !/^(0|[1-9][0-9]*)$/.test(number)) throw bad(`${name} is not a whole number`);
  }
  const twice = FIELDS.find((name) => counts.get(name) > 1);
  if (twice) throw bad(`the field "${twice}" stands twice`);
}

/** The proof in a file's text. Nothing in it is true before it was checked. Throws. */
export function decodeProof(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw bad("it is not JSON");
  }
  if (document?.format !== FORMAT || document.version !== VERSION) {
    throw bad(`it is not a ${FORMAT} of version ${VERSION}`);
  }
  const given = Object.keys(document);
  const strange = given.find((name) => !FIELDS.includes(name));
  const missing = FIELDS.find((name) => !given.includes(name));
  if (strange !== undefined) throw bad(`the field "${strange.slice(0, 40)}" is unknown`);
  if (missing) throw bad(`the field "${missing}" is missing`);
  const { path, network } = document;
  if (!Array.isArray(path) || path.length > MAX_PATH) throw bad("its path is no short list");
  if (typeof network !== "string") throw bad("network is not a text");
  const proof = {
    network,
    networkId: toHex(hexField("network_id", document.network_id, 32, 32)),
    transaction: hexField("transaction", document.transaction, 1, MAX_TRANSACTION),
    height: numberField("height", document.height),
    leafIndex: numberField("leaf_index", document.leaf_index),
    leafCount: numberField("leaf_count", document.leaf_count),
    path: path.map((sibling) => hexField("path", sibling, 32, 32)),
    headers: headersField(document.headers),
  };
  checkPlain(text);
  return proof;
}

/** Whether the path leads into the header at the proof's height. */
export function pathHolds({ transaction, height, leafIndex, leafCount, path, headers }) {
  if (height < 1 || height > headers.length / HEADER_BYTES || leafIndex < 1) return false;
  const { root } = headerAt(headers, height);
  return leadsTo(transaction, leafIndex, leafCount, path, root);
}

/** All headers; null where a reorganisation came in between two pages of them. */
async function fetchHeaders(networkId) {
  const pages = [];
  let height = 1;
  let last = networkId;
  for (;;) {
    const page = await askBytes(`headers?from=${height}&limit=${PAGE_HEADERS}`);
    if (page.length && headerAt(page, 1).previous !== last) return null;
    pages.push(page);
    height += page.length / HEADER_BYTES;
    if (page.length) last = toHex(headerAt(page, page.length / HEADER_BYTES).hash);
    if (page.length < PAGE_HEADERS * HEADER_BYTES) return concat(...pages);
  }
}

/** The proof of a mined transaction, with all headers up to the tip. */
export async function fetchProof(id, network) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const answer = await ask(`transactions/${id}/proof`);
    const proof = {
      network: network.name,
      networkId: network.id,
      transaction: fromHex(answer.transaction),
      height: answer.height,
      leafIndex: answer.leaf_index,
      leafCount: answer.leaf_count,
      path: answer.path.map(fromHex),
      headers: await fetchHeaders(network.id),
    };
    if (proof.headers && pathHolds(proof)) return proof;
  }
  throw new Error("The node's proof does not fit its own headers. Try again, or another node.");
}
