// Effects that end with the elements that they draw. `h` binds functions among its attributes and children here; `keyed` draws a list.

import {effect, untracked} from "../vendor/signals-core.js";

/** Bindings that end together, such as those of a view or of a row. */
export class Scope {
  constructor() {
    /** @type {(() => void)[]} */
    this.ends = [];
  }

  end() {
    for (const end of this.ends.splice(0)) end();
  }

  /**
   * Run `build`. Its bindings end with this scope.
   *
   * @template T
   * @param {() => T} build
   * @returns {T}
   */
  run(build) {
    const before = current;
    current = this;
    try {
      return untracked(build);
    } finally {
      current = before;
    }
  }
}

/** @type {Scope | null} */
let current = null;

/**
 * Run `build`. Its bindings end when `signal` aborts.
 *
 * @template T
 * @param {AbortSignal} signal
 * @param {() => T} build
 */
export function within(signal, build) {
  const scope = new Scope();
  signal.addEventListener("abort", () => scope.end(), {once: true});
  return scope.run(build);
}

/**
 * Run `draw` now, and again when a signal that it has read changes, until its scope ends. Its own bindings end before each run.
 *
 * @param {() => void} draw
 */
export function bind(draw) {
  if (!current) throw new TypeError("a binding outside of a scope would never end");
  const inner = new Scope();
  const stop = effect(() => {
    inner.end();
    const before = current;
    current = inner;
    try {
      draw();
    } finally {
      current = before;
    }
  });
  current.ends.push(stop, () => inner.end());
}

/**
 * Give `parent` one child for each of `keys()`, in this order: a node is its own child, and `make(key)` makes the child of a string,
 * whose bindings end when the key is gone. Nodes in the right place are not moved, so that they keep the focus; if a child with the
 * focus is removed, its neighbour gets the focus.
 *
 * @template {Element} Parent
 * @param {Parent} parent
 * @param {() => (string | Element)[]} keys
 * @param {(key: string) => Element} make
 */
export function keyed(parent, keys, make) {
  /** @type {Map<string, {node: Element, scope: Scope}>} */
  const made = new Map();
  const nodeOf = (/** @type {string | Element} */ key) => {
    if (typeof key !== "string") return key;
    const known = made.get(key);
    if (known) return known.node;
    const scope = new Scope();
    const node = scope.run(() => make(key));
    made.set(key, {node, scope});
    return node;
  };
  bind(() => {
    const wanted = keys();
    untracked(() => place(parent, wanted.map(nodeOf)));
    const left = new Set(wanted);
    for (const [key, {scope}] of made) {
      if (left.has(key)) continue;
      scope.end();
      made.delete(key);
    }
  });
  current?.ends.push(() => {
    for (const {scope} of made.values()) scope.end();
  });
  return parent;
}

const CONTROL = "a, button:enabled";

/**
 * @param {Element} parent
 * @param {Element[]} nodes
 */
function place(parent, nodes) {
  const kept = new Set(nodes);
  const gone = [...parent.children].filter((child) => !kept.has(child));
  const focused = gone.find((child) => child.contains(document.activeElement));
  const rest = focused ? [...parent.children].filter((child) => child === focused || (kept.has(child) && child.querySelector(CONTROL))) : [];
  const at = rest.findIndex((child) => child === focused);
  for (const child of gone) child.remove();
  for (const [number, node] of nodes.entries()) {
    if (parent.children[number] !== node) parent.insertBefore(node, parent.children[number] ?? null);
  }
  if (focused) /** @type {HTMLElement | null | undefined} */ ((rest[at + 1] ?? rest[at - 1])?.querySelector(CONTROL))?.focus();
}
