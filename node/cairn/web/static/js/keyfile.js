// Key files: PKCS#8 in PEM, open or under a passphrase (PBES2: PBKDF2-HMAC-SHA256, AES-256-CBC),
// as the `cairn` command writes and reads them; to read, also SEC1 and 64 hex digits.

import { fromBase64, toBase64 } from "./base64.js";
import { concat, fromHex, toBigInt, toHex, unsigned } from "./bytes.js";
import { compress, ORDER, publicPoint } from "./curve.js";
import * as der from "./der.js";

const EC_PUBLIC_KEY = "2a8648ce3d0201";
const PRIME256V1 = "2a8648ce3d030107";
const PBES2 = "2a864886f70d01050d";
const PBKDF2 = "2a864886f70d01050c";
const AES_256_CBC = "60864801650304012a";
const PRFS = {
  "2a864886f70d0209": "SHA-256",
  "2a864886f70d020a": "SHA-384",
  "2a864886f70d020b": "SHA-512",
};
const HMAC_SHA256 = "2a864886f70d0209";
const ITERATIONS = 600_000;
export const MAX_ITERATIONS = 5_000_000;
export const MAX_TEXT = 16_384;

/** The file holds a key under a passphrase, and none was given or it is another. */
export class PassphraseError extends Error {}

const oid = (hex) => der.element(der.OID, fromHex(hex));

function pem(label, bytes) {
  const lines = toBase64(bytes).match(/.{1,64}/g);
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** PKCS#8 (DER) of a private number, its public key included. */
export function encodePrivate(scalar) {
  const [x, y] = publicPoint(scalar);
  const point = concat(Uint8Array.of(0, 4), unsigned(x, 32), unsigned(y, 32));
  const key = der.element(
    der.SEQUENCE,
    der.integer(1),
    der.element(der.OCTET_STRING, unsigned(scalar, 32)),
    der.element(0xa1, der.element(der.BIT_STRING, point)),
  );
  const algorithm = der.element(der.SEQUENCE, oid(EC_PUBLIC_KEY), oid(PRIME256V1));
  return der.element(
    der.SEQUENCE,
    der.integer(0),
    algorithm,
    der.element(der.OCTET_STRING, key),
  );
}

/** The text of a backup: this PKCS#8 (DER) under the passphrase. */
export async function encrypted(pkcs8, passphrase) {
  if (!passphrase) throw new PassphraseError("an empty passphrase protects nothing");
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const key = await derive(passphrase, salt, ITERATIONS, "SHA-256", "encrypt");
  const hidden = await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8);
  const prf = der.element(der.SEQUENCE, oid(HMAC_SHA256), der.element(der.NULL));
  const kdf = der.element(
    der.SEQUENCE,
    oid(PBKDF2),
    der.element(
      der.SEQUENCE,
      der.element(der.OCTET_STRING, salt),
      der.integer(ITERATIONS),
      prf,
    ),
  );
  const cipher = der.element(der.SEQUENCE, oid(AES_256_CBC), der.element(der.OCTET_STRING, iv));
  const scheme = der.element(der.SEQUENCE, oid(PBES2), der.element(der.SEQUENCE, kdf, cipher));
  const content = der.element(der.OCTET_STRING, new Uint8Array(hidden));
  return pem("ENCRYPTED PRIVATE KEY", der.element(der.SEQUENCE, scheme, content));
}

async function derive(passphrase, salt, iterations, hash, usage) {
  const bytes = new TextEncoder().encode(passphrase);
  const base = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", salt, iterations, hash };
  return crypto.subtle.deriveKey(how, base, { name: "AES-CBC", length: 256 }, false, [usage]);
}

/** Whether the text is a key under a passphrase. */
export const isEncrypted = (text) => text.includes("BEGIN ENCRYPTED PRIVATE KEY");

/** The private number in the text of a key file. Throws what is wrong, in words for people. */
export async function readKey(text, passphrase) {
  if (text.length > MAX_TEXT) throw new Error("This is longer than any key file.");
  const compact = text.trim();
  if (/^(0x)?[0-9a-f]{64}$/i.test(compact)) {
    return inRange(BigInt(`0x${compact.replace(/^0x/i, "")}`));
  }
  const found = /-----BEGIN ([A-Z ]+)-----\s([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(
    withoutParameters(compact),
  );
  if (!found) {
    throw new Error("This is no key: give a PEM file (PKCS#8 or SEC1), or 64 hex digits.");
  }
  return await decode(found[1], found[2].replaceAll(/\s/g, ""), passphrase);
}

/** `openssl ecparam -genkey` writes the curve's name in a part of its own before the key. */
const withoutParameters = (text) =>
  text.replace(/-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----/, "");

async function decode(label, base64, passphrase) {
  try {
    const bytes = fromBase64(base64);
    if (label === "PRIVATE KEY") return fromPkcs8(bytes);
    if (label === "EC PRIVATE KEY") return fromSec1(new der.Reader(bytes), true);
    if (label === "ENCRYPTED PRIVATE KEY") return await decrypt(bytes, passphrase);
  } catch (error) {
    if (error instanceof PassphraseError) throw error;
    throw new Error(`This key file cannot be used: ${error.message}.`);
  }
  throw new Error(`This is no private key, but a ${label.toLowerCase()}.`);
}

function fromPkcs8(bytes) {
  const file = new der.Reader(bytes);
  const parts = file.sequence();
  file.end();
  if (parts.integer() !== 0) throw new Error("a version of PKCS#8 that is not known");
  const algorithm = parts.sequence();
  requireOid(algorithm, EC_PUBLIC_KEY, "it is not a key of an elliptic curve");
  requireOid(algorithm, PRIME256V1, "its curve is not P-256");
  algorithm.end();
  const scalar = fromSec1(new der.Reader(parts.take(der.OCTET_STRING)), false);
  if (!parts.done) parts.take(0xa0); // attributes, which say nothing of the key
  parts.end();
  return scalar;
}

function fromSec1(file, curveRequired) {
  const parts = file.sequence();
  file.end();
  if (parts.integer() !== 1) throw new Error("a version of SEC1 that is not known");
  const number = parts.take(der.OCTET_STRING);
  if (number.length !== 32) throw new Error("its number is not of 32 bytes");
  const scalar = inRange(toBigInt(number));
  if (parts.tag === 0xa0) {
    requireOid(new der.Reader(parts.take(0xa0)), PRIME256V1, "its curve is not P-256");
  } else if (curveRequired) {
    throw new Error("it does not name its curve");
  }
  if (!parts.done) checkPublic(new der.Reader(parts.take(0xa1)), scalar);
  parts.end();
  return scalar;
}

/** A file whose two halves do not belong together was damaged, or made to deceive. */
function checkPublic(reader, scalar) {
  const given = toHex(reader.take(der.BIT_STRING));
  const [x, y] = publicPoint(scalar);
  const whole = `0004${toHex(unsigned(x, 32))}${toHex(unsigned(y, 32))}`;
  if (given !== whole && given !== `00${toHex(compress([x, y]))}`) {
    throw new Error("its public key is not that of its private key");
  }
}

function requireOid(reader, expected, otherwise) {
  if (toHex(reader.take(der.OID)) !== expected) throw new Error(otherwise);
}

async function decrypt(bytes, passphrase) {
  const { salt, iterations, hash, iv, hidden } = readScheme(bytes);
  if (!passphrase) throw new PassphraseError("This key is under a passphrase: type it.");
  const key = await derive(passphrase, salt, iterations, hash, "decrypt");
  let pkcs8;
  try {
    pkcs8 = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, hidden));
  } catch {
    throw wrongPassphrase();
  }
  // One wrong passphrase in 256 gives bytes that look padded: they are no key of any kind.
  if (!looksLikePkcs8(pkcs8)) throw wrongPassphrase();
  return fromPkcs8(pkcs8);
}

const wrongPassphrase = () => new PassphraseError("This passphrase does not open the file.");

/** Whether it is one sequence that begins with version 0 or 1 (RFC 5958). */
function looksLikePkcs8(bytes) {
  try {
    const file = new der.Reader(bytes);
    const parts = file.sequence();
    file.end();
    return parts.integer() <= 1;
  } catch {
    return false;
  }
}

function readScheme(bytes) {
  const file = new der.Reader(bytes);
  const parts = file.sequence();
  file.end();
  const scheme = parts.sequence();
  const hidden = parts.take(der.OCTET_STRING);
  parts.end();
  requireOid(scheme, PBES2, "it is encrypted in a way that is not known here (PBES2 is)");
  const both = scheme.sequence();
  scheme.end();
  const kdf = both.sequence();
  const cipher = both.sequence();
  both.end();
  requireOid(cipher, AES_256_CBC, "it is not encrypted with AES-256-CBC");
  const iv = cipher.take(der.OCTET_STRING);
  cipher.end();
  if (iv.length !== 16) throw new Error("its initial vector is not of 16 bytes");
  return { ...readKdf(kdf), iv, hidden };
}

function readKdf(kdf) {
  requireOid(kdf, PBKDF2, "its passphrase is not stretched with PBKDF2");
  const parts = kdf.sequence();
  kdf.end();
  const salt = parts.take(der.OCTET_STRING);
  const iterations = parts.integer();
  if (iterations < 1 || iterations > MAX_ITERATIONS) {
    throw new Error(`it asks for ${iterations} rounds of PBKDF2, at most ${MAX_ITERATIONS}`);
  }
  if (parts.tag === der.INTEGER && parts.integer() !== 32) {
    throw new Error("its key is not of 32 bytes");
  }
  const prf = parts.done ? null : parts.sequence();
  parts.end();
  const hash = prf && PRFS[toHex(prf.take(der.OID))];
  if (!hash) throw new Error("its passphrase is not stretched with HMAC-SHA-256");
  if (!prf.done) prf.take(der.NULL);
  prf.end();
  return { salt, iterations, hash };
}

function inRange(scalar) {
  if (scalar < 1n || scalar >= ORDER) throw new Error("This number is no P-256 private key.");
  return scalar;
}
