// The keys of the wallet page: the list, and the dialogs that make, import and remove keys.

import { formatAmount } from "./amounts.js";
import { byId, hash, make, mark, save, sentence, tell } from "./dom.js";
import { choose, keys, reloadKeys } from "./keychoice.js";
import { encrypted, isEncrypted, MAX_TEXT, PassphraseError } from "./keyfile.js";
import { createKey, importKey } from "./keys.js";
import { checkedName, keepForGood, keepKey, removeKey } from "./keystore.js";
import { network } from "./network.js";

const told = byId("keys-told");

// -- the list --------------------------------------------------------------------------------

function pendingText({ balance, spendable, incoming }) {
  const parts = [];
  if (incoming) parts.push(`${formatAmount(incoming)} coming in`);
  if (balance !== spendable) parts.push(`${formatAmount(balance - spendable)} going out`);
  return parts.length ? `Waiting for a block: ${parts.join(", ")}` : "";
}

function action(name, label, key) {
  const button = make(
    "button",
    { class: "btn btn-outline-secondary btn-sm", type: "button" },
    name,
  );
  button.setAttribute("aria-label", label);
  button.dataset.key = key.name;
  button.dataset.action = name.toLowerCase();
  return button;
}

function faucetLink(key) {
  const attributes = {
    class: "btn btn-outline-secondary btn-sm",
    href: `/faucet?address=${key.address}`,
    "aria-label": `Get coins for ${key.name} at the faucet`,
  };
  return make("a", attributes, "Get coins");
}

function item(key) {
  const holds = key.state ? formatAmount(key.state.balance) : "…";
  const balance = make(
    "span",
    { class: "key-balance amount" },
    `${holds} `,
    make("span", { class: "unit" }, network.symbol),
  );
  const pending = key.state ? pendingText(key.state) : "";
  return make(
    "li",
    { "data-name": key.name, "data-address": key.address },
    make("span", { class: "key-name" }, key.name),
    balance,
    hash(key.address, `/address/${key.address}`, `the address of ${key.name}`),
    make(
      "span",
      { class: "key-actions" },
      ...(network.hasFaucet ? [faucetLink(key)] : []),
      action("Send", `Send from ${key.name}`, key),
      action("Remove", `Remove ${key.name}`, key),
    ),
    ...(pending ? [make("span", { class: "key-pending" }, pending)] : []),
  );
}

/** Moves what a key holds from a fresh item into the one on the page: its buttons stay theirs. */
function refreshItem(shown, fresh) {
  shown.querySelector(".key-balance").replaceWith(fresh.querySelector(".key-balance"));
  shown.querySelector(".key-pending")?.remove();
  shown.append(...fresh.querySelectorAll(".key-pending"));
}

/** Draws the list anew only when other keys are in it; a button that has focus keeps it. */
function drawList() {
  const shown = [...byId("keys").children];
  const fresh = keys.map(item);
  const same = shown.length === fresh.length &&
    fresh.every(({ dataset }, place) =>
      dataset.name === shown[place].dataset.name && dataset.address === shown[place].dataset.address
    );
  if (same) fresh.forEach((each, place) => refreshItem(shown[place], each));
  else redrawList(fresh);
}

function redrawList(fresh) {
  const { key, action: name } = document.activeElement?.dataset ?? {};
  byId("keys").replaceChildren(...fresh);
  if (!key) return;
  const same = (button) => button.dataset.key === key && button.dataset.action === name;
  [...byId("keys").querySelectorAll("button")].find(same)?.focus();
}

function act(event) {
  const { key, action: name } = event.target.closest("button[data-key]")?.dataset ?? {};
  if (name === "send") {
    choose(key);
    byId("recipient").focus();
  }
  if (name === "remove") askToRemove(key);
}

// -- dialogs ---------------------------------------------------------------------------------

/** Passphrases and keys do not stay in fields that nobody sees. */
function opens(button, dialog, form) {
  button.addEventListener("click", () => {
    form.reset();
    for (const field of form.querySelectorAll(".is-invalid")) mark(field, null);
    dialog.showModal();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => form.reset());
}

/** Runs `work` for a form once at a time; its button waits meanwhile. */
function submits(form, button, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      await work();
    } finally {
      button.disabled = false;
    }
  });
}

/** Marks the field with what `check` throws, and goes there; whether it was right. */
function right(field, check) {
  try {
    check();
    mark(field, null);
    return true;
  } catch (error) {
    mark(field, error.message);
    field.focus();
    return false;
  }
}

function checkFree(field) {
  const name = checkedName(field.value);
  if (keys.some((key) => key.name === name)) {
    throw new Error(`There is a key named ${name} already.`);
  }
  return name;
}

function must(condition, words) {
  if (!condition) throw new Error(words);
}

// -- making a key ----------------------------------------------------------------------------

async function makeKey() {
  const [field, first, again] = ["make-name", "make-passphrase", "make-again"].map(byId);
  const without = byId("make-without").checked;
  const sound = right(field, () => checkFree(field)) &&
    right(
      first,
      () => must(without || first.value, "Choose a passphrase, or go without a backup."),
    ) &&
    right(again, () => must(without || again.value === first.value, "The two are not the same."));
  if (!sound) return;
  const name = checkedName(field.value);
  const passphrase = first.value; // the form forgets it when it is closed
  let backup = null;
  try {
    const key = await createKey(
      without ? null : async (pkcs8) => {
        backup = await encrypted(pkcs8, passphrase);
      },
    );
    if (!byId("make-dialog").open) return; // given up meanwhile
    await keepKey(name, key);
  } catch (error) {
    tell(byId("make-told"), "danger", sentence(error.message));
    return;
  }
  byId("make-dialog").close();
  if (backup) await handOut(`${name}.pem`, backup);
  await kept(
    name,
    backup
      ? `Made ${name}. Its backup is the file ${name}.pem; try it with ` +
        `“cairn wallet import ${name}.pem”.`
      : `Made ${name}, without a backup.`,
  );
}

/** Saves the backup, as often as the person asks: it cannot be made again. */
function handOut(file, backup) {
  const dialog = byId("backup-dialog");
  const write = () => save(file, backup, "application/x-pem-file");
  byId("backup-name").textContent = file;
  byId("backup-save").onclick = write;
  return new Promise((resolve) => {
    dialog.addEventListener("close", resolve, { once: true });
    dialog.showModal();
    write();
  });
}

async function kept(name, words) {
  const forGood = await keepForGood();
  const more = forGood ? "" : " The browser may clear its keys when it is short of space.";
  tell(told, "success", words + more);
  await reloadKeys(name);
  byId("keys-heading").focus();
}

// -- importing a key -------------------------------------------------------------------------

async function readFile() {
  const [file] = byId("import-file").files;
  if (!file) return;
  const text = byId("import-text");
  if (!right(text, () => must(file.size <= MAX_TEXT, "This is longer than any key file."))) return;
  text.value = await file.text();
  const name = file.name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]/g, "-").slice(0, 40);
  if (!byId("import-name").value) byId("import-name").value = name;
  lookAtText();
}

function lookAtText() {
  const under = isEncrypted(byId("import-text").value);
  byId("import-secret").hidden = !under;
  mark(byId("import-text"), null);
}

async function importIt() {
  const [text, passphrase, field] = ["import-text", "import-passphrase", "import-name"].map(byId);
  lookAtText();
  if (!right(text, () => must(text.value.trim(), "Choose a file, or paste a key."))) return;
  let key;
  try {
    key = await importKey(text.value, passphrase.value);
    mark(passphrase, null);
  } catch (error) {
    const wrong = error instanceof PassphraseError ? passphrase : text;
    mark(wrong, error.message);
    wrong.focus();
    return;
  }
  if (!right(field, () => checkFree(field))) return;
  const name = checkedName(field.value);
  try {
    await keepKey(name, key);
  } catch (error) {
    mark(field, error.message);
    return;
  }
  byId("import-dialog").close();
  await kept(name, `Imported ${name}. Keep the file it came from: it is the backup.`);
}

// -- removing a key --------------------------------------------------------------------------

let removing = null;

function askToRemove(name) {
  removing = keys.find((key) => key.name === name);
  const { state } = removing;
  const holds = state ? ` It holds ${formatAmount(state.balance)} ${network.symbol}.` : "";
  byId("delete-heading").textContent = `Remove the key ${name}?`;
  byId("delete-text").textContent =
    `It goes from this browser for good.${holds} Without a backup nobody can spend that again.`;
  byId("delete-dialog").returnValue = "";
  byId("delete-dialog").showModal();
}

async function removed() {
  if (byId("delete-dialog").returnValue !== "remove") return;
  try {
    const { name } = removing;
    if (await removeKey(removing)) tell(told, "info", `Removed ${name}.`);
    else {
      const words = `Another page of this node changed ${name} meanwhile. Nothing was removed: ` +
        "look at the keys as they are now.";
      tell(told, "warning", words);
    }
    await reloadKeys();
  } catch (error) {
    tellNoKeys(error);
  }
  byId("keys-heading").focus();
}

/** The browser does not hand out its keys, or does not change them. */
export function tellNoKeys(error) {
  tell(
    told,
    "danger",
    `${sentence(error.message)} The keys of this browser cannot be read: allow this site to keep ` +
      "data, leave the private window, or close other pages of this node, and reload.",
  );
}

/** Puts the list and its dialogs to work. */
export function startKeys() {
  document.addEventListener("wallet:keys", drawList);
  byId("keys").addEventListener("click", act);
  opens(byId("open-make"), byId("make-dialog"), byId("make"));
  byId("backup-dialog").addEventListener("cancel", (event) => event.preventDefault());
  byId("backup-done").addEventListener("click", () => byId("backup-dialog").close());
  opens(byId("open-import"), byId("import-dialog"), byId("import"));
  submits(byId("make"), byId("make-submit"), makeKey);
  submits(byId("import"), byId("import-submit"), importIt);
  byId("import-file").addEventListener("change", readFile);
  byId("import-text").addEventListener("input", lookAtText);
  byId("delete-dialog").addEventListener("close", removed);
}
