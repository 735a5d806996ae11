// Buttons that put a whole hash, address or key on the clipboard.

const SHOWN_MILLISECONDS = 1_500;

/** Without a secure context there is no clipboard: the text is selected, for the person to copy. */
async function copy(button) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(button.dataset.copy);
    return "Copied";
  }
  const field = document.createElement("textarea");
  field.value = button.dataset.copy;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  button.focus();
  return done ? "Copied" : "Not copied";
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const said = await copy(button).catch(() => "Not copied");
  button.classList.add("copied");
  document.getElementById("announcer").textContent = said;
  setTimeout(() => button.classList.remove("copied"), SHOWN_MILLISECONDS);
});
