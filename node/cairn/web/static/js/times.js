// Keeps "2 min ago" true while a page is open.

const STEPS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];
const EVERY_MILLISECONDS = 5_000;

/** How long ago, in one unit; as the node writes it (`ago` in pages/formats.py). */
export function ago(seconds) {
  const past = Math.max(0, seconds);
  for (const [size, name] of STEPS) {
    if (past >= size) return `${Math.floor(past / size)} ${name} ago`;
  }
  return `${Math.floor(past)} s ago`;
}

function refresh() {
  const now = Date.now() / 1_000;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = ago(now - Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(refresh, EVERY_MILLISECONDS);
