// A transaction's canonical bytes, and its signature.

import { concat, fromHex, sha256, toHex, unsigned } from "./bytes.js";
import { sign } from "./keys.js";

const TAG = new TextEncoder().encode("cairn:tx:v1");
const VERSION = 1;
export const FIXED_BYTES = 152;

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

/** `{id, signature}` (hex) of the fields on the network with this id (hex). */
export async function signTransaction(key, fields, networkId) {
  const message = concat(TAG, fromHex(networkId), encode({ ...fields, publicKey: key.publicKey }));
  const signature = await sign(key, message);
  return { id: toHex(await sha256(await sha256(message))), signature: toHex(signature) };
}
