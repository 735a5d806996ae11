// The button that has the node check every waiting transaction again, and its result as a table.

import { byId, hash, make } from "./dom.js";
import { ask } from "./node.js";

const button = byId("check-pool");
const summary = byId("check-summary");
const table = byId("check-faults");
const rows = byId("check-rows");
const MAX_ROWS = 200;

const count = (number, word) => `${number.toLocaleString("en")} ${word}`;

/** Asks page by page; `tell` hears how many were checked so far. */
async function check(tell) {
  let cursor = null;
  let checked = 0;
  const faults = [];
  do {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const page = await ask(`pool/check${query}`);
    checked += page.checked;
    faults.push(...page.problems);
    cursor = page.next;
    tell(checked);
  } while (cursor !== null);
  return { checked, faults };
}

function row({ id, problem }) {
  return make(
    "tr",
    {},
    make("td", {}, hash(id, `/transaction/${id}`, "the transaction's id")),
    make("td", {}, problem.code),
    make("td", {}, problem.detail),
  );
}

function show({ checked, faults }) {
  const sound = checked - faults.length;
  const cut = faults.length > MAX_ROWS ? ` The first ${MAX_ROWS} are listed.` : "";
  summary.textContent = faults.length
    ? `${count(checked, "checked")}, ${count(sound, "sound")}, ${
      count(faults.length, "with a problem")
    }.${cut}`
    : `✓ ${count(checked, "checked")}, all of them sound.`;
  rows.replaceChildren(...faults.slice(0, MAX_ROWS).map(row));
  table.hidden = !faults.length;
}

button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    show(await check((checked) => (summary.textContent = `${count(checked, "checked")} …`)));
  } catch (error) {
    summary.textContent = `Not all was checked. ${error.message} Try again.`;
  } finally {
    button.disabled = false;
  }
});
