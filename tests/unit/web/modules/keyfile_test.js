// Key files in the page: what others wrote is read, what is damaged or hostile is refused.

import assert from "node:assert/strict";

import { fromBase64, toBase64 } from "../../../../node/cairn/web/static/js/base64.js";
import { concat, fromHex, unsigned } from "../../../../node/cairn/web/static/js/bytes.js";
import {
  compress,
  decompress,
  ORDER,
  P,
  publicPoint,
} from "../../../../node/cairn/web/static/js/curve.js";
import * as der from "../../../../node/cairn/web/static/js/der.js";
import {
  encodePrivate,
  encrypted,
  isEncrypted,
  MAX_ITERATIONS,
  PassphraseError,
  readKey,
} from "../../../../node/cairn/web/static/js/keyfile.js";

const SCALAR = 0xc9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721n; // RFC 6979, A.2.5
const PUBLIC = "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";

// openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -aes256 -pass pass:right
const OF_P384 = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIIBHDBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIF3D3dkmoXw8CAggA
MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBBfIBRkAvp+zxzRZn7yYCQoBIHA
C0Ijx/4fJ6ggFGe3/tla71qKeukaJp6YT8GKB4UD29hZ3vslb2muZMlv/1UGKC80
3EWTdb6jzAXhtiR64dNwgKtPSKTeXwMMiIrGx6UX2GYSpgXVaubhXObO11yZHlim
DXHYVfGVof9z8wZrwU7xlKYO1HqOm375SHj6jBYvjwwvW3NHkQkwwhYCBVh9QJlN
IEe9pgtf+RXB8gGUcTO763xxpFI44+X57rof/l72SweTaflNgw+YqIij9XVq8DJ9
-----END ENCRYPTED PRIVATE KEY-----`;

const pem = (label, bytes) =>
  `-----BEGIN ${label}-----\n${toBase64(bytes)}\n-----END ${label}-----`;
const oid = (hex) => der.element(der.OID, fromHex(hex));
const sequence = (...parts) => der.element(der.SEQUENCE, ...parts);
const octets = (bytes) => der.element(der.OCTET_STRING, bytes);

function scheme({ iterations = 2_048, salt = 8, iv = 16, prf = "2a864886f70d0209" } = {}) {
  const stretching = sequence(
    octets(new Uint8Array(salt)),
    der.integer(iterations),
    sequence(oid(prf), der.element(der.NULL)),
  );
  const kdf = sequence(oid("2a864886f70d01050c"), stretching);
  const cipher = sequence(oid("60864801650304012a"), octets(new Uint8Array(iv)));
  const both = sequence(oid("2a864886f70d01050d"), sequence(kdf, cipher));
  return pem("ENCRYPTED PRIVATE KEY", sequence(both, octets(new Uint8Array(32))));
}

Deno.test("the public point of a private number is the one that RFC 6979 names", () => {
  const compressed = compress(publicPoint(SCALAR));
  assert.deepEqual(compressed, fromHex(PUBLIC));
  assert.deepEqual(decompress(compressed), publicPoint(SCALAR));
  assert.equal(decompress(concat(Uint8Array.of(2), unsigned(5n, 32)))?.[0], 5n);
  for (
    const bad of [fromHex(PUBLIC.slice(2)), concat(Uint8Array.of(4), fromHex(PUBLIC.slice(2)))]
  ) {
    assert.equal(decompress(bad), null);
  }
  assert.equal(decompress(concat(Uint8Array.of(2), unsigned(P, 32))), null);
  assert.equal(decompress(concat(Uint8Array.of(2), unsigned(1n, 32))), null, "no point has x = 1");
});

Deno.test("a backup opens with its passphrase, and with no other", async () => {
  const text = await encrypted(encodePrivate(SCALAR), "pässphrase ✓");
  assert.ok(isEncrypted(text));
  assert.equal(await readKey(text, "pässphrase ✓"), SCALAR);
  for (const wrong of ["", undefined, "passphrase ✓", "pässphrase ✓ "]) {
    await assert.rejects(readKey(text, wrong), PassphraseError);
  }
  await assert.rejects(encrypted(encodePrivate(SCALAR), ""), PassphraseError);
});

Deno.test("an encrypted key of another curve is named so under its own passphrase", async () => {
  const message = async (passphrase) =>
    (await readKey(OF_P384, passphrase).catch((error) => error)).message;
  assert.match(await message("right"), /its curve is not P-256/);
  assert.match(await message("wrong"), /This passphrase does not open the file/);
});

Deno.test("open files are read: PKCS#8, hex digits", async () => {
  assert.equal(await readKey(pem("PRIVATE KEY", encodePrivate(SCALAR))), SCALAR);
  const hex = SCALAR.toString(16);
  for (const text of [hex, `0x${hex}`, ` ${hex.toUpperCase()}\n`]) {
    assert.equal(await readKey(text), SCALAR);
  }
});

Deno.test("WebCrypto takes the key as it is written here", async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("pkcs8", encodePrivate(SCALAR), algorithm, true, [
    "sign",
  ]);
  const exported = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
  assert.equal(await readKey(pem("PRIVATE KEY", exported)), SCALAR);
});

Deno.test("a number outside the curve's order is no key", async () => {
  for (const scalar of [0n, ORDER, ORDER + 1n, 2n ** 256n - 1n]) {
    await assert.rejects(readKey(scalar.toString(16).padStart(64, "0")), /no P-256 private key/);
  }
});

Deno.test("every damaged byte of a file is noticed, or changes nothing", async () => {
  const whole = encodePrivate(SCALAR);
  for (let at = 0; at < whole.length; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const damaged = whole.slice();
      damaged[at] ^= flip;
      await assert.rejects(readKey(pem("PRIVATE KEY", damaged)), Error, `${at} ^ ${flip}`);
    }
    await assert.rejects(readKey(pem("PRIVATE KEY", whole.slice(0, at))), Error, `cut at ${at}`);
  }
  await assert.rejects(readKey(pem("PRIVATE KEY", concat(whole, Uint8Array.of(0)))), Error);
});

Deno.test("what would cost the page its time, or is of another scheme, is refused first", async () => {
  const most = new RegExp(`at most ${MAX_ITERATIONS}`);
  await assert.rejects(readKey(scheme({ iterations: MAX_ITERATIONS + 1 }), "x"), most);
  await assert.rejects(readKey(scheme({ iterations: 2 ** 32 - 1 }), "x"), most);
  await assert.rejects(readKey(scheme({ iterations: 0 }), "x"), most);
  await assert.rejects(readKey(scheme({ iv: 15 }), "x"), /initial vector/);
  await assert.rejects(readKey(scheme({ prf: "2a864886f70d0207" }), "x"), /HMAC-SHA-256/);
  await assert.rejects(readKey(scheme(), "x"), PassphraseError);
  await assert.rejects(readKey("x".repeat(20_000)), /longer than any key file/);
  await assert.rejects(readKey("not a key"), /no key/);
  await assert.rejects(readKey(pem("PUBLIC KEY", encodePrivate(SCALAR))), /no private key/);
});

Deno.test("numbers and lengths of DER are in their shortest form or refused", () => {
  for (const value of [0, 1, 127, 128, 255, 256, 65_535, 600_000, 2 ** 31, 2 ** 32 - 1]) {
    assert.equal(new der.Reader(der.integer(value)).integer(), value);
  }
  for (const bad of ["0200", "02020001", "020180", "0206010000000000", "02810101", "0282000101"]) {
    assert.throws(() => new der.Reader(fromHex(bad)).integer(), Error, bad);
  }
  for (const bad of ["30", "3080", "3081", "308200", "3084ffffffff", "3002020", "30030201"]) {
    const bytes = fromHex(bad.slice(0, bad.length - bad.length % 2));
    assert.throws(() => new der.Reader(bytes).sequence(), Error, bad);
  }
});

Deno.test("Base64 comes back as it went, and nothing else is taken for it", () => {
  for (const length of [0, 1, 2, 3, 255, 70_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  }
  for (const bad of ["A", "AA A", "A===", "AAA-", "=AAA", "AA\n=="]) {
    assert.throws(() => fromBase64(bad), Error, bad);
  }
});
