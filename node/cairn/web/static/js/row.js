// Lets new blocks of the overview's row be seen to arrive.

const row = document.getElementById("row");
const hashes = () => [...row.querySelectorAll("[data-hash]")].map((tile) => tile.dataset.hash);
let known = new Set(hashes());

document.addEventListener("cairn:refreshed", () => {
  for (const tile of row.querySelectorAll("[data-hash]")) {
    tile.classList.toggle("fresh", !known.has(tile.dataset.hash));
  }
  known = new Set(hashes());
});
