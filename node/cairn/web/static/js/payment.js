// A transaction on its way: what is to be signed, the signing, and handing it to the node.

import { encodeAddress, toHex } from "./bytes.js";
import { addressOf } from "./keys.js";
import { network } from "./network.js";
import { ask, Refusal, Unreachable } from "./node.js";
import { encode, FIXED_BYTES, signTransaction } from "./transaction.js";

/** The text of a key's address on this network. */
export const addressText = async (key) =>
  encodeAddress(network.prefix, await addressOf(key.publicKey));

/** What the node knows of an account; numbers are BigInt. */
export async function account(address) {
  const found = await ask(`accounts/${address}`);
  const balance = BigInt(found.balance);
  return {
    balance,
    nextSequence: BigInt(found.next_sequence),
    spendable: balance - BigInt(found.pending.sent),
    incoming: BigInt(found.pending.received),
    waiting: found.pending.transactions,
  };
}

/** Bytes of a transaction with so many bytes of data. */
export const sizeWith = (dataBytes) => FIXED_BYTES + dataBytes;

/**
 * The transaction as it will be signed, whole and final; `order` has recipient … data. Where the
 * same was sent before without an answer and arrived after all: `{arrived}`, its id, and no draft.
 * Throws, once, where something else arrived so.
 */
export async function draft(key, order) {
  const sender = await addressText(key);
  const state = await account(sender);
  // Asked in this order: what arrives later than the state has the draft's own sequence.
  const arrived = await arrivedAfterAll();
  if (arrived && isOf(arrived, sender, order)) return { arrived: arrived.id };
  if (arrived) {
    throw new Error(
      "What was sent from here before, without an answer, arrived after all. It is in its key's " +
        "history. Press the button again to go on with this.",
    );
  }
  if (order.amount + order.fee > state.spendable) {
    throw new Error("The key does not hold that much, what already waits being counted.");
  }
  const fields = {
    ...order,
    publicKey: key.publicKey,
    sequence: state.nextSequence,
    timestamp: Math.floor(Date.now() / 1000),
  };
  return { key, fields, bytes: encode(fields), left: state.spendable - order.amount - order.fee };
}

/** Signs a draft: `{id, body}`. The same signed one may be sent again, and counts once. */
async function signed({ key, fields }) {
  const { id, signature } = await signTransaction(key, fields, network.id);
  const body = JSON.stringify({
    public_key: toHex(fields.publicKey),
    sequence: fields.sequence.toString(),
    recipient: encodeAddress(network.prefix, fields.recipient),
    amount: fields.amount.toString(),
    fee: fields.fee.toString(),
    timestamp: fields.timestamp,
    data: toHex(fields.data),
    signature,
  });
  return { id, body };
}

/** What to tell of a draft that `arrived`. */
export const ARRIVED =
  "The same was sent from here before, without an answer, and arrived after all. It is not sent again.";

const TAKEN_ALREADY = ["pool-duplicate", "pool-already-mined"];
const UNANSWERED = "cairn-unanswered";
const MAX_UNANSWERED = 10;

/** What the node has of this transaction, waiting or mined; null: nothing. */
async function find(id) {
  try {
    return await ask(`transactions/${id}`);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

/** Whether a transaction of this account does what is ordered. */
const isOf = (found, sender, { recipient, amount, data }) =>
  found.sender === sender && found.recipient === encodeAddress(network.prefix, recipient) &&
  found.amount === amount.toString() && found.data === toHex(data);

/** The ids of what was sent in this tab and had no answer yet, the oldest first. */
const unanswered = () => JSON.parse(sessionStorage.getItem(UNANSWERED) ?? "[]");

function noteUnanswered(id, isSo) {
  const others = unanswered().filter((each) => each !== id);
  const ids = isSo ? [...others, id].slice(-MAX_UNANSWERED) : others;
  sessionStorage.setItem(UNANSWERED, JSON.stringify(ids));
}

/** What was sent without an answer, where the node has it after all; else null. */
async function arrivedAfterAll() {
  for (const id of unanswered()) {
    const found = await find(id);
    if (found) {
      noteUnanswered(id, false);
      return found;
    }
  }
  return null;
}

/**
 * Signs a draft and hands it to the node; its id, once it is durable there. A draft keeps what was
 * signed while no answer came: handed in again, it counts once. Throws where another transaction
 * of the key came in between, which this one could otherwise replace.
 */
export function handIn(payment) {
  // One at a time in all tabs: each looks at the account, then sends.
  return navigator.locks.request("cairn-payment", async () => {
    if (payment.signed && await find(payment.signed.id)) return answered(payment);
    const { nextSequence } = await account(await addressText(payment.key));
    if (nextSequence !== payment.fields.sequence) {
      delete payment.signed;
      throw new Error(
        "Another transaction of this key came first. Go back by “Change it” and review " +
          "again, to send after it.",
      );
    }
    payment.signed ??= await signed(payment);
    noteUnanswered(payment.signed.id, true);
    try {
      await submit(payment.signed);
    } catch (error) {
      throw explained(error, payment);
    }
    return answered(payment);
  });
}

function answered({ signed: { id } }) {
  noteUnanswered(id, false);
  return id;
}

/** What the node refused is not to be sent again as it is; without an answer nobody knows. */
function explained(error, payment) {
  if (error instanceof Refusal && error.status < 500) {
    noteUnanswered(payment.signed.id, false);
    delete payment.signed;
    return error;
  }
  const isAway = error instanceof Unreachable;
  if (!isAway && !(error instanceof Refusal)) return error;
  const cause = isAway ? "No answer came, so it" : `${error.message} It`;
  return new Error(
    `${cause} may have been sent or not. Press the button again: the very same transaction is ` +
      "sent, and counts once.",
  );
}

/** Hands it to the node; it is durable there when this returns. */
async function submit({ id, body }) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await ask("transactions", { method: "POST", headers, body });
    if (answer.id !== id) throw new Error("The node names another transaction than was signed.");
  } catch (error) {
    if (error instanceof Refusal && TAKEN_ALREADY.includes(error.code)) return;
    throw error;
  }
}
