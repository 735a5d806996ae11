// Frozen vectors, and blocks that the tests add to them: their hashes are easy to find.

import { concat, fromHex, toHex, unsigned } from "../../../../node/cairn/web/static/js/bytes.js";
import { sha256d } from "../../../../node/cairn/web/static/js/sha256.js";

/** A file of `tests/vectors`. */
export const read = (name) =>
  JSON.parse(Deno.readTextFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url)));

/** What `GET /genesis` answers of a network of the vectors. */
function genesisOf(vector) {
  const answer = { hash: vector.network_id };
  for (
    const [, name, text, number] of vector.genesis_file.matchAll(/^(\w+) = (?:"(.*)"|(\w+))$/gm)
  ) {
    answer[name] = text ?? Number(number);
  }
  return answer;
}

/** The two networks of the vectors; the second one's chain and proofs are frozen, too. */
export const [REGTEST, VECTOR_NET] = read("networks").map(genesisOf);

export const blocks = read("blocks");

/** The frozen chain's headers from height 1 on, one after another. */
export const frozenHeaders = () => concat(...blocks.map(({ header }) => fromHex(header.raw)));

/** A frozen proof as `decodeProof` gives it. */
export const proofOf = (vector) => ({
  network: VECTOR_NET.name,
  networkId: VECTOR_NET.hash,
  transaction: fromHex(vector.transaction),
  height: Number(vector.height),
  leafIndex: Number(vector.leaf_index),
  leafCount: Number(vector.leaf_count),
  path: vector.path.map(fromHex),
  headers: concat(...vector.headers.map(fromHex)),
});

/** `bytes` with one bit of the byte at `at` turned over. */
export function flipped(bytes, at, bit = 1) {
  const other = bytes.slice();
  other[at] ^= bit;
  return other;
}

export const EASY = 0x207fffff; // every second hash is good enough

const headerBytes = (fields, nonce) =>
  concat(
    unsigned(fields.version ?? 1, 4),
    unsigned(fields.height, 4),
    fromHex(fields.previous),
    fromHex(fields.root ?? "00".repeat(32)),
    unsigned(fields.timestamp, 8),
    unsigned(fields.bits ?? EASY, 4),
    unsigned(fields.reserved ?? 0, 4),
    unsigned(nonce, 8),
  );

/** `{raw, hash}` of a header: its nonce is the first whose hash is easy enough, or is too high. */
export function mine(fields, enough = true) {
  for (let nonce = 0;; nonce++) {
    const raw = headerBytes(fields, nonce);
    const hash = sha256d(raw);
    if (hash[0] < 0x80 === enough) return { raw, hash: toHex(hash) };
  }
}

/** The headers of a chain with these timestamps, and what `change` (by height) makes different. */
export function mineChain(genesis, timestamps, change = {}) {
  const raws = [];
  let previous = genesis.hash;
  for (const [i, timestamp] of timestamps.entries()) {
    const height = i + 1;
    const { enough, ...other } = change[height] ?? {};
    const made = mine({ height, previous, timestamp, ...other }, enough);
    raws.push(made.raw);
    previous = made.hash;
  }
  return concat(...raws);
}
