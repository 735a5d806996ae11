// Keeps a page current. One event stream a page; what it says goes to the document as events
// (`cairn:new-block` and so on), and parts marked `data-live="name …"` are fetched again when one
// of the named events comes. Without the stream the parts are fetched every few seconds.
//
// `cairn:live` tells {state}: "live", "reconnecting" (the stream is away, parts are polled) or
// "stale" (the node does not answer, or its listener is away: what is shown may be old).

const NAMES = ["new-block", "new-transaction", "reorg", "peer"];
const GATHER_MILLISECONDS = 400;
const SPACING_MILLISECONDS = 1_500; // a busy node is not asked for the page with every event
const POLL_MILLISECONDS = 5_000;
const QUIET_MILLISECONDS = 20_000; // a stream may be cut without a word: then look
const ANSWER_MILLISECONDS = 10_000;
const WORDS = {
  live: ["Live", "What the node learns shows here by itself"],
  reconnecting: ["Reconnecting", "The event stream is away: asking every few seconds"],
  stale: ["Stale", "The node does not answer: what is shown may be old"],
};

const mark = document.getElementById("live-mark");
let state = "";
let wanted = new Set();
let timer = null;
let source = null;
let heardAt = performance.now();
let askedAt = -SPACING_MILLISECONDS;

const isOpen = () => source?.readyState === EventSource.OPEN;

function show(next) {
  if (state === next) return;
  state = next;
  if (mark) {
    mark.dataset.state = next;
    [mark.querySelector(".live-word").textContent, mark.title] = WORDS[next];
  }
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
    request.responseType = "document";
    request.timeout = ANSWER_MILLISECONDS;
    request.onload = () => {
      if (request.status < 500 && request.response) resolve(request.response);
      else reject(new Error(`status ${request.status}`));
    };
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

/** Replaces the parts that follow the wanted events by those of a fresh copy of the page. */
async function refresh() {
  const names = wanted;
  wanted = new Set();
  askedAt = heardAt = performance.now();
  try {
    const page = await freshPage();
    for (const part of document.querySelectorAll("[data-live]")) {
      const follows = part.dataset.live.split(" ").some((each) => names.has(each));
      if (follows) replace(part, page.getElementById(part.id));
    }
    document.dispatchEvent(new CustomEvent("cairn:refreshed"));
    if (page.querySelector("[data-listener=unavailable]")) show("stale");
    else show(isOpen() ? "live" : "reconnecting");
  } catch {
    show("stale");
  }
  timer = null;
  if (wanted.size) soon();
}

/** What a person is at stays: focus, opened details, scrolled lists, text being marked. */
function replace(part, fresh) {
  if (!fresh || part.isEqualNode(fresh) || isMarked(part)) return;
  const focused = part.contains(document.activeElement) ? nameOf(document.activeElement) : "";
  const opened = [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
  const scrolled = [...part.querySelectorAll("[id]")]
    .filter((each) => each.scrollTop || each.scrollLeft)
    .map((each) => [each.id, each.scrollLeft, each.scrollTop]);
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo(left, top);
  if (focused) {
    const controls = [...part.querySelectorAll("a, button, input, select, summary, [tabindex]")];
    controls.find((each) => nameOf(each) === focused)?.focus({ preventScroll: true });
  }
}

/** What tells a control from its neighbours, in this copy of the page and in the next. */
function nameOf(control) {
  return control.id || control.getAttribute("href") || control.dataset.copy ||
    `in ${control.parentElement?.id}`;
}

function isMarked(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode) &&
    part.contains(selection.focusNode);
}

function soon(...names) {
  for (const name of names) wanted.add(name);
  const rest = askedAt + SPACING_MILLISECONDS - performance.now();
  timer ??= setTimeout(refresh, Math.max(GATHER_MILLISECONDS, rest));
}

function tell(event) {
  heardAt = performance.now();
  let detail = {};
  try {
    detail = JSON.parse(event.data);
  } catch {
    // What cannot be read is still a reason to look again.
  }
  document.dispatchEvent(new CustomEvent(`cairn:${event.type}`, { detail }));
  const followed = document.querySelector(`[data-live~="${event.type}"]`);
  if (followed || state === "stale") soon(event.type);
}

function opened() {
  show("live");
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

function watch() {
  if (document.hidden) return;
  // A browser gives up on a stream that was refused; we do not.
  if (source?.readyState === EventSource.CLOSED) listen();
  if (!isOpen() || performance.now() - heardAt > QUIET_MILLISECONDS) soon(...NAMES);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    listen();
  }
});
setInterval(watch, POLL_MILLISECONDS);
if (!document.hidden) listen();
