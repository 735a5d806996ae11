// A page that signs does one thing at a time.

import { sentence, tell } from "./dom.js";

/** Whose turn it is. */
export class Turns {
  busy = false;

  /** Runs `work` unless something runs; its button waits meanwhile, `box` tells what it throws. */
  async take(button, box, work) {
    if (this.busy) return;
    this.busy = true;
    button.disabled = true;
    tell(box, "danger");
    try {
      await work();
    } catch (error) {
      tell(box, "danger", sentence(error.message));
    } finally {
      this.busy = false;
      button.disabled = false;
    }
  }
}
