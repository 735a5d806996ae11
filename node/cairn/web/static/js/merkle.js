// The merkle path of a block (RFC 6962's tree, SHA-256d): from a leaf up to the root.

import { toHex } from "./bytes.js";
import { sha256d } from "./sha256.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Whether the leaf's bytes stand at `index` of a tree of `count` leaves under `root`. */
export function leadsTo(leaf, index, count, path, root) {
  if (index < 0 || index >= count) return false;
  let node = sha256d(LEAF, leaf);
  let at = index;
  let used = 0;
  for (let last = count - 1; last > 0; last = Math.floor(last / 2), at = Math.floor(at / 2)) {
    if (at % 2 === 0 && at === last) continue; // without a sibling it goes up as it is
    if (used === path.length) return false;
    const sibling = path[used++];
    node = at % 2 ? sha256d(NODE, sibling, node) : sha256d(NODE, node, sibling);
  }
  return used === path.length && toHex(node) === toHex(root);
}
