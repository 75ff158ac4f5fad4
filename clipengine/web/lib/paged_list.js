// A list that the server filters, sorts and divides into pages: the rows of a ListQuery.

import {stable} from "../store/entities.js";
import {computed} from "../vendor/signals-core.js";
import {addArrowNavigation, announce, findAll, h, icon} from "./dom.js";
import {errorState} from "./error_views.js";
import {keyed, within} from "./reactive.js";
import {t} from "./texts.js";

/** @import {ListQuery} from "../store/list_query.js" */
/** @import {ReadonlySignal} from "../vendor/signals-core.js" */
/** @import {Picks} from "./picks.js" */

/**
 * `titleOf(item)` describes an item, and `row(item)` makes its row. With `picks`, rows can be selected.
 *
 * @template {{status: string}} Item
 * @typedef {object} ListOptions
 * @property {ListQuery<Item>} query
 * @property {string} name
 * @property {() => HTMLElement} skeleton a row while the first page is loading
 * @property {(item: Item) => string} titleOf
 * @property {(item: ReadonlySignal<Item>) => HTMLElement} row
 * @property {() => Element[]} [before] rows above the first item
 * @property {() => HTMLElement} empty
 * @property {boolean} [across]
 * @property {Picks<Item> | null} [picks]
 * @property {((item: Item) => string | null) | null} [groupOf] returns the heading under which an item stands
 * @property {AbortSignal} signal
 */

/** @template {{status: string}} Item */
export class PagedList {
  /** @param {ListOptions<Item>} options */
  constructor({query, name, skeleton, titleOf, row, before = () => [], empty, across = false, picks = null, groupOf = null, signal}) {
    this.query = query;
    this.titleOf = titleOf;
    this.row = row;
    this.before = before;
    this.empty = empty;
    this.picks = picks;
    this.groupOf = groupOf;
    /** @type {Map<string, HTMLElement>} by their text */
    this.headings = new Map();
    this.skeletons = Array.from({length: 3}, skeleton);
    /** @type {(nodes: (string | Element)[]) => (string | Element)[]} */
    const same = stable();
    this.nodes = computed(() => same(this.nodesNow()));
    const list = () => h("ul", {class: picks ? "list rows picking" : "list", "aria-label": name, hidden: () => !this.nodes.value.length});
    this.list = within(signal, () =>
      keyed(
        list(),
        () => this.nodes.value,
        (id) => this.makeRow(id),
      ),
    );
    this.footer = within(signal, () => h("div", {class: "more"}, () => this.footerNow()));
    this.node = h("div", {class: "clips"}, picks ? picks.bind(this, signal) : null, this.list, this.footer);
    addArrowNavigation(this.list, {across});
  }

  // The ids of the rows, with the elements between them.
  nodesNow() {
    const {query, groupOf} = this;
    const nodes = query.number.value === 1 ? /** @type {(string | Element)[]} */ ([...this.before()]) : [];
    const {value: state} = query.state;
    if (state === "first" && !nodes.length && !query.shown.value.length) return this.skeletons;
    if (state === "failed") return nodes;
    let group = "";
    for (const id of query.shown.value) {
      const next = groupOf?.(query.store.stateOf(id).value) ?? "";
      if (next !== group) nodes.push(this.heading(next));
      group = next;
      nodes.push(id);
    }
    return nodes;
  }

  /** @param {string} text */
  heading(text) {
    const known = this.headings.get(text) ?? h("li", {class: "group"}, text);
    this.headings.set(text, known);
    return known;
  }

  /** @param {string} id */
  makeRow(id) {
    const {query, picks} = this;
    const item = query.store.stateOf(id);
    const node = this.row(item);
    if (picks) node.prepend(picks.box(id, () => this.titleOf(item.value)));
    if (query.fresh.peek() === id) node.classList.add("fresh");
    return node;
  }

  footerNow() {
    const {query} = this;
    const {value: state} = query.state;
    if (state === "failed") return errorState(query.error.value, () => query.load());
    if (this.nodes.value.length || query.next.value) return this.pager(query.number.value, query.next.value);
    return state === "ready" ? this.empty() : null;
  }

  /**
   * @param {number} number of the page
   * @param {string | null} next
   */
  pager(number, next) {
    if (number === 1 && !next) return null;
    /**
     * @param {1 | -1} direction
     * @returns {(event: MouseEvent & {currentTarget: HTMLButtonElement}) => Promise<void>}
     */
    const turn =
      (direction) =>
      async ({currentTarget}) => {
        currentTarget.disabled = true;
        await this.query.turn(direction);
        this.node.scrollIntoView({block: "nearest"});
        announce(t("Page {number}", {number: this.query.number.peek()}));
        const [back, , forward] = findAll(this.footer, "nav > *");
        ((direction > 0 ? forward : back)?.matches(":enabled") ? (direction > 0 ? forward : back) : direction > 0 ? back : forward)?.focus();
      };
    return h(
      "nav",
      {class: "row", "aria-label": t("Pages")},
      h("button", {type: "button", disabled: number === 1, onclick: turn(-1)}, icon("back"), t("Previous")),
      h("span", {class: "muted small"}, t("Page {number}", {number})),
      h("button", {type: "button", disabled: !next, onclick: turn(1)}, t("Next"), icon("chevron")),
    );
  }
}
