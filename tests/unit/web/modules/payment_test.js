// Handing in what was signed: it counts once, whatever the network and other tabs do meanwhile.

import assert from "node:assert/strict";

import { answers } from "./page.js";

import { createKey } from "../../../../node/cairn/web/static/js/keys.js";
import { addressText, draft, handIn } from "../../../../node/cairn/web/static/js/payment.js";

const stored = new Map();
Object.defineProperty(globalThis, "sessionStorage", {
  value: {
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, value),
    removeItem: (name) => stored.delete(name),
  },
});
let queue = Promise.resolve();
Object.defineProperty(navigator, "locks", {
  value: {
    request: (_name, work) => {
      const turn = queue.then(work);
      queue = turn.catch(() => {});
      return turn;
    },
  },
});

const key = await createKey();
const address = await addressText(key);
const order = { recipient: new Uint8Array(20), amount: 5n, fee: 200n, data: new Uint8Array() };
let sent = [];

/** The node: what it has by id, the account's next sequence, and what becomes of a POST. */
const node = { known: new Set(), sequence: 7, take: () => "taken" };

const refusal = (status) =>
  Promise.resolve(Response.json({ code: "pool-fee-too-low", detail: "told" }, { status }));

const plainFetch = globalThis.fetch;
globalThis.fetch = (path, options = {}) => {
  if (options.method !== "POST") return plainFetch(path);
  const body = JSON.parse(options.body);
  sent.push(body);
  const outcome = node.take(body);
  if (outcome === "lost") return Promise.reject(new TypeError("Failed to fetch"));
  if (typeof outcome === "number") {
    return refusal(outcome);
  }
  if (outcome === "cut off") return Promise.resolve(new Response('{"id": "', { status: 202 }));
  return Promise.resolve(Response.json({ id: outcome }, { status: 202 }));
};

const leftToAsk = () => JSON.parse(stored.get("cairn-unanswered") ?? "[]");
const known = (id, is) =>
  answers.set(
    `/api/v1/transactions/${id}`,
    is ? { id, sender: address, ...sent[0], status: "waiting" } : 404,
  );

/** A test with nothing sent yet, on a node where seven transactions of the key are mined. */
const fresh = (work) => async () => {
  sent = [];
  stored.clear();
  node.sequence = 7;
  answers.set(`/api/v1/accounts/${address}`, () => ({
    balance: "10000",
    next_sequence: String(node.sequence),
    pending: { sent: "0", received: "0", transactions: 0 },
  }));
  await work();
};

/** The id that a payment has once it is signed; its first answer is lost. */
async function handInWithoutAnswer(payment) {
  node.take = () => "lost";
  await assert.rejects(handIn(payment), /may have been sent or not.*counts once/);
  return payment.signed.id;
}

Deno.test(
  "what the node takes is told by its id, and nothing is left to ask for",
  fresh(async () => {
    const payment = await draft(key, order);
    node.take = () => payment.signed.id;
    assert.equal(await handIn(payment), payment.signed.id);
    assert.equal(sent.length, 1);
    assert.equal(sent[0].sequence, "7");
    assert.deepEqual(leftToAsk(), []);
  }),
);

Deno.test(
  "without an answer the very same is sent again",
  fresh(async () => {
    const payment = await draft(key, order);
    const id = await handInWithoutAnswer(payment);
    known(id, false);
    node.take = () => id;
    assert.equal(await handIn(payment), id);
    assert.deepEqual(sent[1], sent[0]);
  }),
);

Deno.test(
  "what arrived without an answer is not sent again",
  fresh(async () => {
    const payment = await draft(key, order);
    const id = await handInWithoutAnswer(payment);
    known(id, true);
    node.sequence = 8;
    assert.equal(await handIn(payment), id);
    assert.equal(sent.length, 1);
    assert.deepEqual(leftToAsk(), []);
  }),
);

Deno.test(
  "a new draft after a lost answer is none where the first arrived",
  fresh(async () => {
    const id = await handInWithoutAnswer(await draft(key, order));
    known(id, true);
    node.sequence = 8;
    assert.deepEqual(await draft(key, order), { arrived: id });
    assert.equal((await draft(key, order)).fields.sequence, 8n, "and it is told once");
  }),
);

Deno.test(
  "the same of another key is not taken for the one that arrived",
  fresh(async () => {
    const id = await handInWithoutAnswer(await draft(key, order));
    answers.set(`/api/v1/transactions/${id}`, { id, ...sent[0], sender: "another" });
    node.sequence = 8;
    await assert.rejects(draft(key, order), /arrived after all/);
  }),
);

Deno.test("another amount, recipient or note is not taken for the one that arrived", async () => {
  const changes = [
    { amount: 6n },
    { recipient: new Uint8Array(20).fill(1) },
    { data: new Uint8Array([1]) },
  ];
  for (const change of changes) {
    await fresh(async () => {
      known(await handInWithoutAnswer(await draft(key, order)), true);
      node.sequence = 8;
      await assert.rejects(draft(key, { ...order, ...change }), /arrived after all/);
      assert.equal((await draft(key, { ...order, ...change })).fields.sequence, 8n);
      assert.equal(sent.length, 1);
    })();
  }
});

Deno.test(
  "a new draft after a lost answer takes the sequence of the first",
  fresh(async () => {
    const first = await draft(key, order);
    known(await handInWithoutAnswer(first), false);
    const second = await draft(key, { ...order, amount: 6n });
    assert.equal(second.fields.sequence, first.fields.sequence);
    node.sequence = 8; // the first arrives while the second is reviewed
    await assert.rejects(handIn(second), /Another transaction of this key came first/);
    assert.equal(sent.length, 1);
  }),
);

Deno.test(
  "what another tab sent since the review is not replaced",
  fresh(async () => {
    const payment = await draft(key, order);
    node.sequence = 8;
    await assert.rejects(handIn(payment), /Another transaction of this key came first/);
    assert.equal(sent.length, 0);
  }),
);

Deno.test(
  "of two tabs that sign at the same time one is told to review again",
  fresh(async () => {
    const [one, other] = [await draft(key, order), await draft(key, { ...order, fee: 900n })];
    node.take = () => {
      node.sequence = 8;
      return one.signed.id;
    };
    const done = await Promise.allSettled([handIn(one), handIn(other)]);
    assert.deepEqual(done.map((each) => each.status), ["fulfilled", "rejected"]);
    assert.equal(sent.length, 1);
  }),
);

Deno.test(
  "what the node refused is signed anew, and nothing is left to ask for",
  fresh(async () => {
    const payment = await draft(key, order);
    node.take = () => 422;
    await assert.rejects(handIn(payment), /The fee is below what this node takes now/);
    assert.equal(payment.signed, undefined);
    assert.deepEqual(leftToAsk(), []);
  }),
);

Deno.test(
  "a node that is away for a moment may have it: it is kept",
  fresh(async () => {
    const payment = await draft(key, order);
    node.take = () => 503;
    await assert.rejects(handIn(payment), /told.* It may have been sent or not/);
    assert.deepEqual(leftToAsk(), [payment.signed.id]);
    node.take = () => "cut off";
    await assert.rejects(handIn(payment), /No answer came, so it may have been sent or not/);
    assert.deepEqual(leftToAsk(), [payment.signed.id]);
  }),
);
