// Account keys: P-256 through WebCrypto. What signs is a handle that nobody can read a private
// key out of, this page included.

import { toBase64Url } from "./base64.js";
import { concat, sha256, toBigInt, unsigned } from "./bytes.js";
import { compress, ORDER, publicPoint } from "./curve.js";
import { readKey } from "./keyfile.js";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const ADDRESS_TAG = new TextEncoder().encode("cairn:address:v1");

/** Whether this page may sign: browsers offer WebCrypto on HTTPS and on this machine alone. */
export const canSign = () => Boolean(globalThis.crypto?.subtle);

/** The key of a private number: `{handle, publicKey}`; nothing can be read out of the handle. */
export async function keyOf(scalar) {
  const [x, y] = publicPoint(scalar);
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: toBase64Url(unsigned(scalar, 32)),
    x: toBase64Url(unsigned(x, 32)),
    y: toBase64Url(unsigned(y, 32)),
  };
  const handle = await crypto.subtle.importKey("jwk", jwk, ALGORITHM, false, ["sign"]);
  return { handle, publicKey: compress([x, y]) };
}

/** The key in the text of a key file (see `readKey`). Throws what is wrong. */
export async function importKey(text, passphrase) {
  return keyOf(await readKey(text, passphrase));
}

/**
 * A new key. `backUp`, where given, gets its PKCS#8 bytes before the key is closed for ever; what
 * it throws ends the making.
 */
export async function createKey(backUp = null) {
  const pair = await crypto.subtle.generateKey(ALGORITHM, backUp !== null, ["sign", "verify"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const publicKey = compress([toBigInt(point.slice(1, 33)), toBigInt(point.slice(33))]);
  if (!backUp) return { handle: pair.privateKey, publicKey };
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  try {
    await backUp(pkcs8);
    const handle = await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, ["sign"]);
    return { handle, publicKey };
  } finally {
    pkcs8.fill(0);
  }
}

/** 64 bytes r ‖ s over SHA-256(message), with s in the lower half as the protocol asks. */
export async function sign(key, message) {
  const raw = new Uint8Array(await crypto.subtle.sign(SIGNING, key.handle, message));
  const s = toBigInt(raw.slice(32));
  return s > ORDER / 2n ? concat(raw.slice(0, 32), unsigned(ORDER - s, 32)) : raw;
}

/** The 20-byte address of a 33-byte public key. */
export async function addressOf(publicKey) {
  return (await sha256(concat(ADDRESS_TAG, publicKey))).slice(0, 20);
}
