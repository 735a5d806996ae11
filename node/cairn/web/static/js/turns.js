// A page that signs does one thing at a time.

import { sentence, tell } from "./dom.js";

/** Whose turn it is. `refused` is called with what a piece of work threw, before it is told. */
export class Turns {
  #refused;
  busy = false;

  constructor(refused) {
    this.#refused = refused;
  }

  /** Runs `work` unless something runs; its button waits meanwhile, `box` tells what it throws. */
  async take(button, box, work) {
    if (this.busy) return;
    this.busy = true;
    button.disabled = true;
    tell(box, "danger");
    try {
      await work();
    } catch (error) {
      this.#refused(error);
      tell(box, "danger", sentence(error.message));
    } finally {
      this.busy = false;
      button.disabled = false;
    }
  }
}
