// A transaction on its way: what is to be signed, the signing, and handing it to the node.

import { encodeAddress, toHex } from "./bytes.js";
import { addressOf } from "./keys.js";
import { network } from "./network.js";
import { ask, Refusal } from "./node.js";
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

/** The transaction as it will be signed, whole and final; `order` has recipient … data. */
export async function draft(key, order) {
  const state = await account(await addressText(key));
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
export async function signed({ key, fields }) {
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

const TAKEN_ALREADY = ["pool-duplicate", "pool-already-mined"];

/** Hands it to the node; it is durable there when this returns. */
export async function submit({ id, body }) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await ask("transactions", { method: "POST", headers, body });
    if (answer.id !== id) throw new Error("The node names another transaction than was signed.");
  } catch (error) {
    if (error instanceof Refusal && TAKEN_ALREADY.includes(error.code)) return;
    throw error;
  }
}
