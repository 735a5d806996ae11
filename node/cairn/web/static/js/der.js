// DER (X.690), as little of it as key files need, and strict: every length in its shortest form
// and inside its parent, nothing left over. What is read may come from anyone.

import { concat, unsigned } from "./bytes.js";

export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const SEQUENCE = 0x30;

const MOST_BYTES = 16_384;

function lengthBytes(length) {
  if (length < 0x80) return Uint8Array.of(length);
  return length < 0x100
    ? Uint8Array.of(0x81, length)
    : concat(Uint8Array.of(0x82), unsigned(length, 2));
}

/** An element with this tag around these parts, one after another. */
export function element(tag, ...parts) {
  const content = concat(...parts);
  return concat(Uint8Array.of(tag), lengthBytes(content.length), content);
}

/** An INTEGER of a number from 0 to 2^32 - 1. */
export function integer(value) {
  const bytes = unsigned(value, 5);
  let start = 0;
  while (start < 4 && bytes[start] === 0 && bytes[start + 1] < 0x80) start++;
  return element(INTEGER, bytes.slice(start));
}

/** The elements of a sequence's content (or of a whole file), in order. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    if (bytes.length > MOST_BYTES) throw new Error("longer than any key file");
    this.#bytes = bytes;
  }

  get done() {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element; undefined: none is left. */
  get tag() {
    return this.#bytes[this.#at];
  }

  /** The next element's content, which must have this tag. */
  take(tag) {
    if (this.tag !== tag) throw new Error("not the parts that a key file has");
    this.#at++;
    const length = this.#length();
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    if (content.length !== length) throw new Error("cut off");
    this.#at += length;
    return content;
  }

  #length() {
    const first = this.#bytes[this.#at++];
    if (first === undefined) throw new Error("cut off");
    if (first < 0x80) return first;
    const size = first & 0x7f;
    if (size < 1 || size > 2) throw new Error("a length that no key file has");
    let length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + (this.#bytes[this.#at++] ?? 0);
    if (length < (size === 1 ? 0x80 : 0x100)) throw new Error("a length not in its shortest form");
    return length;
  }

  sequence() {
    return new Reader(this.take(SEQUENCE));
  }

  /** A number from 0 to 2^32 - 1. */
  integer() {
    const content = this.take(INTEGER);
    const padded = content.length > 1 && content[0] === 0 && content[1] < 0x80;
    if (!content.length || content.length > 5 || content[0] > 0x7f || padded) {
      throw new Error("a number that no key file has");
    }
    const value = content.reduce((sum, byte) => sum * 256 + byte, 0);
    if (value >= 2 ** 32) throw new Error("a number that no key file has");
    return value;
  }

  /** Throws unless all was read. */
  end() {
    if (!this.done) throw new Error("something follows that does not belong there");
  }
}
