// The page that checks a file with its proof, step by step.

import { digestOf, dropPlace, readableSize } from "./documents.js";
import { byId, fillFacts, make, tell } from "./dom.js";
import { canSign } from "./keys.js";
import { checkProof, CHECKS, Unchecked } from "./proof.js";
import { decodeProof, MAX_PROOF_BYTES } from "./prooffile.js";

const MARKS = { done: "✓", now: "…", bad: "✗", unsure: "?", later: "○" };
const STATES = {
  done: "holds",
  now: "being checked",
  bad: "does not hold",
  unsure: "could not be checked",
  later: "not checked",
};
const box = byId("verify-told");
let run = 0;

function line(state, name, words) {
  return make(
    "li",
    { class: `step step-${state}` },
    make("span", { class: "step-mark", "aria-hidden": "true" }, MARKS[state]),
    make(
      "span",
      {},
      name,
      make("span", { class: "visually-hidden" }, `: ${STATES[state]}`),
      ...(words ? [make("span", { class: "d-block text-body-secondary" }, words)] : []),
    ),
  );
}

function drawSteps() {
  byId("checks").replaceChildren(...CHECKS.map(([name]) => line("later", name, "")));
  return (i, state, words) =>
    byId("checks").children[i].replaceWith(line(state, CHECKS[i][0], words));
}

const counted = (number, noun, plural) =>
  `${number.toLocaleString("en")} ${noun}${Number(number) === 1 ? "" : plural}`;

function showFound({ sender, id, block, confirmations, work }) {
  const date = new Date(Number(block.timestamp) * 1000);
  const link = (href, text) => make("a", { class: "hash", href }, text);
  fillFacts(byId("found"), [
    ["Signed by", link(`/address/${sender}`, sender)],
    [
      "In the chain since",
      make("strong", {}, date.toISOString().replace("T", " ").slice(0, 19), " UTC"),
    ],
    [
      "Block",
      make(
        "span",
        {},
        `${block.height.toLocaleString("en")} `,
        link(`/block/${block.hash}`, block.hash),
      ),
    ],
    ["Transaction", link(`/transaction/${id}`, id)],
    [
      "To forge it",
      `${counted(work, "hash", "es")} in ${
        counted(confirmations, "block", "s")
      } of the file would ` +
      "have to be done again",
    ],
  ]);
  byId("found").hidden = false;
}

async function readProof(file) {
  if (file.size > MAX_PROOF_BYTES) {
    throw new Error(
      `The proof has ${readableSize(file.size)}, no proof has more than ` +
        `${readableSize(MAX_PROOF_BYTES)}. Were the two files swapped?`,
    );
  }
  return decodeProof(await file.text());
}

async function verify(file, proofFile, mine) {
  const proof = await readProof(proofFile);
  const digest = await digestOf(file, (percent) => {
    if (mine === run) tell(box, "info", `Reading the file … ${percent} %`);
  });
  if (mine !== run) return;
  const step = drawSteps();
  const found = await checkProof(digest, proof, (...how) => mine === run && step(...how));
  if (mine !== run) return;
  if (!found) {
    tell(box, "danger", "Not proven: what failed is marked below.");
    return;
  }
  tell(box, "success", "Proven: the file was notarized, as it is now, bit by bit.");
  showFound(found);
}

/** Begins as soon as both are there, and again when one is exchanged. */
async function look() {
  const [file] = byId("file").files;
  const [proof] = byId("proof").files;
  const mine = ++run;
  tell(box, "danger");
  byId("found").hidden = true;
  drawSteps();
  byId("verify-result").hidden = !(file && proof);
  if (!file || !proof) return;
  try {
    await verify(file, proof, mine);
  } catch (error) {
    if (mine !== run) return;
    if (error instanceof Unchecked) tellUnchecked();
    else tell(box, "danger", error.message);
  }
}

function tellUnchecked() {
  const again = make("button", { class: "btn btn-outline-secondary btn-sm", type: "button" });
  again.append("Try again");
  again.addEventListener("click", look);
  const words =
    "Not checked to the end: this node does not answer. Nothing speaks against the proof.";
  tell(box, "warning", `${words} `, again);
}

if (canSign()) {
  byId("verifying").hidden = false;
  dropPlace("file", look);
  dropPlace("proof", look);
  byId("verifying").dataset.ready = "yes";
} else {
  byId("insecure").hidden = false;
}
