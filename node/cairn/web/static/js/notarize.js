// The page that puts a file's fingerprint in the chain and hands out the proof.

import { formatAmount } from "./amounts.js";
import { toHex } from "./bytes.js";
import { digestOf, dropPlace, notarizationData } from "./documents.js";
import { byId, fillFacts, goTo, make, save, tell } from "./dom.js";
import { FeeField } from "./fees.js";
import { chosen, refreshBalances, reloadKeys } from "./keychoice.js";
import { addressOf, canSign } from "./keys.js";
import { network } from "./network.js";
import { Refusal } from "./node.js";
import { draft, signed, sizeWith, submit } from "./payment.js";
import { showProgress } from "./progress.js";
import { encodeProof, fetchProof } from "./prooffile.js";
import { Turns } from "./turns.js";

const DATA_BYTES = 44;
const steps = ["step-file", "step-review", "step-status"].map(byId);
const [fileStep, reviewStep, statusStep] = steps;
const fact = (text) => make("span", { class: "hash" }, text);
const coins = (units) => `${formatAmount(units)} ${network.symbol}`;

let subject = null; // {file, digest}
let current = null;
let proofFile = null;
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
  const key = chosen();
  const data = notarizationData(subject.digest);
  const own = await addressOf(key.publicKey);
  current = await draft(key, { recipient: own, amount: 0n, fee: fee.value, data });
  const { fields, bytes, left } = current;
  fillFacts(byId("review-facts"), [
    ["File", subject.file.name],
    ["Its SHA-256", fact(toHex(subject.digest))],
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

async function offerProof(id, name) {
  if (proofFile?.id === id) return;
  proofFile = { id, name: `${name}.cairn-proof.json`, text: null };
  try {
    proofFile.text = encodeProof(await fetchProof(id, network));
    byId("proof-name").textContent = proofFile.name;
    byId("proof").hidden = false;
  } catch (error) {
    proofFile = null;
    tell(byId("proof-told"), "warning", error.message);
  }
}

async function record() {
  current.signed ??= await signed(current);
  await submit(current.signed);
  const { id } = current.signed;
  const { name } = subject.file;
  current = null;
  byId("proof").hidden = true;
  goTo(steps, statusStep);
  showProgress(byId("progress"), id, ({ step }) => {
    if (step === "mined" || step === "confirmed") offerProof(id, name);
  });
  await refreshBalances();
}

// What the node refused is not to be sent again as it is.
const turns = new Turns((error) => {
  if (error instanceof Refusal && error.status < 500 && current) delete current.signed;
});

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
  byId("save-proof").addEventListener("click", () => {
    save(proofFile.name, proofFile.text, "application/json");
  });
  document.addEventListener("cairn:new-block", () => fee.refresh());
  fee.refresh();
  await reloadKeys();
  byId("notarizing").dataset.ready = "yes";
} else {
  byId("insecure").hidden = false;
}
