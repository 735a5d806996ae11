// The keys of this browser with what they hold now, and the field that chooses one of them.

import { formatAmount } from "./amounts.js";
import { byId, make, sentence, tell } from "./dom.js";
import { listKeys, onOthersChange } from "./keystore.js";
import { network } from "./network.js";
import { account, addressText } from "./payment.js";

const select = byId("key");

/** `{name, publicKey, handle, address, state}` each; `state` is null until the node answers. */
export let keys = [];

/** The key that is chosen; undefined: there is none. */
export const chosen = () => keys.find((key) => key.name === select.value);

function draw(preferred) {
  const kept = preferred ?? select.value;
  const fresh = keys.map((key) => {
    const holds = key.state ? ` · ${formatAmount(key.state.spendable)} ${network.symbol}` : "";
    return make("option", { value: key.name }, `${key.name}${holds}`);
  });
  const shown = [...select.options];
  const same = shown.length === fresh.length &&
    fresh.every((each, place) => each.value === shown[place].value);
  if (same) fresh.forEach((each, place) => (shown[place].textContent = each.textContent));
  else select.replaceChildren(...fresh);
  if (keys.some((key) => key.name === kept)) select.value = kept;
  for (const part of document.querySelectorAll("[data-keys-read]")) part.hidden = false;
  for (const part of document.querySelectorAll("[data-needs-key]")) part.hidden = !keys.length;
  for (const part of document.querySelectorAll("[data-without-key]")) part.hidden = keys.length > 0;
}

function told() {
  document.dispatchEvent(new CustomEvent("wallet:keys"));
}

/** Reads the keys again; `preferred` is then chosen. */
export async function reloadKeys(preferred) {
  const found = await listKeys();
  keys = await Promise.all(
    found.map(async (key) => {
      const address = await addressText(key);
      const known = keys.find((each) => each.name === key.name && each.address === address);
      return { ...key, address, state: known?.state ?? null };
    }),
  );
  draw(preferred);
  told();
  await refreshBalances();
}

/** Asks the node what the keys hold; without an answer they keep what they were known to. */
export async function refreshBalances() {
  let problem = "";
  await Promise.all(keys.map(async (key) => {
    try {
      key.state = await account(key.address);
    } catch (error) {
      problem = sentence(error.message);
    }
  }));
  const words = problem && `${problem} What the keys hold may have changed since.`;
  const box = byId("balances-told");
  if (box.textContent !== words) tell(box, "warning", ...(words ? [words] : []));
  draw();
  told();
}

export function choose(name) {
  select.value = name;
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

let timer = null;

/** Events come in crowds; a look at each crowd is enough. */
function soon() {
  timer ??= setTimeout(() => {
    timer = null;
    if (!document.hidden && keys.length) refreshBalances();
  }, 500);
}

for (const event of ["new-block", "new-transaction", "reorg", "refreshed"]) {
  document.addEventListener(`cairn:${event}`, soon);
}

onOthersChange(() => reloadKeys().catch(() => {})); // what cannot be read was told of at the start
