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
  let square = mod(base);
  for (let bits = exponent; bits; bits >>= 1n) {
    if (bits & 1n) result = result * square % P;
    square = square * square % P;
  }
  return result;
}

// Sums are made in Jacobian coordinates, [x/z², y/z³] as [x, y, z]: one inverse at the end.

function doubled([x, y, z]) {
  const zz = z * z % P;
  const yy = y * y % P;
  const slope = 3n * (x - zz) * (x + zz) % P;
  const beta = x * yy % P;
  const x3 = mod(slope * slope - 8n * beta);
  return [x3, mod(slope * (4n * beta - x3) - 8n * yy * yy), mod(2n * y * z)];
}

function sum(p, q) {
  if (!p) return q;
  const [zz1, zz2] = [p[2] * p[2] % P, q[2] * q[2] % P];
  const [u1, u2] = [p[0] * zz2 % P, q[0] * zz1 % P];
  const [s1, s2] = [p[1] * q[2] * zz2 % P, q[1] * p[2] * zz1 % P];
  const [h, r] = [mod(u2 - u1), mod(s2 - s1)];
  // Below the order, no partial sum meets the power of two that comes next, or its opposite.
  const hh = h * h % P;
  const hhh = h * hh % P;
  const v = u1 * hh % P;
  const x = mod(r * r - hhh - 2n * v);
  return [x, mod(r * (v - x) - s1 * hhh), mod(p[2] * q[2] * h)];
}

/** `[x, y]` of a private number, 1 … ORDER - 1. */
export function publicPoint(scalar) {
  let total = null;
  let power2 = [...G, 1n];
  for (let bits = scalar; bits; bits >>= 1n) {
    if (bits & 1n) total = sum(total, power2);
    power2 = doubled(power2);
  }
  const [x, y, z] = total;
  const once = inverse(z);
  const twice = once * once % P;
  return [x * twice % P, y * twice * once % P];
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
