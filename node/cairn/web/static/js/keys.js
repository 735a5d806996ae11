// Account keys in the browser: P-256 through WebCrypto. A key never leaves the page.

import { concat, sha256, toBigInt, toHex, unsigned } from "./bytes.js";

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const G = [
  0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
];
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const ADDRESS_TAG = new TextEncoder().encode("cairn:address:v1");
const P256_OID = "06082a8648ce3d030107";
const SCALAR_FOLLOWS = "0201010420";

const mod = (value, modulus = P) => ((value % modulus) + modulus) % modulus;

function inverse(value) {
  let [a, b, x, y] = [mod(value), P, 1n, 0n];
  while (b) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return mod(x);
}

function add(p, q) {
  if (!p) return q;
  if (!q) return p;
  const same = p[0] === q[0];
  if (same && p[1] !== q[1]) return null;
  const slope = same
    ? (3n * p[0] * p[0] - 3n) * inverse(2n * p[1])
    : (q[1] - p[1]) * inverse(q[0] - p[0]);
  const x = mod(slope * slope - p[0] - q[0]);
  return [x, mod(slope * (p[0] - x) - p[1])];
}

/** The public point of a private number: WebCrypto cannot find it from the number alone. */
function publicPoint(scalar) {
  let sum = null;
  let double = G;
  for (let bits = scalar; bits; bits >>= 1n, double = add(double, double)) {
    if (bits & 1n) sum = add(sum, double);
  }
  return sum;
}

const base64Url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

function scalarOf(text) {
  const compact = text.trim();
  if (/^(0x)?[0-9a-f]{64}$/i.test(compact)) return BigInt(`0x${compact.replace(/^0x/i, "")}`);
  if (compact.includes("ENCRYPTED")) {
    throw new Error("this key is encrypted: show it with `cairn wallet show`, or paste another");
  }
  const pem = /-----BEGIN (EC )?PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(compact);
  if (!pem) throw new Error("paste a PEM private key (PKCS#8), or 64 hex digits");
  const der = toHex(fromBase64(pem[2].replaceAll(/\s/g, "")));
  const at = der.indexOf(SCALAR_FOLLOWS);
  if (!der.includes(P256_OID) || at < 0) throw new Error("this is not a P-256 private key");
  const start = at + SCALAR_FOLLOWS.length;
  const digits = der.slice(start, start + 64);
  if (digits.length !== 64) throw new Error("this private key is cut off");
  return BigInt(`0x${digits}`);
}

async function keyOf(scalar) {
  if (scalar < 1n || scalar >= ORDER) throw new Error("this number is not a P-256 private key");
  const [x, y] = publicPoint(scalar);
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: base64Url(unsigned(scalar, 32)),
    x: base64Url(unsigned(x, 32)),
    y: base64Url(unsigned(y, 32)),
  };
  const handle = await crypto.subtle.importKey("jwk", jwk, ALGORITHM, false, ["sign"]);
  return { handle, publicKey: concat(Uint8Array.of(y & 1n ? 3 : 2), unsigned(x, 32)) };
}

/** The key in PEM (PKCS#8 or SEC1) or hex: `{handle, publicKey}`. Throws what is wrong. */
export function importKey(text) {
  return keyOf(scalarOf(text));
}

/** A new key as PEM text, from the browser's randomness. */
export async function createKey() {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g);
  return ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join("\n");
}

/** 64 bytes r ‖ s over SHA-256(message), with s in the lower half as the protocol asks. */
export async function sign(key, message) {
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const raw = new Uint8Array(await crypto.subtle.sign(algorithm, key.handle, message));
  const s = toBigInt(raw.slice(32));
  return s > ORDER / 2n ? concat(raw.slice(0, 32), unsigned(ORDER - s, 32)) : raw;
}

/** The 20-byte address of a 33-byte public key. */
export async function addressOf(publicKey) {
  return (await sha256(concat(ADDRESS_TAG, publicKey))).slice(0, 20);
}
