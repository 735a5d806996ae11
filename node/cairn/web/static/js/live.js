// Keeps a page current. One event stream a page; what it says goes to the document as events
// (`cairn:new-block` and so on), and parts marked `data-live="name …"` are fetched again when one
// of the named events comes. Without the stream the parts are fetched every few seconds.
//
// `cairn:live` tells {state}: "live", "reconnecting" (the stream is away, parts are polled) or
// "stale" (the node does not answer: what is shown may be old).

const NAMES = ["new-block", "new-transaction", "reorg", "peer"];
const GATHER_MILLISECONDS = 400;
const POLL_MILLISECONDS = 5_000;
const WORDS = { live: "Live", reconnecting: "Reconnecting", stale: "Stale" };

const mark = document.getElementById("live-mark");
let state = "";
let wanted = new Set();
let timer = null;
let poll = null;
let source = null;

function show(next) {
  if (state === next) return;
  state = next;
  if (mark) {
    mark.dataset.state = next;
    mark.querySelector(".live-word").textContent = WORDS[next];
  }
  document.dispatchEvent(new CustomEvent("cairn:live", { detail: { state: next } }));
}

const parts = () => [...document.querySelectorAll("[data-live]")];

/** Replaces the parts that follow these events by those of a fresh copy of the page. */
async function refresh() {
  const names = wanted;
  wanted = new Set();
  timer = null;
  const stale = parts().filter((part) =>
    part.dataset.live.split(" ").some((each) => names.has(each))
  );
  if (!stale.length && source?.readyState === EventSource.OPEN) return;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of stale) replace(part, page.getElementById(part.id));
    document.dispatchEvent(new CustomEvent("cairn:refreshed"));
    if (source?.readyState !== EventSource.OPEN) show("reconnecting");
  } catch {
    show("stale");
  }
}

/** What has focus keeps it, when the fresh part still holds it. */
function replace(part, fresh) {
  if (!fresh) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceChildren(...fresh.childNodes);
  if (focused) document.getElementById(focused)?.focus();
}

function soon(...names) {
  for (const name of names) wanted.add(name);
  timer ??= setTimeout(refresh, GATHER_MILLISECONDS);
}

function tell(event) {
  let detail = {};
  try {
    detail = JSON.parse(event.data);
  } catch {
    // What cannot be read is still a reason to look again.
  }
  document.dispatchEvent(new CustomEvent(`cairn:${event.type}`, { detail }));
  soon(event.type);
}

function opened() {
  clearInterval(poll);
  poll = null;
  show("live");
  soon(...NAMES); // what happened meanwhile
}

function failed() {
  if (state !== "stale") show("reconnecting");
  poll ??= setInterval(() => {
    if (document.hidden) return;
    // A browser gives up on a stream that was refused; we do not.
    if (source?.readyState === EventSource.CLOSED) listen(true);
    soon(...NAMES);
  }, POLL_MILLISECONDS);
}

/** One connection a visible page: browsers open few to one place. */
function listen(again = false) {
  if (document.hidden || (source && !again)) return;
  source?.close();
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", opened);
  source.addEventListener("error", failed);
  for (const name of NAMES) source.addEventListener(name, tell);
}

function sleepOrWake() {
  if (!document.hidden) {
    listen();
    return;
  }
  source?.close();
  source = null;
  clearInterval(poll);
  poll = null;
}

document.addEventListener("visibilitychange", sleepOrWake);
listen();
