// A transaction's canonical bytes, read and written, and its signature.

import { concat, fromHex, sha256, toBigInt, toHex, unsigned } from "./bytes.js";
import { sign } from "./keys.js";

const TAG = new TextEncoder().encode("cairn:tx:v1");
const VERSION = 1;
const SIGNATURE_BYTES = 64;
const DATA_AT = 88;
export const FIXED_BYTES = DATA_AT + SIGNATURE_BYTES;

/** All bytes before the signature. `recipient`, `publicKey` and `data` are bytes. */
export function encode({ publicKey, sequence, recipient, amount, fee, timestamp, data }) {
  return concat(
    Uint8Array.of(VERSION),
    publicKey,
    unsigned(sequence, 8),
    recipient,
    unsigned(amount, 8),
    unsigned(fee, 8),
    unsigned(timestamp, 8),
    unsigned(data.length, 2),
    data,
  );
}

/** The fields of canonical bytes, numbers as BigInt. Throws when they are no transaction. */
export function decode(raw) {
  if (raw.length < FIXED_BYTES) throw new Error("The transaction is cut off.");
  const end = DATA_AT + Number(toBigInt(raw.slice(86, DATA_AT)));
  if (raw[0] !== VERSION) throw new Error(`The transaction has the unknown version ${raw[0]}.`);
  if (raw.length !== end + SIGNATURE_BYTES) throw new Error("The transaction has a wrong length.");
  return {
    publicKey: raw.slice(1, 34),
    sequence: toBigInt(raw.slice(34, 42)),
    recipient: raw.slice(42, 62),
    amount: toBigInt(raw.slice(62, 70)),
    fee: toBigInt(raw.slice(70, 78)),
    timestamp: toBigInt(raw.slice(78, 86)),
    data: raw.slice(DATA_AT, end),
    signature: raw.slice(end),
  };
}

/** The bytes that the sender signs, given all bytes before the signature. */
export const signingMessage = (networkId, unsignedBytes) =>
  concat(TAG, fromHex(networkId), unsignedBytes);

/** The id (hex) of the bytes that are signed. */
export const idOf = async (message) => toHex(await sha256(await sha256(message)));

/** `{id, signature}` (hex) of the fields on the network with this id (hex). */
export async function signTransaction(key, fields, networkId) {
  const message = signingMessage(networkId, encode({ ...fields, publicKey: key.publicKey }));
  return { id: await idOf(message), signature: toHex(await sign(key, message)) };
}
