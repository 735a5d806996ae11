// The form that signs and sends a transaction, then follows it until it is in a block.

import { decodeAddress, encodeAddress, toHex, U64_MAX } from "./bytes.js";
import { addressOf, createKey, importKey } from "./keys.js";
import { FIXED_BYTES, signTransaction } from "./transaction.js";

const UNITS = 100_000_000n;
const form = document.getElementById("send");
const fields = form.elements;
const prefix = form.dataset.prefix;
const networkId = form.dataset.network;
const maxData = Number(form.dataset.maxData);
const minFee = BigInt(form.dataset.minFee);
const result = document.getElementById("result");

function show(kind, ...content) {
  result.className = `alert alert-${kind}`;
  result.replaceChildren(...content);
  result.hidden = false;
}

function link(href, text) {
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.textContent = text;
  return anchor;
}

/** Base units of a decimal number of coins, at most 8 digits after the point. */
function units(text, name) {
  const match = /^(\d{1,12})(?:\.(\d{1,8}))?$/.exec(text.trim());
  if (!match) throw new Error(`${name}: a number such as 1.5, with at most 8 decimals`);
  const value = BigInt(match[1]) * UNITS + BigInt((match[2] ?? "").padEnd(8, "0"));
  if (value > U64_MAX) throw new Error(`${name}: too large`);
  return value;
}

function coins(value) {
  const digits = value.toString().padStart(9, "0");
  return `${digits.slice(0, -8)}.${digits.slice(-8)}`.replace(/\.?0+$/, "");
}

async function ask(path, options) {
  const response = await fetch(`/api/v1/${path}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.code);
  return answer;
}

async function account(key) {
  return ask(`accounts/${encodeAddress(prefix, await addressOf(key.publicKey))}`);
}

async function showKey() {
  const sender = document.getElementById("sender");
  const balance = document.getElementById("balance");
  sender.textContent = "";
  balance.textContent = "";
  if (!fields.key.value.trim()) return;
  try {
    const key = await importKey(fields.key.value);
    const state = await account(key);
    sender.replaceChildren(link(`/address/${state.address}`, state.address));
    balance.textContent = `${coins(BigInt(state.balance))} ${form.dataset.symbol}`;
  } catch (error) {
    sender.textContent = error.message;
  }
}

function suggestFee() {
  const size = BigInt(FIXED_BYTES + new TextEncoder().encode(fields.note.value).length);
  fields.fee.placeholder = coins(size * minFee);
  return size * minFee;
}

async function send() {
  const key = await importKey(fields.key.value);
  const recipientText = fields.recipient.value.trim();
  const data = new TextEncoder().encode(fields.note.value);
  if (data.length > maxData) throw new Error(`note: ${data.length} bytes, at most ${maxData}`);
  const transaction = {
    sequence: (await account(key)).next_sequence,
    recipient: decodeAddress(prefix, recipientText),
    amount: units(fields.amount.value, "amount"),
    fee: fields.fee.value.trim() ? units(fields.fee.value, "fee") : suggestFee(),
    timestamp: Math.floor(Date.now() / 1000),
    data,
  };
  const { id, signature } = await signTransaction(key, transaction, networkId);
  const answer = await ask("transactions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      public_key: toHex(key.publicKey),
      sequence: String(transaction.sequence),
      recipient: recipientText.toLowerCase(),
      amount: transaction.amount.toString(),
      fee: transaction.fee.toString(),
      timestamp: transaction.timestamp,
      data: toHex(data),
      signature,
    }),
  });
  if (answer.id !== id) throw new Error("the node named another transaction than the one signed");
  return id;
}

/** Looks at each new block until the transaction is in one. */
function follow(id) {
  const events = new EventSource("/api/v1/events");
  const where = link(`/transaction/${id}`, id);
  where.className = "hash";
  show("info", "Accepted, waiting for a block: ", where);
  const look = async () => {
    const found = await ask(`transactions/${id}`).catch(() => null);
    if (found?.status !== "mined") return;
    events.close();
    show("success", `In block ${found.block.height}: `, where);
  };
  events.addEventListener("open", look);
  events.addEventListener("new-block", look);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fields.submit.disabled = true;
  try {
    follow(await send());
  } catch (error) {
    show("danger", error.message);
  } finally {
    fields.submit.disabled = false;
  }
});

document.getElementById("create-key").addEventListener("click", async () => {
  fields.key.value = await createKey();
  await showKey();
});
fields.key.addEventListener("change", showKey);
fields.note.addEventListener("input", suggestFee);

if (globalThis.crypto?.subtle) {
  suggestFee();
  fields.submit.disabled = false;
} else {
  show("warning", "This browser signs only on pages served by HTTPS or from this machine.");
}
