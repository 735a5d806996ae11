// Follows a transaction from the pool into a block and on to its confirmations.

import { ask, Refusal } from "./node.js";

export const WANTED_CONFIRMATIONS = 6;
const POLL_MILLISECONDS = 4_000;
const LOST_LOOKS = 6;

/**
 * Calls `show` with each state: `{step, height, hash, confirmations}`, where `step` is waiting,
 * mined, confirmed, lost (in neither pool nor chain for a while) or away (no answer). Ends at
 * confirmed, or by the function that it returns.
 */
export function follow(id, show) {
  let lost = 0;
  let looking = false;
  let ended = false;

  async function look() {
    if (looking || ended) return;
    looking = true;
    try {
      const found = await ask(`transactions/${id}`);
      if (ended) return;
      lost = 0;
      const state = stateOf(found);
      if (state.step === "confirmed") stop();
      show(state);
    } catch (error) {
      if (ended) return;
      const missing = error instanceof Refusal && error.status === 404;
      lost = missing ? lost + 1 : 0;
      if (!missing) show({ step: "away" });
      else if (lost >= LOST_LOOKS) show({ step: "lost" });
    } finally {
      looking = false;
    }
  }

  function stop() {
    ended = true;
    clearInterval(poll);
    document.removeEventListener("cairn:new-block", look);
    document.removeEventListener("cairn:reorg", look);
  }

  const poll = setInterval(look, POLL_MILLISECONDS);
  document.addEventListener("cairn:new-block", look);
  document.addEventListener("cairn:reorg", look);
  look();
  return stop;
}

function stateOf({ status, block, confirmations }) {
  if (status !== "mined") return { step: "waiting" };
  const step = confirmations >= WANTED_CONFIRMATIONS ? "confirmed" : "mined";
  return { step, height: block.height, hash: block.hash, confirmations };
}
