// Merkle paths against the frozen vectors: trees of 1 to 17 leaves, most of them not full.

import assert from "node:assert/strict";

import { concat, fromHex, toHex } from "../../../../node/cairn/web/static/js/bytes.js";
import { leadsTo } from "../../../../node/cairn/web/static/js/merkle.js";
import { sha256d } from "../../../../node/cairn/web/static/js/sha256.js";
import { blocks, flipped, read } from "./chain.js";

const trees = read("merkle").map(({ leaves, root, paths }) => ({
  leaves: leaves.map(fromHex),
  count: leaves.length,
  root: fromHex(root),
  paths: paths.map((path) => path.map(fromHex)),
}));

function* places() {
  for (const tree of trees) {
    for (const [index, leaf] of tree.leaves.entries()) {
      yield { ...tree, leaf, index, path: tree.paths[index] };
    }
  }
}

Deno.test("every leaf's path leads to its root", () => {
  const sizes = trees.map(({ count }) => count);
  assert.deepEqual(sizes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17]);
  for (const { leaf, index, count, path, root } of places()) {
    assert.equal(leadsTo(leaf, index, count, path, root), true, `leaf ${index} of ${count}`);
  }
});

Deno.test("a block's transactions lead to the root in its header", () => {
  const [, , { coinbase, transactions, header }] = blocks;
  const leaves = [coinbase.raw, ...transactions].map(fromHex);
  assert.equal(leaves.length, 5);
  const hashes = leaves.map((leaf) => sha256d(Uint8Array.of(0), leaf));
  const node = (left, right) => sha256d(Uint8Array.of(1), left, right);
  const [low, high] = [node(hashes[0], hashes[1]), node(hashes[2], hashes[3])];
  const root = node(node(low, high), hashes[4]); // the fifth goes up as it is
  assert.equal(toHex(root), header.merkle_root);
  assert.equal(leadsTo(leaves[4], 4, 5, [node(low, high)], root), true);
  assert.equal(leadsTo(leaves[2], 2, 5, [hashes[3], low, hashes[4]], root), true);
});

Deno.test("a path holds at no other place, and outside no tree", () => {
  for (const { leaf, index, count, path, root } of places()) {
    for (let other = -1; other <= count + 1; other++) {
      if (other === index) continue;
      assert.equal(leadsTo(leaf, other, count, path, root), false, `${index} as ${other}/${count}`);
    }
    assert.equal(leadsTo(leaf, index, 0, path, root), false);
  }
});

Deno.test("a path that is too short or too long holds nowhere", () => {
  for (const { leaf, index, count, path, root } of places()) {
    const where = `leaf ${index} of ${count}`;
    if (path.length) {
      assert.equal(leadsTo(leaf, index, count, path.slice(0, -1), root), false, where);
      assert.equal(leadsTo(leaf, index, count, path.slice(1), root), false, where);
    }
    assert.equal(leadsTo(leaf, index, count, [...path, root], root), false, where);
    assert.equal(leadsTo(leaf, index, count, [root, ...path], root), false, where);
    assert.equal(leadsTo(leaf, index, 2 ** 32 - 1, path, root), false, where);
  }
});

Deno.test("siblings hold in their own order alone", () => {
  let swaps = 0;
  for (const { leaf, index, count, path, root } of places()) {
    for (let i = 1; i < path.length; i++, swaps++) {
      const swapped = path.slice();
      [swapped[i - 1], swapped[i]] = [path[i], path[i - 1]];
      assert.equal(leadsTo(leaf, index, count, swapped, root), false, `${index} of ${count}`);
    }
  }
  assert.ok(swaps > 150, `${swaps}`);
});

Deno.test("left and right are not the same", () => {
  const { leaves: [left, right], paths, root } = trees[1];
  assert.equal(leadsTo(left, 1, 2, paths[0], root), false);
  assert.equal(leadsTo(right, 0, 2, paths[1], root), false);
  const hashes = [left, right].map((leaf) => sha256d(Uint8Array.of(0), leaf));
  const turned = sha256d(Uint8Array.of(1), hashes[1], hashes[0]);
  assert.equal(leadsTo(left, 0, 2, paths[0], turned), false);
});

Deno.test("one other byte of leaf, sibling or root is noticed", () => {
  for (const { leaf, index, count, path, root } of places()) {
    const at = (index * 7 + count) % 32;
    const where = `leaf ${index} of ${count}, byte ${at}`;
    assert.equal(leadsTo(leaf, index, count, path, flipped(root, at)), false, where);
    assert.equal(leadsTo(concat(leaf, Uint8Array.of(0)), index, count, path, root), false, where);
    if (leaf.length) assert.equal(leadsTo(flipped(leaf, 0), index, count, path, root), false);
    for (const [i, sibling] of path.entries()) {
      const other = path.with(i, flipped(sibling, at, 0x80));
      assert.equal(leadsTo(leaf, index, count, other, root), false, `${where} of sibling ${i}`);
    }
  }
});

Deno.test("an odd last leaf is not its own sibling, and no node poses as a leaf", () => {
  const { leaves, root } = trees[2];
  const hashes = leaves.map((leaf) => sha256d(Uint8Array.of(0), leaf));
  const [low, high] = [hashes.slice(0, 2), [hashes[2], hashes[2]]].map((two) =>
    sha256d(Uint8Array.of(1), ...two)
  );
  assert.equal(leadsTo(leaves[2], 2, 3, [low], root), true);
  // CVE-2012-2459: the tree that has the third leaf twice has another root, and no path to this.
  const twice = sha256d(Uint8Array.of(1), low, high);
  assert.equal(leadsTo(leaves[2], 3, 4, [hashes[2], low], twice), true);
  assert.equal(leadsTo(leaves[2], 3, 4, [hashes[2], low], root), false);
  assert.equal(leadsTo(leaves[2], 2, 3, [low], twice), false);
  assert.equal(leadsTo(concat(hashes[0], hashes[1]), 0, 2, [hashes[2]], root), false);
});
