// Bytes as the protocol writes them: hex, fixed-width big-endian numbers, SHA-256, Bech32m.

export const U64_MAX = 2n ** 64n - 1n;

export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not pairs of hex digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** `value` (BigInt or safe integer, unsigned) in `width` bytes, big-endian. */
export function unsigned(value, width) {
  let left = BigInt(value);
  if (left < 0n || left >= 1n << BigInt(8 * width)) throw new Error(`${value} does not fit`);
  const bytes = new Uint8Array(width);
  for (let i = width - 1; i >= 0; i--, left >>= 8n) bytes[i] = Number(left & 255n);
  return bytes;
}

export function toBigInt(bytes) {
  return bytes.length ? BigInt(`0x${toHex(bytes)}`) : 0n;
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

const CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const BECH32M = 0x2bc830a3;

function polymod(values) {
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((generator, i) => {
      if ((top >>> i) & 1) checksum ^= generator;
    });
  }
  return checksum >>> 0;
}

function expand(prefix) {
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

function regroup(values, from, to, pad) {
  let accumulator = 0;
  let bits = 0;
  const groups = [];
  for (const value of values) {
    accumulator = (accumulator << from) | value;
    bits += from;
    while (bits >= to) {
      bits -= to;
      groups.push((accumulator >> bits) & ((1 << to) - 1));
    }
    accumulator &= (1 << bits) - 1;
  }
  if (pad && bits) groups.push(accumulator << (to - bits));
  if (!pad && (bits >= from || accumulator)) throw new Error("padded with bits that are not zero");
  return groups;
}

export function encodeAddress(prefix, address) {
  const values = regroup(address, 8, 5, true);
  const checksum = polymod([...expand(prefix), ...values, 0, 0, 0, 0, 0, 0]) ^ BECH32M;
  const tail = [0, 1, 2, 3, 4, 5].map((i) => (checksum >>> (5 * (5 - i))) & 31);
  return `${prefix}1${[...values, ...tail].map((value) => CHARSET[value]).join("")}`;
}

/** The 20 bytes behind an address of the network with this prefix. Throws what is wrong. */
export function decodeAddress(prefix, text) {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) {
    throw new Error("the address mixes upper and lower case");
  }
  const lower = text.toLowerCase();
  const split = lower.lastIndexOf("1");
  if (split < 1 || lower.length > 90) throw new Error("this is not an address");
  const found = lower.slice(0, split);
  const values = Array.from(lower.slice(split + 1), (character) => CHARSET.indexOf(character));
  if (values.length < 6 || values.includes(-1)) throw new Error("this is not an address");
  if (polymod([...expand(found), ...values]) !== BECH32M) {
    throw new Error("the address has a typing error: its checksum does not fit");
  }
  if (found !== prefix) {
    throw new Error(`this address belongs to another network: it should begin with ${prefix}1`);
  }
  const address = Uint8Array.from(regroup(values.slice(0, -6), 5, 8, false));
  if (address.length !== 20) throw new Error("the address has a wrong length");
  return address;
}
