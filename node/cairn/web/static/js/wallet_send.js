// Sending from the wallet page: a form that is checked while it is filled, a review of what is
// signed, and how it fares.

import { formatAmount, parseAmount } from "./amounts.js";
import { decodeAddress, encodeAddress, toHex } from "./bytes.js";
import { byId, fillFacts, goTo, make, mark, sentence, tell } from "./dom.js";
import { FeeField } from "./fees.js";
import { chosen, keys, refreshBalances } from "./keychoice.js";
import { network } from "./network.js";
import { ARRIVED, draft, handIn, sizeWith } from "./payment.js";
import { showProgress } from "./progress.js";
import { Turns } from "./turns.js";

const form = byId("send");
const steps = ["step-form", "step-review", "step-status"].map(byId);
const [formStep, reviewStep, statusStep] = steps;
const recipient = byId("recipient");
const amount = byId("amount");
const note = byId("note");
const coins = (units) => `${formatAmount(units)} ${network.symbol}`;
const noteBytes = () => new TextEncoder().encode(note.value);

let fee = null;
let current = null; // what is reviewed

// -- checks ----------------------------------------------------------------------------------

function checkRecipient() {
  const text = recipient.value.trim();
  if (!text) throw new Error(`Type an address: it begins with ${network.prefix}1.`);
  return decodeAddress(network.prefix, text);
}

function checkAmount() {
  const units = parseAmount(amount.value);
  if (!units && !note.value) throw new Error("Give an amount above 0, or a note.");
  const state = chosen()?.state;
  if (state && fee.check() && units + fee.value > state.spendable) {
    throw new Error(`The key can spend ${coins(state.spendable)} now, the fee included.`);
  }
  return units;
}

function checkNote() {
  const data = noteBytes();
  if (data.length > network.maxData) {
    throw new Error(`${data.length} bytes, at most ${network.maxData}.`);
  }
  return data;
}

const CHECKS = [[recipient, checkRecipient], [amount, checkAmount], [note, checkNote]];

/** What a check answers; undefined where the field is wrong, which is then marked. */
function checked(field, check) {
  try {
    const value = check();
    mark(field, null);
    return value;
  } catch (error) {
    mark(field, sentence(error.message));
    return undefined;
  }
}

/** An empty field is not called wrong before the person asks for the review. */
function checkFilled() {
  for (const [field, check] of CHECKS) {
    if (field.value) checked(field, check);
    else mark(field, null);
  }
}

function hint() {
  const used = noteBytes().length;
  byId("note-hint").textContent = `${used} of ${network.maxData} bytes`;
  const state = chosen()?.state;
  byId("amount-hint").textContent = state ? `Can spend now: ${coins(state.spendable)}` : "";
}

function changed() {
  fee.draw();
  hint();
  checkFilled();
}

// -- review ----------------------------------------------------------------------------------

function noteFact(data) {
  if (!data.length) return "none";
  return make("span", { class: "note" }, new TextDecoder().decode(data));
}

/** Only what is signed is shown: the fields of the form may have been changed meanwhile. */
function showReview({ key, fields, bytes, left }) {
  const size = sizeWith(fields.data.length);
  const to = encodeAddress(network.prefix, fields.recipient);
  const own = key.address === to;
  const fact = (text) => make("span", { class: "hash" }, text);
  fillFacts(byId("review-facts"), [
    ["From", make("span", {}, make("strong", {}, key.name), " ", fact(key.address))],
    ["To", make("span", {}, fact(to), own ? " (this key)" : "")],
    ["Amount", make("strong", {}, coins(fields.amount))],
    ["Fee", `${coins(fields.fee)} for ${size} bytes`],
    ["Leaves the key", coins(fields.amount + fields.fee)],
    ["Left after it", coins(left)],
    ["Note", noteFact(fields.data)],
    ["Sequence", `${fields.sequence}: so many transactions of the key come before it`],
    ["Dated", new Date(fields.timestamp * 1000).toISOString().replace(/\.\d+Z/, "Z")],
    ["Network", make("span", {}, network.name, " ", fact(network.id))],
  ]);
  byId("review-bytes").textContent = toHex(bytes);
}

async function review() {
  const values = CHECKS.map(([field, check]) => checked(field, check));
  const wrong = CHECKS.findIndex((_, i) => values[i] === undefined);
  if (wrong >= 0) {
    CHECKS[wrong][0].focus();
    return;
  }
  if (!fee.check()) {
    fee.focus();
    return;
  }
  const [to, units, data] = values;
  const order = { recipient: to, amount: units, fee: fee.value, data };
  const drafted = await draft(chosen(), order);
  if (drafted.arrived) {
    showSent(drafted.arrived, ARRIVED);
    return;
  }
  current = drafted;
  showReview(current);
  tell(byId("review-told"), "danger");
  goTo(steps, reviewStep);
}

// -- signing and sending ---------------------------------------------------------------------

async function send() {
  const id = await handIn(current);
  current = null;
  showSent(id);
  await refreshBalances();
}

function showSent(id, words = "") {
  tell(byId("status-told"), "info", ...(words ? [words] : []));
  showProgress(byId("progress"), id);
  goTo(steps, statusStep);
}

const turns = new Turns();

function startAgain() {
  form.reset();
  byId("fee-own").hidden = true;
  changed();
  goTo(steps, formStep);
}

/** Puts the form, the review and the status to work. */
export function startSending() {
  fee = new FeeField(() => noteBytes().length, () => {
    hint();
    checkFilled();
  });
  form.addEventListener("input", (event) => {
    if (event.target !== byId("fee")) changed();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (keys.length) turns.take(byId("review"), byId("form-told"), review);
  });
  byId("sign").addEventListener("click", () => turns.take(byId("sign"), byId("review-told"), send));
  byId("change").addEventListener("click", () => {
    if (!turns.busy) goTo(steps, formStep);
  });
  byId("again").addEventListener("click", startAgain);
  byId("key").addEventListener("change", changed); // a script's choice is no input
  document.addEventListener("wallet:keys", hint);
  document.addEventListener("cairn:new-block", () => fee.refresh());
  hint();
  fee.refresh();
}
