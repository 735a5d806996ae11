// Puts a fresh copy of a part of the page in its place, and tells what changed.

const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";

/** Has a screen reader say this when it is done with what it says now. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/**
 * What a person is at stays: focus, opened details, scrolled lists, text being marked. A part
 * whose `data-says` changes is announced.
 */
export function replace(part, fresh) {
  if (!fresh || part.isEqualNode(fresh) || isMarked(part)) return;
  const active = document.activeElement;
  const place = active !== part && part.contains(active) ? placeOf(active, part) : null;
  const opened = [...part.querySelectorAll("details[id][open]")].map((each) => each.id);
  const scrolled = [...part.querySelectorAll("[id]")]
    .filter((each) => each.scrollTop || each.scrollLeft)
    .map((each) => [each.id, each.scrollLeft, each.scrollTop]);
  part.replaceChildren(...fresh.childNodes);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left, top] of scrolled) document.getElementById(id)?.scrollTo(left, top);
  if (place) focusAt(place, part);
  if (fresh.dataset.says !== part.dataset.says) {
    part.dataset.says = fresh.dataset.says;
    announce(fresh.dataset.says);
  }
}

/** Where a control is: in which row (`data-key`) or in none, and which one there. */
function placeOf(control, part) {
  const row = rowOf(control, part);
  return { key: row?.dataset.key, number: controlsOf(row, part).indexOf(control) };
}

/** Where its row is gone the focus stays on the part, never on another row's control. */
function focusAt({ key, number }, part) {
  const row = [...part.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
  const gone = key !== undefined && !row;
  const control = gone ? undefined : controlsOf(row, part)[number];
  if (!control && !part.hasAttribute("tabindex")) part.tabIndex = -1;
  (control ?? part).focus({ preventScroll: true });
}

function rowOf(control, part) {
  const row = control.closest("[data-key]");
  return row && part.contains(row) ? row : undefined;
}

/** The controls of a row, or those that are in no row. */
function controlsOf(row, part) {
  return [...part.querySelectorAll(CONTROLS)].filter((each) => rowOf(each, part) === row);
}

function isMarked(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode) &&
    part.contains(selection.focusNode);
}
