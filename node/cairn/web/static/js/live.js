// Keeps a page current. One event stream a page; what it says goes to the document as events
// (`cairn:new-block` and so on), and parts marked `data-live="name …"` are fetched again when one
// of the named events comes. Without the stream the parts are fetched every few seconds.
//
// `cairn:live` tells {state}: "live", "reconnecting" (the stream is away, parts are polled),
// "stale" (what is shown may be old: the node or its listener does not answer, or has this page
// no more) or "paused" by the person. `cairn:refreshed`: the node answered, parts are fresh.

import { ask } from "./node.js";
import { announce, replace } from "./parts.js";

const NAMES = ["new-block", "new-transaction", "reorg", "peer"];
const GATHER_MILLISECONDS = 400;
const SPACING_MILLISECONDS = 1_500; // a busy node is not asked for the page with every event
const SHARED_MILLISECONDS = 350; // so old may be what a node hands out (OVERVIEW_SECONDS)
const POLL_MILLISECONDS = 5_000;
const QUIET_MILLISECONDS = 20_000; // a stream may be cut without a word: then look
const ANSWER_MILLISECONDS = 10_000;
const WORDS = {
  live: ["Live", "What the node learns shows here by itself"],
  reconnecting: ["Reconnecting", "The event stream is away: asking every few seconds"],
  stale: ["Stale", "What is shown may be old: the node does not give it anew"],
  paused: ["Paused", "Nothing moves by itself until you go on"],
};
const GONE =
  "This is no longer in the chain, nor does it wait for a block. What is shown below is old.";
const LOGGED_OUT = "You are logged out. What is shown below is old: reload the page to log in.";

const mark = document.getElementById("live-mark");
const told = document.getElementById("live-told");
let state = "";
let wanted = new Set();
let timer = null;
let source = null;
let heardAt = performance.now();
let eventAt = -SHARED_MILLISECONDS;
let askedAt = -SPACING_MILLISECONDS;

const isOpen = () => source?.readyState === EventSource.OPEN;
const current = () => [isOpen() ? "live" : "reconnecting"];

/** `notice` is what a person must know before reading on. */
function show(next, notice = "") {
  if (told.textContent !== notice) told.textContent = notice;
  told.hidden = !notice;
  if (state === next) return;
  const [word, title] = WORDS[next];
  if (state) announce(word);
  state = next;
  mark.dataset.state = next;
  mark.title = title;
  mark.querySelector(".live-word").textContent = word;
  mark.querySelector(".live-action").textContent = next === "paused" ? ": go on" : ": pause";
  document.dispatchEvent(new CustomEvent("cairn:live", { detail: { state: next } }));
}

/**
 * A fresh copy of this page. Not by fetch(): its text would have to be parsed, and the content
 * policy lets no script turn text into markup.
 */
function freshPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.setRequestHeader("Accept", "text/html");
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest"); // nobody opens this copy
    request.responseType = "document";
    request.timeout = ANSWER_MILLISECONDS;
    request.onload = () => resolve(request);
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

/** Puts fresh copies of the parts that follow these events in place. What to show of it. */
async function renew(parts, names) {
  const { status, responseURL, response } = await freshPage();
  if (responseURL !== location.href.split("#")[0]) return ["stale", LOGGED_OUT];
  if (status === 404) return ["stale", GONE];
  if (status >= 400 || !response) return ["stale"];
  if (state === "paused") return ["paused"];
  for (const part of parts) {
    const follows = part.dataset.live.split(" ").some((each) => names.has(each));
    if (follows) replace(part, response.getElementById(part.id));
  }
  document.dispatchEvent(new CustomEvent("cairn:refreshed"));
  return response.querySelector("[data-listener=unavailable]") ? ["stale"] : current();
}

/** A page without such parts is the same whenever it is fetched: does the node answer? */
async function askWhetherThere() {
  await ask("health", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
  document.dispatchEvent(new CustomEvent("cairn:refreshed"));
  return current();
}

async function refresh() {
  const names = wanted;
  wanted = new Set();
  askedAt = heardAt = performance.now();
  // What a node hands out to many at once may be older than an event that came just now.
  if (askedAt - eventAt < SHARED_MILLISECONDS) wanted = new Set(names);
  const parts = [...document.querySelectorAll("[data-live]")];
  const found = await (parts.length ? renew(parts, names) : askWhetherThere())
    .catch(() => ["stale"]);
  timer = null;
  if (state === "paused") return;
  show(...found);
  if (wanted.size) soon();
}

function soon(...names) {
  for (const name of names) wanted.add(name);
  const rest = askedAt + SPACING_MILLISECONDS - performance.now();
  timer ??= setTimeout(refresh, Math.max(GATHER_MILLISECONDS, rest));
}

function tell(event) {
  heardAt = performance.now();
  mark.classList.add("heard");
  let detail = {};
  try {
    detail = JSON.parse(event.data);
  } catch {
    // What cannot be read is still a reason to look again.
  }
  document.dispatchEvent(new CustomEvent(`cairn:${event.type}`, { detail }));
  const followed = document.querySelector(`[data-live~="${event.type}"]`);
  if (!followed && state !== "stale") return;
  eventAt = heardAt;
  soon(event.type);
}

function opened() {
  if (state !== "stale") show("live");
  soon(...NAMES); // what happened meanwhile
}

function failed() {
  if (state !== "stale") show("reconnecting");
}

/** One connection a visible page: browsers open few to one place. */
function listen() {
  source?.close();
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", opened);
  source.addEventListener("error", failed);
  for (const name of NAMES) source.addEventListener(name, tell);
}

function hangUp() {
  source?.close();
  source = null;
}

function watch() {
  if (document.hidden || state === "paused") return;
  // A browser gives up on a stream that was refused; we do not.
  if (source?.readyState === EventSource.CLOSED) listen();
  if (!isOpen() || performance.now() - heardAt > QUIET_MILLISECONDS) soon(...NAMES);
}

function pauseOrGoOn() {
  if (state === "paused") {
    show("reconnecting");
    listen();
    return;
  }
  hangUp();
  clearTimeout(timer);
  timer = null;
  wanted.clear();
  show("paused");
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hangUp();
  else if (!source && state !== "paused") listen();
});
mark.addEventListener("click", pauseOrGoOn);
mark.addEventListener("animationend", () => mark.classList.remove("heard"));
setInterval(watch, POLL_MILLISECONDS);
if (!document.hidden) listen();
