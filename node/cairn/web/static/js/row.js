// Lets new blocks of the overview's row be seen to arrive.

const row = document.getElementById("row");
const hashes = () => [...row.querySelectorAll("[data-key]")].map((tile) => tile.dataset.key);
let known = new Set(hashes());

document.addEventListener("cairn:refreshed", () => {
  for (const tile of row.querySelectorAll("[data-key]")) {
    tile.classList.toggle("fresh", !known.has(tile.dataset.key));
  }
  known = new Set(hashes());
});
