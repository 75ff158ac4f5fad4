// A list that the server filters, sorts and divides into pages. Events keep the rows that are shown up to date.

import {get, query} from "./api.js";
import {addArrowNavigation, announce, debounce, findAll, focusNeighbour, h, icon, setChildren} from "./dom.js";
import {t} from "./texts.js";
import {errorState} from "./ui.js";

const RELOAD_MS = 1000; // after an event about an item that only the server can place

/** @import {Filters} from "./list_filters.js" */
/** @import {Picks} from "./picks.js" */
/** @typedef {"/v1/clips" | "/v1/recordings" | `/v1/recordings/${string}/clips`} ListPath */

/**
 * @template Item
 * @typedef {{node: HTMLElement, update: (item: Item) => void}} Row
 */

/**
 * `idOf(item)` and `titleOf(item)` describe an item, and `row(list)` makes its row. With `picks`, rows can be selected.
 *
 * @template {{status: string}} Item
 * @typedef {object} ListOptions
 * @property {ListPath} path
 * @property {string} name
 * @property {() => HTMLElement} skeleton a row while the first page is loading
 * @property {(item: Item) => string} idOf
 * @property {(item: Item) => string} titleOf
 * @property {(list: PagedList<Item>) => Row<Item>} row
 * @property {Filters | null} [filters]
 * @property {(item: Item) => boolean} [wants] tells if an item of an event belongs here
 * @property {() => HTMLElement[]} [before] rows above the first item
 * @property {() => HTMLElement} empty
 * @property {number} [limit]
 * @property {boolean} [across]
 * @property {Picks<Item> | null} [picks]
 * @property {((item: Item) => string | null) | null} [groupOf] returns the heading under which an item stands
 * @property {(shown: Item[]) => void} [onchange]
 * @property {AbortSignal} signal
 */

/** @template {{status: string}} Item */
export class PagedList {
  /**
   * @param {ListOptions<Item>} options
   */
  constructor({
    path,
    name,
    skeleton,
    idOf,
    titleOf,
    row,
    filters = null,
    wants = () => true,
    before = () => [],
    empty,
    limit = 50,
    across = false,
    picks = null,
    groupOf = null,
    onchange = () => {},
    signal,
  }) {
    this.path = path;
    this.idOf = idOf;
    this.titleOf = titleOf;
    this.row = row;
    this.filters = filters;
    this.wants = wants;
    this.before = before;
    this.empty = empty;
    this.limit = limit;
    this.picks = picks;
    this.groupOf = groupOf;
    /** @type {Map<string, HTMLElement>} by their text */
    this.headings = new Map();
    this.onchange = onchange;
    this.signal = signal;
    /** @type {Map<string, Item>} by id, in the order of the rows */
    this.items = new Map();
    /** @type {Map<string, Row<Item>>} by id */
    this.rows = new Map();
    /** @type {(string | null)[]} of the pages up to the current one */
    this.cursors = [null];
    /** @type {string | null} of the next page */
    this.next = null;
    /** @type {Record<string, string | number | null | undefined>} the current query */
    this.asked = {};
    this.loaded = false; // whether the skeleton was replaced
    this.complete = false; // whether the page of the current query is shown
    this.loading = false;
    this.outdated = false; // whether an item has changed since the page was requested
    this.list = h("ul", {class: picks ? "list rows picking" : "list", "aria-label": name}, Array.from({length: 3}, skeleton));
    this.footer = h("div", {class: "more"});
    this.node = h("div", {class: "clips"}, picks ? picks.bind(this) : null, this.list, this.footer);
    this.reloadSoon = debounce(RELOAD_MS, () => signal.aborted || this.load());
    addArrowNavigation(this.list, {across});
  }

  get plain() {
    return this.cursors.length === 1 && (!this.filters || this.filters.plain);
  }

  get shown() {
    return [...this.items.values()].filter((item) => this.wants(item) && (!this.filters || this.filters.accepts(item)));
  }

  // Load the current page. The rows stay until it has arrived.
  async load() {
    const asked = {limit: this.limit, cursor: this.cursors.at(-1), ...(this.filters ? this.filters.values() : {})};
    this.asked = asked;
    this.loading = true;
    this.outdated = false;
    try {
      const page = /** @type {Page<any>} */ (await get(query(this.path, asked), {signal: this.signal}));
      if (this.asked !== asked) return; // the filters or the page have changed meanwhile
      this.items = new Map(page.data.map((item) => [this.idOf(item), this.newer(item)]));
      this.next = page.next_cursor;
      this.complete = true;
      if (!page.data.length && this.cursors.length > 1)
        this.turn(-1); // all of its items were deleted
      else this.draw();
    } catch (error) {
      if (error.name === "AbortError" || this.asked !== asked) return;
      this.list.replaceChildren();
      this.list.hidden = true;
      this.footer.replaceChildren(errorState(error, () => this.load()));
    } finally {
      if (this.asked === asked) this.loading = false;
    }
    if (this.outdated && !this.loading) this.reloadSoon(); // the page may be older than an event that has arrived meanwhile
  }

  // Load the current page again, as events may have been missed.
  resync() {
    if (this.loading) this.outdated = true;
    else this.load();
  }

  // Load the first page of a changed query.
  reload() {
    this.cursors = [null];
    this.complete = false;
    this.picks?.clear();
    return this.load();
  }

  /**
   * Go to the next (1) or the previous (-1) page.
   *
   * @param {1 | -1} direction
   */
  async turn(direction) {
    if (direction > 0) this.cursors.push(this.next);
    else this.cursors.pop();
    await this.load();
    this.node.scrollIntoView({block: "nearest"});
    announce(t("Page {number}", {number: this.cursors.length}));
  }

  /**
   * Return the item, or the known one if that is newer.
   *
   * @param {Item} item
   */
  newer(item) {
    return item;
  }

  /**
   * Show an item: a new one on top if it belongs there.
   *
   * @param {Item} item
   * @param {{fresh?: boolean}} [options]
   */
  put(item, {fresh = false} = {}) {
    const id = this.idOf(item);
    this.outdated = true;
    if (this.items.has(id)) this.items.set(id, item);
    else if (fresh || this.plain) this.items = new Map([[id, item], ...this.items]);
    else {
      if (this.filters && this.cursors.length === 1) this.reloadSoon();
      return;
    }
    if (this.next && this.filters && !this.filters.accepts(item)) this.reloadSoon(); // its row goes, and another one moves up
    this.draw(fresh ? id : null);
  }

  /** @param {string} id */
  remove(id) {
    this.picks?.forget(id);
    this.outdated = true;
    if (!this.items.delete(id)) return;
    const row = this.rows.get(id);
    const focusNext = row ? focusNeighbour(row.node) : () => {};
    this.draw();
    focusNext();
    if (!this.items.size && (this.next || this.cursors.length > 1)) this.load();
  }

  /** @param {string | null} fresh id of the row that is marked as new */
  draw(fresh = null) {
    const {shown} = this;
    if (!this.loaded && !this.complete && fresh === null && !shown.length && !this.before().length) return;
    if (!this.loaded) this.list.replaceChildren();
    this.loaded = true;
    for (const id of this.rows.keys()) if (!this.items.has(id)) this.drop(id);
    const nodes = this.cursors.length === 1 ? this.before() : [];
    let group = "";
    for (const item of shown) {
      const id = this.idOf(item);
      const next = this.groupOf?.(item) ?? "";
      if (next !== group) nodes.push(this.heading(next));
      group = next;
      const row = this.rows.get(id) ?? this.makeRow(item);
      this.rows.set(id, row);
      if (id === fresh) row.node.classList.add("fresh");
      row.update(item);
      nodes.push(row.node);
    }
    setChildren(this.list, nodes);
    this.list.hidden = !this.list.children.length;
    this.footer.replaceChildren(...(this.list.children.length ? this.pager() : this.complete ? [this.empty()] : []));
    this.picks?.draw();
    this.onchange(shown);
  }

  /**
   * Release the row of an item that is not on this page. It may stay selected.
   *
   * @param {string} id
   */
  drop(id) {
    this.rows.delete(id);
    this.picks?.boxes.delete(id);
  }

  /** @param {string} text */
  heading(text) {
    const known = this.headings.get(text) ?? h("li", {class: "group"}, text);
    this.headings.set(text, known);
    return known;
  }

  /** @param {Item} item */
  makeRow(item) {
    const row = this.row(this);
    if (this.picks) row.node.prepend(this.picks.box(this.idOf(item), this.titleOf(item)));
    return row;
  }

  pager() {
    const number = this.cursors.length;
    if (number === 1 && !this.next) return [];
    /**
     * @param {1 | -1} direction
     * @returns {(event: MouseEvent & {currentTarget: HTMLButtonElement}) => Promise<void>}
     */
    const turn =
      (direction) =>
      async ({currentTarget}) => {
        currentTarget.disabled = true;
        await this.turn(direction);
        const [back, , forward] = findAll(this.footer, "nav > *");
        ((direction > 0 ? forward : back)?.matches(":enabled") ? (direction > 0 ? forward : back) : direction > 0 ? back : forward)?.focus();
      };
    return [
      h(
        "nav",
        {class: "row", "aria-label": t("Pages")},
        h("button", {type: "button", disabled: number === 1, onclick: turn(-1)}, icon("back"), t("Previous")),
        h("span", {class: "muted small"}, t("Page {number}", {number})),
        h("button", {type: "button", disabled: !this.next, onclick: turn(1)}, t("Next"), icon("chevron")),
      ),
    ];
  }
}
