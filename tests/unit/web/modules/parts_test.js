// Fresh copies of parts of a page: the focus stays where it was, changes of state are announced.

import assert from "node:assert/strict";

import { Element, useDocument } from "./elements.js";
import { replace } from "../../../../node/cairn/web/static/js/parts.js";

const element = (name, attributes, ...children) => new Element(name, attributes, ...children);

/** A row of the operator's nodes: a form with hidden fields around its button. */
const node = (name) =>
  element(
    "tr",
    { "data-key": name },
    element("button", { "data-copy": name }),
    element(
      "form",
      {},
      element("input", { type: "hidden" }),
      element("button", {}, `ban ${name}`),
    ),
  );

/** A row of blocks: all of them of one miner. */
const block = (hash) =>
  element(
    "tr",
    { "data-key": hash },
    element("a", { href: `/block/${hash}` }, hash),
    element("a", { href: "/address/miner" }, `miner of ${hash}`),
  );

const part = (rows, says = "") =>
  element(
    "div",
    { id: "part", "data-says": says },
    ...rows,
    element("a", { href: "/older" }, "older"),
  );

/** Replaces `old` by `fresh` while the control with this text has the focus; what has it then. */
function focusAfter(text, old, fresh) {
  useDocument(element("body", {}, old, element("div", { id: "announcer" })));
  [...old.inside()].find((each) => each.textContent === text && ["a", "button"].includes(each.name))
    .focus();
  replace(old, fresh);
  return document.activeElement;
}

Deno.test("the focus stays on the same button of the same row, past hidden fields", () => {
  for (const [before, after] of [["abc", "abcd"], ["abc", "xabc"], ["abc", "cab"]]) {
    const fresh = part([...after].map(node));
    const found = focusAfter("ban b", part([...before].map(node)), fresh);
    assert.equal(found.textContent, "ban b");
  }
});

Deno.test("the focus stays in its row where others have the same link", () => {
  const found = focusAfter("miner of c", part([..."abc"].map(block)), part([..."xabc"].map(block)));
  assert.equal(found.textContent, "miner of c");
  const outside = focusAfter("older", part([..."abc"].map(block)), part([..."xabcd"].map(block)));
  assert.equal(outside.textContent, "older");
});

Deno.test("the focus of a row that is gone goes to no other row but stays at the part", () => {
  const old = part([..."abc"].map(node));
  assert.equal(focusAfter("ban b", old, part([..."ac"].map(node))), old);
  assert.equal(old.tabIndex, -1);
});

Deno.test("a focus elsewhere is left alone", () => {
  const [old, other] = [part([node("a")]), element("button", {}, "other")];
  useDocument(element("body", {}, old, other, element("div", { id: "announcer" })));
  other.focus();
  replace(old, part([node("b")]));
  assert.equal(document.activeElement, other);
});

Deno.test("what a part says is announced when it changes, and only then", () => {
  const [old, announcer] = [part([], "waits"), element("div", { id: "announcer" })];
  useDocument(element("body", {}, old, announcer));
  replace(old, part([node("a")], "waits"));
  assert.equal(announcer.textContent, "");
  replace(old, part([node("a")], "in a block"));
  assert.equal(announcer.textContent, "in a block");
  assert.equal(old.dataset.says, "in a block");
});
