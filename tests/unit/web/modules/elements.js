// As much of a document's tree as the pages' modules touch.

const SELECTORS = {
  "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]": (each) =>
    (each.name === "a" && "href" in each.attributes) || each.name === "button" ||
    (each.name === "input" && each.attributes.type !== "hidden"),
  "time[data-at]": (each) => each.name === "time" && "at" in each.dataset,
  "[data-key]": (each) => "key" in each.dataset,
  "[data-live]": (each) => "live" in each.dataset,
  "[id]": (each) => Boolean(each.id),
  "[data-listener=unavailable]": (each) => each.dataset.listener === "unavailable",
  "details[id][open]": () => false,
};

function matches(selector) {
  const follows = /^\[data-live~="(.+)"\]$/.exec(selector);
  if (follows) return (each) => (each.dataset.live ?? "").split(" ").includes(follows[1]);
  if (selector.startsWith(".")) {
    return (each) => each.attributes.class === selector.slice(1);
  }
  if (!SELECTORS[selector]) throw new Error(`not known here: ${selector}`);
  return SELECTORS[selector];
}

class Classes extends Set {
  remove(name) {
    this.delete(name);
  }
}

/** An element; `data-…` attributes become its dataset. */
export class Element extends EventTarget {
  constructor(name, attributes = {}, ...children) {
    super();
    this.name = name;
    this.attributes = attributes;
    this.id = attributes.id ?? "";
    this.dataset = {};
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("data-")) this.dataset[key.slice(5)] = value;
    }
    this.classList = new Classes();
    this.hidden = "hidden" in attributes;
    this.childNodes = [];
    this.append(...children);
  }
  append(...children) {
    for (const child of children) if (child instanceof Element) child.parentElement = this;
    this.childNodes.push(...children);
  }
  replaceChildren(...children) {
    if (this.childNodes.some((each) => each.contains?.(document.activeElement))) {
      document.activeElement = document.body;
    }
    this.childNodes = [];
    this.append(...children);
  }
  get textContent() {
    return this.childNodes.map((each) => each.textContent ?? each).join("");
  }
  set textContent(text) {
    this.replaceChildren(...(text ? [text] : []));
  }
  *inside() {
    for (const child of this.childNodes) {
      if (child instanceof Element) {
        yield child;
        yield* child.inside();
      }
    }
  }
  contains(other) {
    return this === other || [...this.inside()].includes(other);
  }
  closest(selector) {
    if (matches(selector)(this)) return this;
    return this.parentElement?.closest(selector) ?? null;
  }
  querySelectorAll(selector) {
    return [...this.inside()].filter(matches(selector));
  }
  querySelector(selector) {
    return this.querySelectorAll(selector)[0] ?? null;
  }
  getElementById(id) {
    return [...this.inside()].find((each) => each.id === id) ?? null;
  }
  isEqualNode(other) {
    const outline = (each) =>
      each instanceof Element
        ? [each.name, each.attributes, each.dataset, each.childNodes.map(outline)]
        : each;
    return JSON.stringify(outline(this)) === JSON.stringify(outline(other));
  }
  hasAttribute(name) {
    return name in this.attributes;
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  focus() {
    if (this.attributes.type !== "hidden") document.activeElement = this;
  }
}

/** Makes an element the document of all modules; its body has the focus. */
export function useDocument(root) {
  root.body = root;
  root.activeElement = root;
  globalThis.document = root;
  globalThis.getSelection = () => ({ isCollapsed: true });
}
