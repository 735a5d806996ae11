// The page that puts a file's fingerprint in the chain and hands out the proof.

import { formatAmount } from "./amounts.js";
import { toHex } from "./bytes.js";
import { digestOf, dropPlace, notarizationData } from "./documents.js";
import { byId, fillFacts, goTo, make, save, sentence, tell } from "./dom.js";
import { FeeField } from "./fees.js";
import { chosen, refreshBalances, reloadKeys } from "./keychoice.js";
import { addressOf, canSign } from "./keys.js";
import { network } from "./network.js";
import { ARRIVED, draft, handIn, sizeWith } from "./payment.js";
import { showProgress } from "./progress.js";
import { encodeProof, fetchProof } from "./prooffile.js";
import { Turns } from "./turns.js";

const DATA_BYTES = 44;
const steps = ["step-file", "step-review", "step-status"].map(byId);
const [fileStep, reviewStep, statusStep] = steps;
const fact = (text) => make("span", { class: "hash" }, text);
const coins = (units) => `${formatAmount(units)} ${network.symbol}`;

let subject = null; // {file, digest}
let current = null; // what is reviewed, and the name of its file
let proofFile = null; // {id, name}: of what is on its way
const fee = new FeeField(() => DATA_BYTES, () => {});

async function picked(file) {
  subject = null;
  byId("digest").textContent = "";
  tell(byId("file-told"), "danger");
  if (!file) return;
  try {
    const digest = await digestOf(file, (percent) => {
      byId("digest").textContent = `Reading … ${percent} %`;
    });
    if (byId("file").files[0] !== file) return; // another was chosen meanwhile
    subject = { file, digest };
    byId("digest").textContent = `SHA-256 ${toHex(digest)}`;
  } catch (error) {
    byId("digest").textContent = "";
    tell(byId("file-told"), "danger", error.message);
  }
}

async function review() {
  if (!subject) throw new Error("Choose a file first, and wait until it is read.");
  if (!fee.check()) {
    fee.focus();
    return;
  }
  const { file, digest } = subject; // another may be chosen while the node is asked
  const key = chosen();
  const data = notarizationData(digest);
  const own = await addressOf(key.publicKey);
  const drafted = await draft(key, { recipient: own, amount: 0n, fee: fee.value, data });
  if (drafted.arrived) {
    showSent(drafted.arrived, file.name, ARRIVED);
    return;
  }
  current = { ...drafted, fileName: file.name };
  const { fields, bytes, left } = current;
  fillFacts(byId("review-facts"), [
    ["File", file.name],
    ["Its SHA-256", fact(toHex(digest))],
    ["Signed by", make("span", {}, make("strong", {}, key.name), " ", fact(key.address))],
    ["Amount", `${coins(0n)}, to the key itself`],
    ["Fee", make("strong", {}, `${coins(fields.fee)} for ${sizeWith(DATA_BYTES)} bytes`)],
    ["Left after it", coins(left)],
    ["Sequence", fields.sequence.toString()],
    ["Dated", new Date(fields.timestamp * 1000).toISOString().replace(/\.\d+Z/, "Z")],
    ["Network", make("span", {}, network.name, " ", fact(network.id))],
  ]);
  byId("review-bytes").textContent = toHex(bytes);
  tell(byId("review-told"), "danger");
  goTo(steps, reviewStep);
}

/** Offered while it is in a block: a reorganisation takes it out, and maybe into another. */
function offerProof({ step }) {
  byId("proof-name").textContent = proofFile.name;
  byId("proof").hidden = step !== "mined" && step !== "confirmed";
}

/** Fetched when it is asked for, so that it is of the chain as it is then. */
async function saveProof() {
  const { id, name } = proofFile;
  save(name, encodeProof(await fetchProof(id, network)), "application/json");
}

async function record() {
  const { fileName } = current;
  const id = await handIn(current);
  current = null;
  showSent(id, fileName);
  await refreshBalances();
}

function showSent(id, name, words = "") {
  tell(byId("status-told"), "info", ...(words ? [words] : []));
  proofFile = { id, name: `${name}.cairn-proof.json` };
  tell(byId("proof-told"), "warning");
  goTo(steps, statusStep);
  showProgress(byId("progress"), id, offerProof);
}

const turns = new Turns();

function startAgain() {
  byId("notarize").reset();
  byId("file-chosen").textContent = "";
  picked(null);
  goTo(steps, fileStep);
}

if (canSign()) {
  byId("notarizing").hidden = false;
  dropPlace("file", picked);
  byId("notarize").addEventListener("submit", (event) => {
    event.preventDefault();
    turns.take(byId("review"), byId("file-told"), review);
  });
  byId("sign").addEventListener(
    "click",
    () => turns.take(byId("sign"), byId("review-told"), record),
  );
  byId("change").addEventListener("click", () => {
    if (!turns.busy) goTo(steps, fileStep);
  });
  byId("again").addEventListener("click", startAgain);
  byId("save-proof").addEventListener(
    "click",
    () => turns.take(byId("save-proof"), byId("proof-told"), saveProof),
  );
  document.addEventListener("cairn:new-block", () => fee.refresh());
  fee.refresh();
  await reloadKeys().catch((error) => tell(byId("file-told"), "danger", sentence(error.message)));
  byId("notarizing").dataset.ready = "yes";
} else {
  byId("insecure").hidden = false;
}
