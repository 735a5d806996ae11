// Keeps what a page shows current: asks again for the parts that a new event changes.

const parts = [...document.querySelectorAll("[data-live]")];
let wanted = new Set();
let timer = null;

/** Replaces the parts that follow these events by those of a fresh copy of the page. */
async function refresh() {
  const names = wanted;
  wanted = new Set();
  timer = null;
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (fresh && part.dataset.live.split(" ").some((name) => names.has(name))) {
      part.replaceChildren(...fresh.childNodes);
    }
  }
}

function soon(name) {
  wanted.add(name);
  timer ??= setTimeout(refresh, 500);
}

const NAMES = ["new-block", "new-transaction", "reorg", "peer"];
let source = null;

/** One connection a visible page: browsers open few to one place. */
function listen() {
  if (document.hidden || source) return;
  source = new EventSource("/api/v1/events");
  for (const name of NAMES) source.addEventListener(name, () => soon(name));
}

function pause() {
  if (!document.hidden) {
    listen();
    for (const name of NAMES) soon(name);
    return;
  }
  source?.close();
  source = null;
}

if (parts.length) {
  document.addEventListener("visibilitychange", pause);
  listen();
}
