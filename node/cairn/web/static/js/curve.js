// Points of P-256 (SEC 2, secp256r1): what WebCrypto does not offer of them. The public point of
// a private number, and the whole point of a compressed key.

import { toBigInt, unsigned } from "./bytes.js";

export const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
export const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const G = [
  0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
];

const mod = (value) => ((value % P) + P) % P;

function inverse(value) {
  let [a, b, x, y] = [mod(value), P, 1n, 0n];
  while (b) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return mod(x);
}

function power(base, exponent) {
  let result = 1n;
  for (let bits = exponent, square = mod(base); bits; bits >>= 1n, square = square * square % P) {
    if (bits & 1n) result = result * square % P;
  }
  return result;
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

/** `[x, y]` of a private number, 1 … ORDER - 1. */
export function publicPoint(scalar) {
  let sum = null;
  let double = G;
  for (let bits = scalar; bits; bits >>= 1n, double = add(double, double)) {
    if (bits & 1n) sum = add(sum, double);
  }
  return sum;
}

/** The 33 bytes (SEC1) of a point. */
export function compress([x, y]) {
  return Uint8Array.of(y & 1n ? 3 : 2, ...unsigned(x, 32));
}

/** `[x, y]` of 33 bytes, or null where they are no point of the curve. */
export function decompress(bytes) {
  if (bytes.length !== 33 || (bytes[0] !== 2 && bytes[0] !== 3)) return null;
  const x = toBigInt(bytes.slice(1));
  if (x >= P) return null;
  const square = mod(x * x * x - 3n * x + B);
  const root = power(square, (P + 1n) / 4n); // P is 3 modulo 4
  if (root * root % P !== square) return null;
  return [x, (root & 1n) === BigInt(bytes[0] & 1) ? root : mod(-root)];
}
