// The list that shows where a sent transaction is: sent, mined, confirmed.

import { hash, make, tell } from "./dom.js";
import { follow, WANTED_CONFIRMATIONS } from "./follow.js";

const MARKS = { done: "✓", now: "…", later: "○" };
const STATES = { done: "done", now: "now", later: "to come" };

function item(state, ...content) {
  return make(
    "li",
    { class: `step step-${state}` },
    make("span", { class: "step-mark", "aria-hidden": "true" }, MARKS[state]),
    make("span", { class: "visually-hidden" }, `${STATES[state]}: `),
    make("span", {}, ...content),
  );
}

function minedItem({ height, hash: block }) {
  if (height === undefined) return item("now", "Waiting in the pool for a block");
  const number = height.toLocaleString("en");
  return item("done", "In block ", make("a", { href: `/block/${block}` }, number));
}

function confirmedItem({ step, confirmations = 0 }) {
  const words = `${Math.min(confirmations, WANTED_CONFIRMATIONS)} of ${WANTED_CONFIRMATIONS}`;
  if (step === "confirmed") return item("done", `Confirmed: ${words} blocks`);
  return item(confirmations ? "now" : "later", `${words} confirmations`);
}

const TROUBLE = {
  away: "The node does not answer just now. What was sent stays sent; this page goes on asking.",
  lost: "The transaction is in neither pool nor chain: it was pushed out, or another of this key " +
    "took its place. Look at the key's history before you send again.",
};
let stopLast = () => {};

/** Shows in `root` how the transaction `id` fares; `seen` is called with each state of it. */
export function showProgress(root, id, seen = () => {}) {
  stopLast();
  const list = make("ol", { class: "steps" });
  const trouble = make("div", { hidden: true });
  let shown = {};
  const draw = (state) => {
    const wrong = TROUBLE[state.step];
    tell(trouble, "warning", ...(wrong ? [wrong] : []));
    if (!wrong) {
      const first = item(
        "done",
        "Sent: the node has it, ",
        hash(id, `/transaction/${id}`, "the id"),
      );
      list.replaceChildren(first, minedItem(state), confirmedItem(state));
      shown = state;
    }
    seen(state);
  };
  root.replaceChildren(list, trouble);
  draw({ step: "waiting" });
  stopLast = follow(id, (state) => {
    const same = ["step", "hash", "confirmations"].every((name) => state[name] === shown[name]) &&
      trouble.hidden;
    if (!same) draw(state);
  });
}
