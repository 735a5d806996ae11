// The module that keeps a page current, against a node whose answers and clock the test sets.

import assert from "node:assert/strict";

import { Element, useDocument } from "./elements.js";

const LIVE = "../../../../node/cairn/web/static/js/live.js";
const HERE = "http://node.test/block/aa";
const element = (name, attributes, ...children) => new Element(name, attributes, ...children);

let now = 0;
let timers = [];
performance.now = () => now;
globalThis.setTimeout = (run, wait) => {
  const timer = { run, at: now + wait };
  timers.push(timer);
  return timer;
};
globalThis.setInterval = (run, every) => timers.push({ run, at: now + every, every });
globalThis.clearTimeout = (timer) => (timers = timers.filter((each) => each !== timer));
AbortSignal.timeout = () => null;

/** Lets so much time pass, and what is due happen. */
async function pass(milliseconds) {
  const end = now + milliseconds;
  for (;;) {
    const [next] = timers.filter((each) => each.at <= end).sort((a, b) => a.at - b.at);
    if (!next) break;
    now = Math.max(now, next.at);
    if (next.every) next.at += next.every;
    else clearTimeout(next);
    next.run();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  }
  now = end;
}

let streams = [];
globalThis.EventSource = class extends EventTarget {
  static OPEN = 1;
  static CLOSED = 2;
  readyState = 0;
  constructor() {
    super();
    streams.push(this);
  }
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  close() {
    this.readyState = 2;
  }
  says(name) {
    this.dispatchEvent(new MessageEvent(name, { data: "{}" }));
  }
};

let answer = null;
let fetched = 0;
globalThis.XMLHttpRequest = class {
  open() {}
  headers = {};
  setRequestHeader(name, value) {
    this.headers[name] = value;
  }
  send() {
    assert.equal(this.headers["X-Requested-With"], "XMLHttpRequest", "nobody opens this copy");
    fetched++;
    queueMicrotask(() => {
      const given = { status: 200, responseURL: HERE, ...answer() };
      if (given.status === 0) return this.onerror();
      Object.assign(this, given);
      this.onload();
    });
  }
};

let asked = [];
let healthy = true;
globalThis.fetch = (path) => {
  asked.push(path);
  return Promise.resolve(Response.json({}, { status: healthy ? 200 : 503 }));
};

/** The body of a page with these parts. */
function page(...parts) {
  const mark = element(
    "button",
    { id: "live-mark" },
    element("span", { class: "live-word" }),
    element("span", { class: "live-action" }),
  );
  const told = element("div", { id: "live-told", hidden: "" });
  return element("body", {}, mark, told, ...parts, element("div", { id: "announcer" }));
}

const part = (text) => element("div", { id: "where", "data-live": "new-block reorg" }, text);

let pages = 0;

/** Opens a page; its node answers by `given` from then on. */
async function open(root, given = null) {
  [now, timers, streams, fetched, asked, healthy] = [0, [], [], 0, [], true];
  answer = given;
  useDocument(root);
  root.hidden = false;
  root.addEventListener("cairn:refreshed", () => root.refreshed = (root.refreshed ?? 0) + 1);
  globalThis.location = { href: `${HERE}#top` };
  await import(`${LIVE}?page=${++pages}`);
  streams[0].open();
  await pass(2_000);
  return {
    mark: root.getElementById("live-mark"),
    told: root.getElementById("live-told"),
    where: root.getElementById("where"),
    state: () => root.getElementById("live-mark").dataset.state,
  };
}

Deno.test("a part is put in place when an event comes that it follows, and no other", async () => {
  let text = "1 confirmation";
  const { where, state } = await open(page(part(text)), () => ({ response: page(part(text)) }));
  assert.deepEqual([state(), fetched], ["live", 1]);
  text = "2 confirmations";
  streams[0].says("peer");
  await pass(2_000);
  assert.deepEqual([where.textContent, fetched], ["1 confirmation", 1]);
  streams[0].says("new-block");
  await pass(2_000);
  assert.deepEqual([where.textContent, fetched], ["2 confirmations", 2]);
});

Deno.test("a page that is no longer there is stale and says so, until it is back", async () => {
  let found = { response: page(part("6 confirmations")) };
  const { told, state } = await open(page(part("6 confirmations")), () => found);
  assert.deepEqual([state(), told.hidden], ["live", true]);
  found = { status: 404, response: page() };
  streams[0].says("reorg");
  await pass(2_000);
  assert.equal(state(), "stale");
  assert.match(told.textContent, /^This is no longer in the chain/);
  assert.equal(told.hidden, false);
  streams[0].open(); // a new stream alone does not make it true again
  assert.equal(state(), "stale");
  found = { response: page(part("1 confirmation")) };
  streams[0].says("new-block");
  await pass(2_000);
  assert.deepEqual([state(), told.hidden, told.textContent], ["live", true, ""]);
});

Deno.test("a page that leads elsewhere, as after the operator's session, is stale", async () => {
  const login = { responseURL: "http://node.test/operator/login", response: page() };
  const { told, state } = await open(page(part("height 7")), () => login);
  assert.equal(state(), "stale");
  assert.match(told.textContent, /^You are logged out/);
});

Deno.test("refusals and no answer are stale, and nothing is put in place", async () => {
  for (const status of [0, 400, 431, 500, 503]) {
    const given = () => ({ status, response: page(part("other")) });
    const { where, told, state } = await open(page(part("height 7")), given);
    assert.deepEqual([state(), told.hidden, where.textContent], ["stale", true, "height 7"]);
  }
});

Deno.test("a page whose listener is away is stale", async () => {
  const figures = () => element("div", { "data-listener": "unavailable" });
  const { state } = await open(page(part("7")), () => ({ response: page(part("7"), figures()) }));
  assert.equal(state(), "stale");
});

Deno.test("a page without live parts is not fetched: the node is asked whether it is there", async () => {
  const root = page();
  const { state } = await open(root);
  assert.deepEqual([state(), fetched, asked], ["live", 0, ["/api/v1/health"]]);
  assert.equal(root.refreshed, 1);
  healthy = false;
  await pass(27_000); // the stream is quiet
  assert.deepEqual([state(), fetched, root.refreshed], ["stale", 0, 1]);
  healthy = true;
  streams[0].says("peer");
  await pass(2_000);
  assert.deepEqual([state(), fetched, root.refreshed], ["live", 0, 2]);
});

Deno.test("an event just before the page is asked for has it asked for again", async () => {
  await open(page(part("7")), () => ({ response: page(part("7")) }));
  await pass(3_000);
  streams[0].says("new-block");
  await pass(300);
  streams[0].says("new-block");
  await pass(100);
  assert.equal(fetched, 2);
  await pass(10_000);
  assert.equal(fetched, 3);
});

Deno.test("a paused page closes its stream and asks for nothing until it goes on", async () => {
  let text = "7";
  const { mark, where, state } = await open(
    page(part(text)),
    () => ({ response: page(part(text)) }),
  );
  text = "8";
  streams[0].says("new-block");
  mark.dispatchEvent(new Event("click"));
  assert.deepEqual([state(), streams[0].readyState], ["paused", EventSource.CLOSED]);
  assert.equal(mark.querySelector(".live-word").textContent, "Paused");
  await pass(60_000);
  document.hidden = true;
  document.dispatchEvent(new Event("visibilitychange"));
  document.hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([state(), streams.length, fetched, where.textContent], ["paused", 1, 1, "7"]);
  mark.dispatchEvent(new Event("click"));
  streams[1].open();
  await pass(2_000);
  assert.deepEqual([state(), where.textContent], ["live", "8"]);
});

Deno.test("an answer that comes after the pause changes nothing", async () => {
  let text = "7";
  const { mark, where, state } = await open(page(part(text)), () => {
    if (text === "8") mark.dispatchEvent(new Event("click"));
    return { response: page(part(text)) };
  });
  text = "8";
  streams[0].says("new-block");
  await pass(2_000);
  assert.deepEqual([state(), where.textContent, fetched], ["paused", "7", 2]);
});

Deno.test("the mark moves once for each event", async () => {
  const { mark } = await open(page(part("7")), () => ({ response: page(part("7")) }));
  assert.ok(!mark.classList.has("heard"));
  streams[0].says("peer");
  assert.ok(mark.classList.has("heard"));
  mark.dispatchEvent(new Event("animationend"));
  assert.ok(!mark.classList.has("heard"));
});
