// What the pages ask of their node, and its refusals in plain words.

const ROOT = "/api/v1/";

/** The node refused: `code` says which rule, `message` what that means to a person. */
export class Refusal extends Error {
  constructor(status, { code = "", detail = "" }) {
    super(plainly(code, detail, status));
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** No answer came: nobody knows whether the node took what it was sent. */
export class Unreachable extends Error {
  constructor() {
    super("The node does not answer. Is it running, and is this machine connected?");
  }
}

async function request(path, options) {
  try {
    return await fetch(ROOT + path, options);
  } catch {
    throw new Unreachable();
  }
}

async function answered(response) {
  if (response.ok) return response;
  throw new Refusal(response.status, await response.json().catch(() => ({})));
}

/** The whole body; an answer that is cut off is none. */
async function read(body) {
  try {
    return await body;
  } catch {
    throw new Unreachable();
  }
}

/** The node's JSON answer. Throws Refusal or Unreachable. */
export async function ask(path, options) {
  return read((await answered(await request(path, options))).json());
}

/** The node's answer as bytes. Throws Refusal or Unreachable. */
export async function askBytes(path) {
  return new Uint8Array(await read((await answered(await request(path))).arrayBuffer()));
}

const WORDS = {
  "address-invalid": "The node does not accept the recipient's address.",
  "address-wrong-network": "The recipient's address belongs to another network.",
  "amount-overflow": "Amount and fee together are more than can exist.",
  "balance-insufficient": "The key does not hold that much, what already waits being counted.",
  "database-unavailable": "The node's database is away for a moment. Try again.",
  "listener-busy": "The node has too much to do just now. Try again in a moment.",
  "listener-unavailable": "The part of the node that takes transactions is away. Try again.",
  "pool-already-mined": "This transaction is in the chain already. Nothing was sent twice.",
  "pool-duplicate": "The node has this transaction already. Nothing was sent twice.",
  "pool-fee-too-low": "The fee is below what this node takes now. Give more.",
  "pool-full": "More waits than the node can hold, and all of it pays better. Give a higher fee.",
  "pool-gap-too-wide": "Earlier transactions of this key are missing. Wait for a block.",
  "pool-replacement-fee-too-low":
    "Another transaction of this key waits in its place. Review again to send after it.",
  "pool-sender-full": "Too many transactions of this key wait already. Wait for a block.",
  "pool-timestamp": "This machine's clock is wrong: set it right, then review again.",
  "pool-transaction-too-large": "The transaction is larger than the node takes.",
  "sequence-mismatch": "Another transaction of this key came first. Review again to send after it.",
  "signature-invalid": "The node does not accept the signature. Reload the page and try again.",
  "too-many-requests": "More was asked from this address than the node answers. Wait a second.",
  "transaction-data-too-large": "The note is longer than the network allows.",
  "transaction-empty": "There is nothing in it: give an amount or a note.",
  "web-unavailable": "The part of the node that answers pages is away. Try again.",
};

function plainly(code, detail, status) {
  const words = WORDS[code];
  if (!words && !code && status >= 500) return `The node does not answer as it should (${status}).`;
  if (!words) return `The node refuses: ${detail || code || "it does not say why"}.`;
  return detail ? `${words} (The node says: ${detail}.)` : words;
}
