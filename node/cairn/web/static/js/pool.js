// The button that has the node check every waiting transaction again.

const button = document.getElementById("check-pool");
const result = document.getElementById("check-result");

async function check() {
  let cursor = null;
  let checked = 0;
  const problems = [];
  do {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const response = await fetch(`/api/v1/pool/check${query}`);
    const page = await response.json();
    if (!response.ok) throw new Error(page.detail);
    checked += page.checked;
    problems.push(...page.problems);
    cursor = page.next;
    result.textContent = `${checked} checked …`;
  } while (cursor !== null);
  return { checked, problems };
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const { checked, problems } = await check();
    const lines = problems.map((fault) => `${fault.id}: ${fault.problem.detail}`);
    result.textContent = [
      `${checked} checked, ${checked - problems.length} valid, ${problems.length} with a problem.`,
      ...lines,
    ].join("\n");
  } catch (error) {
    result.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});
