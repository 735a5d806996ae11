// The button that has the node check its pool: page by page, and in plain words.

import assert from "node:assert/strict";

import { answers } from "./page.js";
import { Element, useDocument } from "./elements.js";

const element = (name, attributes, ...children) => new Element(name, attributes, ...children);
const ids = ["check-pool", "check-summary", "check-faults", "check-rows"];
const parts = Object.fromEntries(ids.map((id) => [id, element("div", { id, hidden: "" })]));
const template = element("template", { id: "copy-template" });
template.content = { firstElementChild: { cloneNode: () => element("button", {}) } };
useDocument(element("body", {}, ...Object.values(parts), template));
document.createElement = (name) => element(name);
await import("../../../../node/cairn/web/static/js/pool.js");

const PATH = "/api/v1/pool/check";
const ID = "ab".repeat(32);
const problem = { code: "signature-invalid", detail: "it does not fit" };

async function press() {
  parts["check-pool"].dispatchEvent(new Event("click"));
  while (parts["check-pool"].disabled) await new Promise((resolve) => setTimeout(resolve));
  return parts["check-summary"].textContent;
}

Deno.test("all pages are asked for, and what is wrong is listed", async () => {
  answers.set(PATH, { checked: 2, problems: [], next: "a b" });
  answers.set(`${PATH}?cursor=a%20b`, { checked: 1, problems: [{ id: ID, problem }], next: null });
  assert.equal(await press(), "3 checked, 2 sound, 1 with a problem.");
  assert.equal(parts["check-faults"].hidden, false);
  const [row] = parts["check-rows"].childNodes;
  assert.match(row.textContent, /^abababab…abababab.*signature-invalid.*it does not fit$/);
});

Deno.test("a sound pool has no list", async () => {
  answers.set(PATH, { checked: 2, problems: [], next: null });
  assert.equal(await press(), "✓ 2 checked, all of them sound.");
  assert.equal(parts["check-faults"].hidden, true);
});

Deno.test("a node that is away or refuses is told in the words of all pages", async () => {
  answers.set(PATH, () => {
    throw new TypeError("Failed to fetch");
  });
  assert.match(await press(), /The node does not answer\. Is it running.*Try again\.$/);
  answers.set(PATH, 503);
  assert.match(await press(), /The node refuses: told\. Try again\.$/);
});
