// Making and changing parts of a page. Text is always set as text, never as markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes (null and false ones left out), then texts and elements in it. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) {
      made.setAttribute(attribute, value === true ? "" : value);
    }
  }
  made.append(...children);
  return made;
}

/** A button that copies the whole of a text (see copy.js), drawn like the pages' others. */
export function copyButton(text, what) {
  const button = byId("copy-template").content.firstElementChild.cloneNode(true);
  button.dataset.copy = text;
  button.setAttribute("aria-label", `Copy ${what}`);
  button.title = `Copy ${what}`;
  return button;
}

/** An address or id by its ends, the whole in its title and behind the button. */
export function hash(text, href, what) {
  const short = text.length > 17 ? `${text.slice(0, 8)}…${text.slice(-8)}` : text;
  return make(
    "span",
    { class: "hash-group" },
    make("a", { class: "hash", href, title: text }, short),
    copyButton(text, what),
  );
}

/** Fills a `<dl class="facts">`: `[name, text or element]` each. */
export function fillFacts(list, rows) {
  list.replaceChildren(
    ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}

/** Sentences on the page begin in upper case and end with a stop; messages of modules may not. */
export function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Tells something in a box: kind is `danger`, `warning`, `info` or `success`; no text hides it. */
export function tell(box, kind, ...content) {
  box.hidden = content.length === 0;
  box.className = `alert alert-${kind} my-3`;
  box.replaceChildren(...content);
}

/** Shows one of these sections alone and puts the reader at its heading. */
export function goTo(sections, wanted) {
  for (const section of sections) section.hidden = section !== wanted;
  const heading = wanted.querySelector("h2");
  heading.tabIndex = -1;
  heading.focus();
  heading.scrollIntoView({ block: "nearest" });
}

/** Marks a field right, wrong (with the reason) or, with null, neither. */
export function mark(field, reason) {
  const feedback = byId(`${field.id}-feedback`);
  field.classList.toggle("is-invalid", Boolean(reason));
  field.setAttribute("aria-invalid", reason ? "true" : "false");
  feedback.textContent = reason ?? "";
}

/** Hands a file to the person. */
export function save(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const anchor = make("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
