// Files that the person drops or picks, and their SHA-256. They never leave the page.

import { concat, toHex } from "./bytes.js";
import { byId } from "./dom.js";
import { Sha256 } from "./sha256.js";

export const MAX_FILE_BYTES = 4 * 2 ** 30;
const TAG = new TextEncoder().encode("cairn:doc:v1");
const UNITS = ["bytes", "KiB", "MiB", "GiB"];

export function readableSize(bytes) {
  let [value, unit] = [bytes, 0];
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit ? value.toFixed(1) : value} ${UNITS[unit]}`;
}

/** SHA-256 (32 bytes) of a file, piece by piece; `progress` is told percents. Throws. */
export async function digestOf(file, progress = () => {}) {
  if (file.size > MAX_FILE_BYTES) {
    throw new Error(
      `The file has ${readableSize(file.size)}; here at most ${readableSize(MAX_FILE_BYTES)} are ` +
        "read. The cairn command takes any size.",
    );
  }
  const hash = new Sha256();
  const reader = file.stream().getReader();
  let [read, percent] = [0, -1];
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new Error("The file cannot be read any more: has it changed?");
    });
    if (done) return hash.digest();
    hash.update(value);
    read += value.length;
    const now = Math.floor((100 * read) / file.size);
    if (now !== percent) progress(percent = now);
  }
}

/** A transaction's data that notarizes the document with this SHA-256. */
export const notarizationData = (digest) => concat(TAG, digest);

/** The SHA-256 (hex) that a transaction's data notarizes; null: it is no such data. */
export function notarizedDigest(data) {
  const sound = data.length === TAG.length + 32 && TAG.every((byte, i) => data[i] === byte);
  return sound ? toHex(data.slice(TAG.length)) : null;
}

/** A place to drop a file on, which is also a field to pick one; `chosen` is called with it. */
export function dropPlace(id, chosen) {
  const input = byId(id);
  const place = input.closest(".drop");
  const picked = () => {
    const [file] = input.files;
    byId(`${id}-chosen`).textContent = file ? `${file.name}, ${readableSize(file.size)}` : "";
    chosen(file ?? null);
  };
  input.addEventListener("change", picked);
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    picked();
  });
}
