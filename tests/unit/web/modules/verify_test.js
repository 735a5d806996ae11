// The Verify page where files are exchanged while others are still being read.

import assert from "node:assert/strict";

import { answers } from "./page.js";

import { encodeProof } from "../../../../node/cairn/web/static/js/prooffile.js";
import { proofOf, read, REGTEST } from "./chain.js";

/** As much of an element as the page's module touches. */
class Part {
  children = [];
  dataset = {};
  files = [];
  listeners = {};

  addEventListener(type, listener) {
    this.listeners[type] = listener;
  }
  append(...children) {
    this.children.push(...children);
    for (const child of children) if (child instanceof Part) child.parent = this;
  }
  closest() {
    return this;
  }
  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }
  replaceWith(other) {
    const { parent } = this;
    parent.replaceChildren(...parent.children.map((child) => (child === this ? other : child)));
  }
  setAttribute() {}
}

const parts = new Map();
const byId = document.getElementById;
document.createElement = () => new Part();
document.getElementById = (id) => byId(id) ?? parts.get(id) ?? parts.set(id, new Part()).get(id);
await import("../../../../node/cairn/web/static/js/verify.js");

const part = (id) => document.getElementById(id);
const says = () => part("verify-told").children.join("");

/** The person picks this file; the page has done all that it can do at once when it comes back. */
async function pick(id, file) {
  part(id).files = [file];
  part(id).listeners.change();
  await new Promise((resolve) => setTimeout(resolve));
}

async function until(words) {
  for (let turns = 0; !says().startsWith(words); turns++) {
    assert.ok(turns < 200, `${words} … is not said, but: ${says()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A file that stays unread until it is told to fail. */
function slowFile() {
  let reading;
  const stream = new ReadableStream({ start: (controller) => (reading = controller) });
  return {
    name: "slow",
    size: 9,
    stream: () => stream,
    fail: () => reading.error(new Error("gone")),
  };
}

const proof = () => new File([encodeProof(proofOf(read("proofs")[0]))], "proof.json");

Deno.test("a file that fails to be read is told", async () => {
  answers.set("/api/v1/genesis", REGTEST);
  const file = slowFile();
  await pick("file", file);
  await pick("proof", proof());
  file.fail();
  await until("The file cannot be read any more");
});

Deno.test("what becomes of files that were exchanged is told no more", async () => {
  const old = slowFile();
  await pick("file", old);
  await pick("proof", proof());
  await pick("file", new File(["other"], "other"));
  await until("Not proven");
  old.fail();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(says(), "Not proven: what failed is marked below.");
});
