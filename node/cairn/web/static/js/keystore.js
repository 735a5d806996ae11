// The keys of this browser, in IndexedDB: `{name, publicKey, handle, made}` by name. The browser
// keeps the handle's key where no page can read it; each node's address has keys of its own.

import { toHex } from "./bytes.js";

const DATABASE = "cairn-wallet";
const STORE = "keys";
export const MAX_NAME = 40;
const others = new BroadcastChannel("cairn-keys");

/** Calls `reload` when another page of this node changed the keys. */
export function onOthersChange(reload) {
  others.onmessage = reload;
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "name" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new Error("This browser keeps nothing for this page."));
    request.onblocked = () => reject(new Error("Close the other pages of this node first."));
  });
}

/** What `work(store)` answers, once it is on disk. */
async function within(mode, work) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  } finally {
    database.close();
  }
}

/** All keys by name. */
export const listKeys = () => within("readonly", (store) => store.getAll());

/** Keeps a key. Throws when its name is taken: what a key can spend is never overwritten. */
export async function keepKey(name, { handle, publicKey }) {
  try {
    await within("readwrite", (store) => store.add({ name, handle, publicKey, made: Date.now() }));
  } catch (error) {
    if (error?.name !== "ConstraintError") throw error;
    throw new Error(`There is a key named ${name} already.`);
  }
  others.postMessage("kept");
}

/** Removes this very key; false, and nothing is removed, where its name is another's by now. */
export async function removeKey({ name, publicKey }) {
  let isThere = false;
  await within("readwrite", (store) => {
    const request = store.get(name);
    request.onsuccess = () => {
      const found = request.result;
      isThere = found !== undefined && toHex(found.publicKey) === toHex(publicKey);
      if (isThere) store.delete(name);
    };
    return request;
  });
  if (isThere) others.postMessage("removed");
  return isThere;
}

/** Asks the browser not to clear the keys when it is short of space. It may refuse. */
export async function keepForGood() {
  return await navigator.storage?.persist?.().catch(() => false) ?? false;
}

/** The name as it is kept. Throws what is wrong with it. */
export function checkedName(text) {
  const name = text.trim();
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name) || name.length > MAX_NAME) {
    throw new Error(`A name has 1 to ${MAX_NAME} letters, digits, "-" and "_".`);
  }
  return name;
}
