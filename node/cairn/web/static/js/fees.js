// The fee field: what the pool suggests, or the person's own.

import { formatAmount, parseAmount } from "./amounts.js";
import { byId, mark } from "./dom.js";
import { network } from "./network.js";
import { ask } from "./node.js";
import { sizeWith } from "./payment.js";

const NAMES = { low: "Low", normal: "Normal", high: "High" };
const HINTS = { low: "within some blocks", normal: "next block", high: "first in the next block" };
const OWN = "own";

/** A choice of fees for a transaction whose bytes of data `dataBytes()` tells. */
export class FeeField {
  #rates = { low: network.minFee, normal: network.minFee, high: network.minFee };
  #choice = byId("fee-choice");
  #own = byId("fee");
  #dataBytes;
  #changed;

  constructor(dataBytes, changed) {
    this.#dataBytes = dataBytes;
    this.#changed = changed;
    this.#choice.addEventListener("change", () => {
      byId("fee-own").hidden = this.#choice.value !== OWN;
      if (this.#choice.value === OWN && !this.#own.value) {
        this.#own.value = formatAmount(this.#least(), true);
      }
      changed();
    });
    this.#own.addEventListener("input", () => {
      this.check();
      changed();
    });
    this.draw();
  }

  /** Asks the node again. Without an answer the last suggestions stay. */
  async refresh() {
    const found = await ask("fees").catch(() => null);
    if (!found) return;
    for (const name of Object.keys(NAMES)) this.#rates[name] = BigInt(found[name]);
    network.minFee = BigInt(found.minimum);
    this.draw();
    this.#changed();
  }

  /** Writes the suggestions for the transaction's present size. */
  draw() {
    for (const option of this.#choice.options) {
      if (option.value === OWN) continue;
      const fee = formatAmount(this.#of(option.value));
      // The fee before the words: a phone may cut the end off.
      option.textContent = `${NAMES[option.value]}: ${fee} ${network.symbol}, ${
        HINTS[option.value]
      }`;
    }
    if (this.#choice.value === OWN && this.#own.value) this.check();
  }

  /** Base units. Throws what is wrong with the person's own. */
  get value() {
    if (this.#choice.value !== OWN) return this.#of(this.#choice.value);
    const fee = parseAmount(this.#own.value);
    if (fee < this.#least()) {
      throw new Error(
        `The node takes no less than ${formatAmount(this.#least())} ${network.symbol}.`,
      );
    }
    return fee;
  }

  /** Marks the field; whether it is right. */
  check() {
    try {
      void this.value;
      mark(this.#own, null);
      return true;
    } catch (error) {
      mark(this.#own, error.message);
      return false;
    }
  }

  focus() {
    this.#own.focus();
  }

  #of(name) {
    return this.#rates[name] * BigInt(sizeWith(this.#dataBytes()));
  }

  #least() {
    return network.minFee * BigInt(sizeWith(this.#dataBytes()));
  }
}
