// The button that has the node check every waiting transaction again, and its result as a table.

const button = document.getElementById("check-pool");
const summary = document.getElementById("check-summary");
const table = document.getElementById("check-faults");
const rows = document.getElementById("check-rows");
const MAX_ROWS = 200;

const count = (number, word) => `${number.toLocaleString("en")} ${word}`;

/** Asks page by page; `tell` hears how many were checked so far. */
async function check(tell) {
  let cursor = null;
  let checked = 0;
  const faults = [];
  do {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const response = await fetch(`/api/v1/pool/check${query}`);
    const page = await response.json();
    if (!response.ok) throw new Error(page.detail);
    checked += page.checked;
    faults.push(...page.problems);
    cursor = page.next;
    tell(checked);
  } while (cursor !== null);
  return { checked, faults };
}

function cell(content) {
  const made = document.createElement("td");
  made.append(content);
  return made;
}

function row(fault) {
  const link = document.createElement("a");
  link.className = "hash";
  link.href = `/transaction/${fault.id}`;
  link.title = fault.id;
  link.textContent = `${fault.id.slice(0, 8)}…${fault.id.slice(-8)}`;
  const made = document.createElement("tr");
  made.append(cell(link), cell(fault.problem.code), cell(fault.problem.detail));
  return made;
}

function show({ checked, faults }) {
  const sound = checked - faults.length;
  const cut = faults.length > MAX_ROWS ? ` The first ${MAX_ROWS} are listed.` : "";
  summary.textContent = faults.length
    ? `${count(checked, "checked")}, ${count(sound, "sound")}, ${
      count(faults.length, "with a problem")
    }.${cut}`
    : `✓ ${count(checked, "checked")}, all of them sound.`;
  rows.replaceChildren(...faults.slice(0, MAX_ROWS).map(row));
  table.hidden = !faults.length;
}

button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    show(await check((checked) => (summary.textContent = `${count(checked, "checked")} …`)));
  } catch (error) {
    summary.textContent = `The check did not end: ${error.message}. Try again.`;
  } finally {
    button.disabled = false;
  }
});
