// As much of a page, and of its node, as the modules ask for that check a proof.

import { REGTEST } from "./chain.js";

const dataset = {
  prefix: REGTEST.address_prefix,
  network: REGTEST.hash,
  name: REGTEST.name,
  symbol: REGTEST.symbol,
  maxData: String(REGTEST.max_data_bytes),
  minFee: "1",
};

globalThis.document = { getElementById: (id) => (id === "network" ? { dataset } : null) };

/**
 * What the node answers, by path: a document, bytes, a status that refuses, or a function that
 * gives one of these. Other paths are not found.
 */
export const answers = new Map();

globalThis.fetch = (path) => {
  const given = answers.get(path) ?? 404;
  const answer = typeof given === "function" ? given() : given;
  if (answer instanceof Uint8Array) return Promise.resolve(new Response(answer));
  if (typeof answer !== "number") return Promise.resolve(Response.json(answer));
  return Promise.resolve(Response.json({ code: "told", detail: "told" }, { status: answer }));
};
