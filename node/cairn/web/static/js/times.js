// Keeps "2 min ago" true while a page is open and not paused.

const STEPS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];
const EVERY_MILLISECONDS = 5_000;
let paused = false;

/** How long ago, in one unit; as the node writes it (`ago` in pages/formats.py). */
export function ago(seconds) {
  const past = Math.max(0, seconds);
  for (const [size, name] of STEPS) {
    if (past >= size) return `${Math.floor(past / size)} ${name} ago`;
  }
  return `${Math.floor(past)} s ago`;
}

function refresh() {
  if (paused) return;
  const now = Date.now() / 1_000;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = ago(now - Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}

document.addEventListener("cairn:live", ({ detail }) => (paused = detail.state === "paused"));
setInterval(refresh, EVERY_MILLISECONDS);
