// Proof files: the frozen proofs come back from their text, and each fault of a file is named.

import assert from "node:assert/strict";

import { fromHex, toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import {
  checkChain,
  HEADER_BYTES,
  headerAt,
} from "../../../../node/cairn/web/static/js/headers.js";
import { leadsTo } from "../../../../node/cairn/web/static/js/merkle.js";
import {
  decodeProof,
  encodeProof,
  pathHolds,
} from "../../../../node/cairn/web/static/js/prooffile.js";
import { sha256d } from "../../../../node/cairn/web/static/js/sha256.js";
import { blocks, flipped, proofOf, read, VECTOR_NET } from "./chain.js";

const vectors = read("proofs");
const proofs = vectors.map(proofOf);
const sound = () => JSON.parse(encodeProof(proofs[1]));

const refused = (text, words) =>
  assert.throws(() => decodeProof(text), { message: `This is no proof file: ${words}.` });

/** The sound file with these fields instead is refused with these words. */
const changed = (fields, words) => refused(JSON.stringify({ ...sound(), ...fields }), words);

Deno.test("a file has the proof's fields, in their order and form", () => {
  for (const [i, proof] of proofs.entries()) {
    const vector = vectors[i];
    const text = encodeProof(proof);
    assert.ok(text.startsWith('{\n "format": "cairn-proof",\n "version": 1,\n'));
    assert.ok(text.endsWith('"\n}\n'));
    const file = JSON.parse(text);
    const { headers, ...other } = file;
    assert.deepEqual(Object.entries(other), [
      ["format", "cairn-proof"],
      ["version", 1],
      ["network", "vector-net"],
      ["network_id", VECTOR_NET.hash],
      ["transaction", vector.transaction],
      ["height", Number(vector.height)],
      ["leaf_index", Number(vector.leaf_index)],
      ["leaf_count", Number(vector.leaf_count)],
      ["path", vector.path],
    ]);
    assert.equal(toHex(Uint8Array.fromBase64(headers)), vector.headers.join(""));
  }
});

Deno.test("a proof comes back from its text, its hex in either case", () => {
  for (const proof of proofs) {
    assert.deepEqual(decodeProof(encodeProof(proof)), proof);
    const file = JSON.parse(encodeProof(proof));
    const upper = {
      ...file,
      "network_id": file.network_id.toUpperCase(),
      transaction: file.transaction.toUpperCase(),
      path: file.path.map((sibling) => sibling.toUpperCase()),
    };
    assert.deepEqual(decodeProof(JSON.stringify(upper)), proof);
  }
});

Deno.test("frozen proofs hold, and show what the vectors say", async () => {
  assert.equal(proofs.length, 6);
  for (const [i, proof] of proofs.entries()) {
    const vector = vectors[i];
    assert.equal(pathHolds(proof), true);
    const block = headerAt(proof.headers, proof.height);
    assert.equal(toHex(block.hash), vector.block_hash);
    assert.equal(block.timestamp, BigInt(vector.timestamp));
    const work = await checkChain(proof.headers, VECTOR_NET, proof.height);
    assert.equal(work, BigInt(vector.work));
    const blocks = proof.headers.length / HEADER_BYTES;
    assert.equal(blocks - proof.height + 1, Number(vector.confirmations));
  }
});

Deno.test("what is no JSON object, or another format, is refused", () => {
  const text = encodeProof(proofs[0]);
  for (const broken of ["", "{", text.slice(0, -3), `${text}x`, "\u0000", "'{}'"]) {
    refused(broken, "it is not JSON");
  }
  for (const other of ["null", "1", '"cairn-proof"', "[]", "[{}]", "{}", "true"]) {
    refused(other, "it is not a cairn-proof of version 1");
  }
  for (const format of [null, 1, "", "Cairn-Proof", "cairn-proof ", ["cairn-proof"]]) {
    changed({ format }, "it is not a cairn-proof of version 1");
  }
  for (const version of [null, 0, 2, "1", true, [1]]) {
    changed({ version }, "it is not a cairn-proof of version 1");
  }
});

Deno.test("each missing field is named", () => {
  const names = Object.keys(sound());
  assert.equal(names.length, 10);
  for (const name of names) {
    const { [name]: _, ...rest } = sound();
    const first = ["format", "version"].includes(name);
    const words = first ? "it is not a cairn-proof of version 1" : `the field "${name}" is missing`;
    refused(JSON.stringify(rest), words);
  }
});

Deno.test("a field too many is named, whatever its name is", () => {
  for (const name of ["extra", "Height", "networkId", "constructor", "0"]) {
    changed({ [name]: 1 }, `the field "${name}" is unknown`);
  }
  const text = JSON.stringify(sound());
  refused(text.replace("{", '{"__proto__":{},'), 'the field "__proto__" is unknown');
  refused(text.replace("{", '{"":1,'), 'the field "" is unknown');
  changed({ ["x".repeat(1_000)]: 1 }, `the field "${"x".repeat(40)}" is unknown`);
});

const NO_TEXT = [null, true, 0, 7, {}, [], ["00"]];

Deno.test("what the command refuses is refused: a field twice, and numbers not written plainly", () => {
  const text = encodeProof(proofs[1]);
  const height = `"height": ${proofs[1].height}`;
  const changed = (other) => text.replace(height, other);
  assert.throws(() => decodeProof(changed(`"height": 7, ${height}`)), /"height" stands twice/);
  for (const number of ["1.0", "1e0", "-0"]) {
    assert.throws(
      () => decodeProof(changed(`"height": ${number}`)),
      /height is not a whole number/,
    );
  }
  assert.deepEqual(decodeProof(changed(`"height"  :\n ${proofs[1].height}`)), decodeProof(text));
});

Deno.test("the network is a text", () => {
  for (const network of NO_TEXT) changed({ network }, "network is not a text");
});

Deno.test("bytes are hex of the lengths that the field may have", () => {
  const hash = "ab".repeat(32);
  const badHashes = [
    ...NO_TEXT,
    ...["", hash.slice(2), `${hash}ab`, hash.slice(1), `${hash}a`, `${hash.slice(1)}g`],
    ...[`0x${hash.slice(2)}`, ` ${hash.slice(1)}`, `${hash.slice(2)} \n`, `${hash}\n`],
    [hash],
  ];
  for (const bad of badHashes) {
    changed({ "network_id": bad }, "network_id is not 32 to 32 bytes in hexadecimal");
    changed({ path: [hash, bad] }, "path is not 32 to 32 bytes in hexadecimal");
  }
  const words = "transaction is not 1 to 70000 bytes in hexadecimal";
  for (const bad of [...NO_TEXT, "", "0", "000", "0g", "00 0", "é0", "ab".repeat(70_001)]) {
    changed({ transaction: bad }, words);
  }
  for (const length of [1, 70_000]) {
    const file = { ...sound(), transaction: "aB".repeat(length) };
    const { transaction } = decodeProof(JSON.stringify(file));
    assert.deepEqual(transaction, new Uint8Array(length).fill(0xab));
  }
});

Deno.test("numbers are whole and below 2^32", () => {
  const fields = { height: "height", "leaf_index": "leafIndex", "leaf_count": "leafCount" };
  for (const [name, key] of Object.entries(fields)) {
    for (const bad of [null, true, "2", "", [2], {}, -1, 0.5, 2 ** 32, 2 ** 53, 1e300]) {
      changed({ [name]: bad }, `${name} is not a number from 0 to 4294967295`);
    }
    for (const good of [0, 1, 2 ** 32 - 1]) {
      assert.equal(decodeProof(JSON.stringify({ ...sound(), [name]: good }))[key], good);
    }
  }
});

Deno.test("the path is a list of at most 32 hashes", () => {
  const hash = "cd".repeat(32);
  for (const path of [null, true, 3, hash, {}, { length: 1, 0: hash }, Array(33).fill(hash)]) {
    changed({ path }, "its path is no short list");
  }
  for (const length of [0, 32]) {
    const file = { ...sound(), path: Array(length).fill(hash) };
    assert.equal(decodeProof(JSON.stringify(file)).path.length, length);
  }
});

Deno.test("headers are strict Base64 of whole headers", () => {
  const { headers } = sound();
  for (const bad of [...NO_TEXT, 1234, [headers]]) {
    changed({ headers: bad }, "its headers are not a text");
  }
  const base64 = [`${headers}=`, `${headers}\n`, ` ${headers}`, headers.slice(1), "AA==AAAA"];
  base64.push(`${headers.slice(0, -1)}-`, `${headers.slice(0, -1)}_`, "====", "A===");
  for (const bad of base64) changed({ headers: bad }, "its headers are not Base64");
  const cut = [0, 1, HEADER_BYTES - 1, HEADER_BYTES + 1, 5 * HEADER_BYTES - 3];
  for (const length of cut) {
    changed({ headers: new Uint8Array(length).toBase64() }, "its headers are cut off");
  }
});

Deno.test("headers of a chain of a hundred thousand blocks are read", () => {
  const headers = new Uint8Array(100_000 * HEADER_BYTES);
  headers[headers.length - 1] = 7;
  const read = decodeProof(encodeProof({ ...proofs[0], headers })).headers;
  assert.equal(read.length, headers.length);
  assert.equal(read.at(-1), 7);
});

Deno.test("a path holds for its own block, leaf and number of leaves alone", () => {
  for (const proof of proofs) {
    const tip = proof.headers.length / HEADER_BYTES;
    for (let height = 0; height <= tip + 1; height++) {
      assert.equal(pathHolds({ ...proof, height }), height === proof.height, `height ${height}`);
    }
    for (let leafIndex = 0; leafIndex <= proof.leafCount; leafIndex++) {
      assert.equal(pathHolds({ ...proof, leafIndex }), leafIndex === proof.leafIndex);
    }
    assert.equal(pathHolds({ ...proof, leafCount: 0 }), false);
    assert.equal(pathHolds({ ...proof, leafCount: 2 ** 32 - 1 }), false);
    assert.equal(pathHolds({ ...proof, path: [...proof.path, new Uint8Array(32)] }), false);
    assert.equal(pathHolds({ ...proof, path: proof.path.slice(1) }), false);
    assert.equal(pathHolds({ ...proof, height: 2 ** 32 - 1 }), false);
  }
});

Deno.test("the coinbase is no transaction that a proof may be of", () => {
  const [, , { coinbase, header }] = blocks;
  const [transaction, { transaction: sibling, path }] = [fromHex(coinbase.raw), proofs[1]];
  const proof = {
    ...proofs[1],
    transaction,
    leafIndex: 0,
    path: [sha256d(Uint8Array.of(0), sibling), ...path.slice(1)],
  };
  assert.equal(leadsTo(transaction, 0, 5, proof.path, fromHex(header.merkle_root)), true);
  assert.equal(pathHolds(proof), false);
});

Deno.test("one flipped byte of transaction or path leads to no root", () => {
  for (const proof of proofs) {
    for (let at = 0; at < proof.transaction.length; at++) {
      const transaction = flipped(proof.transaction, at, 1 << at % 8);
      assert.equal(pathHolds({ ...proof, transaction }), false, `byte ${at}`);
    }
    for (const [i, sibling] of proof.path.entries()) {
      for (let at = 0; at < sibling.length; at++) {
        const path = proof.path.with(i, flipped(sibling, at, 1 << at % 8));
        assert.equal(pathHolds({ ...proof, path }), false, `byte ${at} of sibling ${i}`);
      }
    }
  }
});
