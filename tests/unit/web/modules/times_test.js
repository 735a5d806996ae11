// Ages on a page grow with the clock, unless the person paused the page.

import assert from "node:assert/strict";

import { Element, useDocument } from "./elements.js";

let tick;
globalThis.setInterval = (run) => (tick = run);
const time = new Element("time", { "data-at": "1000" }, "0 s ago");
useDocument(new Element("body", {}, time));
const { ago } = await import("../../../../node/cairn/web/static/js/times.js");

const live = (state) =>
  document.dispatchEvent(new CustomEvent("cairn:live", { detail: { state } }));

function shownAt(seconds) {
  const now = Date.now;
  Date.now = () => seconds * 1_000;
  tick();
  Date.now = now;
  return time.textContent;
}

Deno.test("an age is one number of its largest unit", () => {
  const ages = [-5, 0, 59.9, 60, 3_599, 3_600, 86_399, 86_400];
  const words = ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d"];
  assert.deepEqual(ages.map(ago), words.map((each) => `${each} ago`));
});

Deno.test("ages stand still while the page is paused", () => {
  assert.equal(shownAt(1_005), "5 s ago");
  live("paused");
  assert.equal(shownAt(1_090), "5 s ago");
  live("live");
  assert.equal(shownAt(1_095), "1 min ago");
});
