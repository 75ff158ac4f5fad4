// The rows of a long text, of which only the paragraphs near the screen are in the document. Blocks of the same height are in
// place of the others. Rows in use stay: those with the focus, in which text is selected, or that are edited.

import {h, setChildren} from "../../lib/dom.js";

const WHOLE = 200; // rows of a text that is drawn as a whole
const AHEAD = 1; // parts drawn above and below the visible one, each as high
const LINE_HEIGHT = 26; // pixels, and
const LINE_LENGTH = 45; // characters, until the first paragraphs are measured

/** @typedef {{from: number, to: number, length: number}} Paragraph numbers of its first row and of the next paragraph's, and its characters */

export class TextRows {
  /**
   * `make(number, first)` returns a row, the first one of a paragraph or another one, and `ondrawn()` is called when rows are new in the document.
   *
   * @param {HTMLElement} list
   * @param {{make: (number: number, first: boolean) => HTMLElement, ondrawn: () => void, signal: AbortSignal}} options
   */
  constructor(list, {make, ondrawn, signal}) {
    this.list = list;
    this.make = make;
    this.ondrawn = ondrawn;
    /** @type {Paragraph[]} */
    this.paragraphs = [];
    /** @type {number[]} of the paragraphs in pixels, measured or estimated */
    this.heights = [];
    this.width = 0; // of the list when they were estimated
    /** @type {Map<number, HTMLElement[]>} rows by the numbers of their paragraphs */
    this.drawn = new Map();
    const resized = new ResizeObserver(() => this.resize());
    resized.observe(list);
    signal.addEventListener("abort", () => resized.disconnect());
    const draw = () => this.draw();
    addEventListener("scroll", draw, {signal, capture: true, passive: true});
    list.addEventListener("focusin", draw);
    document.addEventListener("selectionchange", draw, {signal});
  }

  get count() {
    return this.paragraphs.at(-1)?.to ?? 0;
  }

  // True if all rows are in the document, where the browser's search finds them.
  get whole() {
    return this.count <= WHOLE;
  }

  /** @param {Paragraph[]} paragraphs */
  set(paragraphs) {
    this.paragraphs = paragraphs;
    this.drawn.clear();
    this.list.replaceChildren();
    this.width = 0;
    this.estimate(LINE_HEIGHT / LINE_LENGTH);
    this.resize();
  }

  /** @returns {[number: number, row: HTMLElement][]} the rows in the document */
  get rows() {
    return [...this.drawn].flatMap(([paragraph, rows]) =>
      rows.map((row, at) => /** @type {[number, HTMLElement]} */ ([this.paragraphs[paragraph].from + at, row])),
    );
  }

  /**
   * Return a row, or undefined if it is not in the document.
   *
   * @param {number} number
   */
  rowOf(number) {
    const paragraph = this.paragraphOf(number);
    return this.drawn.get(paragraph)?.[number - this.paragraphs[paragraph].from];
  }

  /**
   * Put a row into the document, and return it.
   *
   * @param {number} number
   * @returns {HTMLElement}
   */
  show(number) {
    this.draw(this.paragraphOf(number));
    return /** @type {HTMLElement} */ (this.rowOf(number));
  }

  /**
   * Return the first row in the document that begins on the screen.
   *
   * @returns {HTMLElement | undefined}
   */
  firstVisible() {
    const [top] = this.visible();
    const rows = this.rows.map(([, row]) => row);
    return rows.find((row) => topOf(row) >= top) ?? rows[0];
  }

  /**
   * Return the number of the paragraph of a row, or -1.
   *
   * @param {number} number
   */
  paragraphOf(number) {
    let [low, high] = [0, this.paragraphs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.paragraphs[middle].from <= number) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * Return the number of the paragraph in which a node is, or -1.
   *
   * @param {Node | null} node
   */
  paragraphAt(node) {
    const row = (node instanceof Element ? node : node?.parentElement)?.closest("li");
    return row && this.list.contains(row) && row.dataset.number ? this.paragraphOf(Number(row.dataset.number)) : -1;
  }

  // ---- heights

  // The list is shown, or has another width: estimate the heights again.
  resize() {
    const {clientWidth} = this.list;
    if (clientWidth && clientWidth !== this.width) {
      this.width = clientWidth;
      this.draw();
      this.measure();
      const measured = [...this.drawn.keys()];
      const characters = measured.reduce((sum, number) => sum + this.paragraphs[number].length, 0);
      this.estimate(measured.reduce((sum, number) => sum + this.heights[number], 0) / Math.max(1, characters));
      this.fill();
    }
    this.draw();
  }

  /** @param {number} pixels for each character */
  estimate(pixels) {
    this.heights = this.paragraphs.map(({length}) => Math.round(length * pixels));
  }

  measure() {
    if (!this.list.clientHeight) return;
    for (const [number, rows] of this.drawn) {
      const next = /** @type {HTMLElement} */ (rows[rows.length - 1].nextElementSibling); // a row or a block: the last child is a block
      this.heights[number] = topOf(next) - topOf(rows[0]);
    }
  }

  /**
   * Return the visible part of the list, in pixels of its content. The list is scrolled, or the page.
   *
   * @returns {[top: number, bottom: number]}
   */
  visible() {
    const {top, bottom} = this.list.getBoundingClientRect();
    const [from, to] = [Math.max(top, 0), Math.min(bottom, innerHeight)];
    const shift = this.list.scrollTop - top;
    return [from + shift, Math.max(from, to) + shift];
  }

  // ---- drawing

  /**
   * Return the numbers of the paragraphs that belong in the document, in order.
   *
   * @param {number} also one of them
   */
  wanted(also) {
    const {paragraphs, heights} = this;
    if (this.whole) return paragraphs.map((_, number) => number);
    /** @type {Set<number>} */
    const wanted = new Set();
    const add = (/** @type {number} */ from, /** @type {number} */ to) => {
      for (let number = Math.max(0, from); number <= Math.min(to, paragraphs.length - 1); number += 1) wanted.add(number);
    };
    const [top, bottom] = this.visible();
    const room = (bottom - top) * AHEAD;
    let at = 0;
    for (const [number, height] of heights.entries()) {
      if (at + height >= top - room && at <= bottom + room) wanted.add(number);
      at += height;
      if (at > bottom + room) break;
    }
    if (!wanted.size) add(0, 0);
    const selection = getSelection();
    const ends = selection?.isCollapsed
      ? []
      : [selection?.anchorNode ?? null, selection?.focusNode ?? null].map((node) => this.paragraphAt(node)).filter((number) => number >= 0);
    if (ends.length) add(Math.min(...ends), Math.max(...ends));
    for (const number of [also, this.paragraphAt(document.activeElement), this.paragraphAt(this.list.querySelector("input"))]) {
      if (number >= 0) add(number - 1, number + 1); // ↑ and ↓ have a row to go to
    }
    return [...wanted].sort((one, other) => one - other);
  }

  /** @param {number} [also] number of a paragraph */
  draw(also = -1) {
    const {drawn} = this;
    const hidden = this.drawn.size > 0 && !this.list.clientWidth;
    if (!this.paragraphs.length || (hidden && also < 0)) return;
    const wanted = this.wanted(also);
    if (wanted.length === drawn.size && wanted.every((number) => drawn.has(number))) return;
    this.drawn = new Map(wanted.map((number) => [number, drawn.get(number) ?? this.rowsOf(number)]));
    this.fill();
    this.ondrawn();
  }

  // Make the rows and the blocks the children of the list. What is visible stays where it is on the screen.
  fill() {
    const {list} = this;
    const fixed = this.firstVisible();
    const before = fixed?.isConnected ? topOf(fixed) : null;
    setChildren(list, this.children());
    this.measure();
    if (!fixed || before === null) return;
    (list.scrollHeight > list.clientHeight ? list : document.documentElement).scrollTop += topOf(fixed) - before;
  }

  /** @param {number} paragraph */
  rowsOf(paragraph) {
    const {from, to} = this.paragraphs[paragraph];
    return Array.from({length: to - from}, (_, at) => {
      const row = this.make(from + at, at === 0);
      row.dataset.number = String(from + at);
      row.setAttribute("aria-setsize", String(this.count));
      row.setAttribute("aria-posinset", String(from + at + 1));
      return row;
    });
  }

  children() {
    /** @type {HTMLElement[]} */
    const nodes = [];
    let next = 0; // paragraph
    const skip = (/** @type {number} */ until) => {
      const height = this.heights.slice(next, until).reduce((sum, each) => sum + each, 0);
      if (height || until === this.paragraphs.length) nodes.push(block(height));
    };
    for (const [number, rows] of this.drawn) {
      skip(number);
      nodes.push(...rows);
      next = number + 1;
    }
    skip(this.paragraphs.length);
    return nodes;
  }
}

/**
 * Return the place of a row: a paragraph begins with a header, which is not in the line in which the row begins.
 *
 * @param {HTMLElement} row
 */
const topOf = (row) => /** @type {HTMLElement} */ (row.firstElementChild ?? row).offsetTop;

/** @param {number} height in pixels */
function block(height) {
  const node = h("li", {class: "block", "aria-hidden": "true"});
  node.style.height = `${height}px`;
  return node;
}
