// Helpers for elements. All text goes through text nodes, so that no label or name can inject markup.

import {bind} from "./reactive.js";

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  alert: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.7v.1",
  back: "M10 3 5 8l5 5",
  book: "M8 4.5C6.5 3.3 4.5 3 2 3v9.5c2.5 0 4.5.3 6 1.5 1.5-1.2 3.5-1.5 6-1.5V3c-2.5 0-4.5.3-6 1.5zM8 4.5V14",
  camera: "M1.5 4h9v8h-9zM10.5 7l4-2.3v6.6L10.5 9",
  captions: "M1.5 3.5h13v9h-13zM7 6.9a1.6 1.6 0 1 0 0 2.2M12 6.9a1.6 1.6 0 1 0 0 2.2",
  check: "m3 8.5 3.5 3.5L13 4.5",
  chevron: "m6 3.5 4.5 4.5L6 12.5",
  clips: "M2.5 5.5h8v8h-8zM5.5 5.5v-3h8v8h-3M5.2 7.9v3.2l2.8-1.6z",
  clock: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8zM8 4.5V8l2.5 1.8",
  copy: "M6 6h7v7H6zM3 10V3h7",
  down: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10",
  pencil: "M3 13l.8-3L11 2.8 13.2 5 6 12.2zM9.6 4.2l2.2 2.2",
  document: "M4 2h5l3 3v9H4zM9 2v3h3M6 8.5h4M6 11h4",
  film: "M2.5 3.5h11v9h-11zM5.5 3.5v9M10.5 3.5v9M2.5 8h3M10.5 8h3",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  folder: "M2 4h4.2l1.5 1.8H14V13H2z",
  fit: "M2.5 6V3h3M13.5 6V3h-3M2.5 10v3h3M13.5 10v3h-3",
  globe: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8zM1.8 8h12.4M8 1.8c-4.4 3.6-4.4 8.8 0 12.4 4.4-3.6 4.4-8.8 0-12.4z",
  grip: "M6 4h.1M10 4h.1M6 8h.1M10 8h.1M6 12h.1M10 12h.1",
  hooks:
    "M8 2.5v4M5.7 7.6 3.4 11M10.3 7.6l2.3 3.4M8 6.5a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6zM2.8 11a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2zM13.2 11a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  info: "M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8zM8 7.3v3.8M8 4.8v.1",
  jump: "M2.5 12.5C4 6.5 9 5 12 8.5M12.5 4.5v4.3H8.2M13.5 12.5h-4",
  keys: "M1.5 4.5h13v7h-13zM4 7h.1M6.7 7h.1M9.3 7h.1M12 7h.1M5 9.3h6",
  leave: "M9.5 3h-6v10h6M7 8h7M11.5 5.5 14 8l-2.5 2.5",
  link: "M6.5 9.5a3 3 0 0 0 4.2 0l2-2a3 3 0 0 0-4.2-4.2l-.8.8M9.5 6.5a3 3 0 0 0-4.2 0l-2 2a3 3 0 0 0 4.2 4.2l.8-.8",
  loop: "M3 8V6.5A2.5 2.5 0 0 1 5.5 4H13M11 2l2 2-2 2M13 8v1.5a2.5 2.5 0 0 1-2.5 2.5H3M5 14l-2-2 2-2",
  lower: "m3.5 6 4.5 4.5L12.5 6",
  minus: "M3.5 8h9",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  more: "M3.5 8h.1M8 8h.1M12.5 8h.1",
  panel: "M2 3h12v10H2zM10 3v10",
  pen: "M3 13l.7-3L11 2.7l2.3 2.3L6 12.3zM9.3 4.4l2.3 2.3",
  plus: "M8 3.5v9M3.5 8h9",
  raise: "M3.5 10 8 5.5l4.5 4.5",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v2.6h-2.6",
  scissors: "M4.2 10.1a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4zM11.8 10.1a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4zM5.2 10.4 11 2.5M10.8 10.4 5 2.5",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3 14 14",
  send: "M14 2 7.5 8.5M14 2l-4 12-2.5-5.5L2 6z",
  muted: "M2.5 6v4H5l3.5 3V3L5 6zM11 6.2l3.5 3.6M14.5 6.2 11 9.8",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  shapeOriginal: "M2.4 4h11.2a1.2 1.2 0 0 1 1.2 1.2v5.6a1.2 1.2 0 0 1-1.2 1.2h-11.2a1.2 1.2 0 0 1-1.2-1.2v-5.6a1.2 1.2 0 0 1 1.2-1.2z",
  shape9x16: "M6.3 2.4h3.4a1.2 1.2 0 0 1 1.2 1.2v8.8a1.2 1.2 0 0 1-1.2 1.2h-3.4a1.2 1.2 0 0 1-1.2-1.2v-8.8a1.2 1.2 0 0 1 1.2-1.2z",
  shape1x1: "M4.4 3.2h7.2a1.2 1.2 0 0 1 1.2 1.2v7.2a1.2 1.2 0 0 1-1.2 1.2h-7.2a1.2 1.2 0 0 1-1.2-1.2v-7.2a1.2 1.2 0 0 1 1.2-1.2z",
  shape4x5: "M4.9 2.8h6.2a1.2 1.2 0 0 1 1.2 1.2v8a1.2 1.2 0 0 1-1.2 1.2h-6.2a1.2 1.2 0 0 1-1.2-1.2v-8a1.2 1.2 0 0 1 1.2-1.2z",
  sliders: "M2.5 5h6M12 5h1.5M2.5 11H4M7.5 11h6M10.2 3.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4zM5.7 9.3a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4z",
  speaker: "M2.5 6v4H5l3.5 3V3L5 6zM11 5.8a3 3 0 0 1 0 4.4",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  tag: "M2.5 2.5h5.3l5.7 5.7-5.3 5.3-5.7-5.7zM5.3 5.3h.1",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9M6.7 7v4M9.3 7v4",
  up: "M8 11V3M4.5 6 8 2.5 11.5 6M3 13.5h10",
  wave: "M1.5 7v2M4.1 5v6M6.7 2.5v11M9.3 4.5v7M11.9 6v4M14.5 7v2",
  x: "m4 4 8 8M12 4l-8 8",
};
const SOLID = {
  next: "M4 3v10l7-5zM11.5 3h1.6v10h-1.6z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  play: "M4.5 2.5v11L13.5 8z",
  prev: "M12 3v10L5 8zM2.9 3h1.6v10H2.9z",
};

const PATHS = {...ICONS, ...SOLID};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * h("button", {class: "primary", hidden: () => !ready.value, onclick: save}, icon("check"), () => text.value)
 *
 * An attribute or a child that is a function follows the signals that it reads, until its scope ends (reactive.js).
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props<HTMLElementTagNameMap[Tag]>} [props]
 * @param {Children[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of /** @type {[string, any][]} */ (Object.entries(props))) {
    if (name.startsWith("on")) {
      if (value) node.addEventListener(name.slice(2), value);
    } else if (typeof value === "function") bind(() => setProp(node, name, value()));
    else if (!isNothing(value)) setProp(node, name, value);
  }
  for (const child of children.flat()) {
    if (typeof child === "function") append(node, child);
    else if (!isNothing(child)) node.append(child);
  }
  return node;
}

/** @param {unknown} value */
const isNothing = (value) => value === null || value === undefined || value === false;

/**
 * @param {Element} node
 * @param {string} name
 * @param {any} value
 */
function setProp(node, name, value) {
  if (name === "value" || name === "checked" || name === "indeterminate") Object.assign(node, {[name]: value ?? ""});
  else if (isNothing(value)) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

/**
 * Append what `children` returns, and replace it when that changes. Text changes in place.
 *
 * @param {Element} node
 * @param {() => Children} children
 */
function append(node, children) {
  const end = document.createTextNode("");
  /** @type {Node[]} */
  let shown = [];
  node.append(end);
  bind(() => {
    const next = [children()].flat().filter((child) => !isNothing(child));
    const [text, known] = [next[0], shown[0]];
    if (next.length === 1 && shown.length === 1 && typeof text === "string" && known instanceof Text) {
      if (known.data !== text) known.data = text;
      return;
    }
    const nodes = next.map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
    for (const each of shown) if (!nodes.includes(each)) /** @type {ChildNode} */ (each).remove();
    end.before(...nodes.filter((each) => each !== end));
    shown = nodes;
  });
}

/** @param {IconName} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", name in SOLID ? "icon solid" : name === "more" || name === "grip" ? "icon dots" : "icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/**
 * @param {IconName} name
 * @param {string | (() => string)} label
 * @param {(event: MouseEvent & {currentTarget: HTMLButtonElement}) => unknown} onclick
 * @param {Props<HTMLButtonElement>} [props]
 */
export function iconButton(name, label, onclick, props = {}) {
  return h("button", {type: "button", class: "quiet square", title: label, "aria-label": label, onclick, ...props}, icon(name));
}

/**
 * Return an element of index.html.
 *
 * @param {string} id
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new TypeError(`no element ${id}`);
  return node;
}

/**
 * Return the first element that matches, or null.
 *
 * @param {ParentNode} within
 * @param {string} selector
 * @returns {HTMLElement | null}
 */
export const find = (within, selector) => within.querySelector(selector);

/**
 * Return all elements that match.
 *
 * @param {ParentNode} within
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export const findAll = (within, selector) => Array.from(within.querySelectorAll(selector));

/**
 * Return the element at which an event was sent: the body for events of the document.
 *
 * @param {Event} event
 */
export const targetOf = ({target}) => (target instanceof Element ? target : document.body);

/**
 * Choose by the key of an event.
 *
 * @template T
 * @param {KeyboardEvent} event
 * @param {Record<string, T>} choices
 * @returns {T | undefined}
 */
export const byKey = ({key}, choices) => choices[key];

/**
 * Make `nodes` the children of `parent` in this order. Nodes in the right place are not moved, so that focus stays.
 *
 * @param {Element} parent
 * @param {Element[]} nodes
 */
export function setChildren(parent, nodes) {
  const kept = new Set(nodes);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] || null);
  });
}

const CONTROLS = "a, button:enabled, summary";
const HEADING = ".group"; // of rows of one day

/**
 * Let arrow keys move between the rows of a list: to the same control of the next row, or to its first one. With
 * `across`, ← and → move between the controls of a row.
 *
 * @param {HTMLElement} list
 * @param {{across?: boolean}} [options]
 */
export function addArrowNavigation(list, {across = false} = {}) {
  list.addEventListener("keydown", (event) => {
    const step = byKey(event, {ArrowDown: 1, ArrowUp: -1});
    const aside = across ? byKey(event, {ArrowRight: 1, ArrowLeft: -1}) : undefined;
    const target = targetOf(event);
    const row = target.closest("li");
    if (!(step || aside) || !row || target.matches("input, select, textarea")) return;
    const controls = findAll(row, CONTROLS).filter((control) => control.checkVisibility());
    const at = controls.findIndex((control) => control === target);
    if (aside) {
      event.preventDefault();
      controls[at + aside]?.focus();
      return;
    }
    let next = step === 1 ? row.nextElementSibling : row.previousElementSibling;
    while (next?.matches(HEADING)) next = step === 1 ? next.nextElementSibling : next.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    const there = findAll(next, CONTROLS).filter((control) => control.checkVisibility());
    (there[at] || there[0] || list).focus();
  });
}

/**
 * Call before a row is removed. Returns a function that moves the focus to a neighbouring row if the row has it.
 *
 * @param {Element} row
 * @returns {() => void}
 */
export function focusNeighbour(row) {
  const rows = [...(row.parentElement?.children ?? [])].filter((each) => !each.matches(HEADING));
  const at = rows.indexOf(row);
  const neighbour = rows[at + 1] || rows[at - 1];
  const control = row.contains(document.activeElement) && neighbour ? find(neighbour, "a, button:enabled") : null;
  return () => control?.focus();
}

/**
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Announce text to screen readers.
 *
 * @param {string} text
 */
export function announce(text) {
  byId("said").textContent = text;
}

/**
 * @template {unknown[]} Args
 * @param {number} wait in milliseconds
 * @param {(...args: Args) => unknown} call
 * @returns {(...args: Args) => void}
 */
export function debounce(wait, call) {
  /** @type {number | undefined} */
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(call, wait, ...args);
  };
}

/**
 * Return a table; `titles` are those of its columns, and `rows` is its body.
 *
 * @param {string[]} titles
 * @param {HTMLTableSectionElement} rows
 */
export const table = (titles, rows) =>
  h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        titles.map((text) => (text ? h("th", {scope: "col"}, text) : h("td"))), // that of the buttons has none
      ),
    ),
    rows,
  );
