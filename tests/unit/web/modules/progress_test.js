// The list that shows where a sent transaction is, while the chain moves under it.

import assert from "node:assert/strict";

import { Element, useDocument } from "./elements.js";

const ID = "ab".repeat(32);

let answer = null;
globalThis.fetch = () => {
  if (answer === null) return Promise.reject(new TypeError("no connection"));
  if (answer === 404) return Promise.resolve(Response.json({ code: "not-found" }, { status: 404 }));
  return Promise.resolve(Response.json(answer));
};
const polls = new Set();
globalThis.setInterval = (run) => {
  polls.add(run);
  return run;
};
globalThis.clearInterval = (run) => polls.delete(run);

const root = new Element("body", {}, new Element("template", { id: "copy-template" }));
root.getElementById("copy-template").content = {
  firstElementChild: { cloneNode: () => new Element("button") },
};
root.createElement = (name) => new Element(name);
useDocument(root);
const { showProgress } = await import("../../../../node/cairn/web/static/js/progress.js");

const waiting = { status: "waiting" };
const mined = (height, confirmations) => ({
  status: "mined",
  block: { height, hash: String(height).repeat(64) },
  confirmations,
});

async function settled() {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Shows a transaction from the start; says how to go on, what shows, and which steps were told. */
async function shown(first) {
  const place = new Element("div");
  const told = [];
  answer = first;
  showProgress(place, ID, ({ step }) => told.push(step));
  await settled();
  return {
    told,
    text: () => place.textContent,
    block: () =>
      [...place.inside()].map((each) => each.attributes.href ?? "")
        .find((href) => href.startsWith("/block/")),
    trouble: () => place.childNodes[1].hidden ? "" : place.childNodes[1].textContent,
    async reorg(next) {
      answer = next;
      root.dispatchEvent(new Event("cairn:reorg"));
      await settled();
    },
    async poll(next) {
      answer = next;
      for (const run of polls) run();
      await settled();
    },
  };
}

Deno.test("what a reorganisation puts into another block leads to that block", async () => {
  const page = await shown(mined(5, 1));
  assert.equal(page.block(), `/block/${"5".repeat(64)}`);
  await page.reorg(mined(6, 1));
  assert.equal(page.block(), `/block/${"6".repeat(64)}`);
  assert.deepEqual(page.told, ["waiting", "mined", "mined"]);
});

Deno.test("what a reorganisation takes out of the chain waits again", async () => {
  const page = await shown(mined(5, 3));
  assert.match(page.text(), /3 of 6 confirmations/);
  await page.reorg(waiting);
  assert.match(page.text(), /Waiting in the pool/);
  assert.equal(page.block(), undefined);
  assert.deepEqual(page.told, ["waiting", "mined", "waiting"]);
});

Deno.test("a confirmed one is asked for no more", async () => {
  const page = await shown(mined(5, 6));
  assert.match(page.text(), /Confirmed: 6 of 6/);
  await page.reorg(waiting);
  await page.poll(waiting);
  assert.deepEqual(page.told, ["waiting", "confirmed"]);
});

Deno.test("one that is nowhere is lost only after a while, and may come back", async () => {
  const page = await shown(waiting);
  for (let look = 1; look < 6; look++) await page.poll(404);
  assert.equal(page.trouble(), "");
  await page.poll(404);
  assert.match(page.trouble(), /neither pool nor chain/);
  await page.poll(mined(7, 1));
  assert.equal(page.trouble(), "");
  assert.equal(page.block(), `/block/${"7".repeat(64)}`);
});

Deno.test("a node that does not answer leaves what was known, and says so", async () => {
  const page = await shown(mined(5, 2));
  await page.poll(null);
  assert.match(page.trouble(), /does not answer/);
  assert.equal(page.block(), `/block/${"5".repeat(64)}`);
  await page.poll(mined(5, 2));
  assert.equal(page.trouble(), "");
});
