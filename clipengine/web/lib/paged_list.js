// A list that the server filters, sorts and divides into pages. Events keep the rows that are shown up to date.

import {get, query} from "./api.js";
import {addArrowNavigation, announce, debounce, focusNeighbour, h, icon, setChildren} from "./dom.js";
import {t} from "./texts.js";
import {errorState} from "./ui.js";

const RELOAD_MS = 1000; // after an event about an item that only the server can place

export class PagedList {
  // `idOf(item)` and `titleOf(item)` describe an item; `row(list)` returns {node, update(item)}; `filters` are those of
  // list_filters.js, or null. `wants(item)` tells if an item of an event belongs here, `before()` returns rows above the
  // first item, and `empty()` is shown for an empty list. With `picks`, rows can be selected.
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
    onchange = () => {},
    signal,
  }) {
    Object.assign(this, {path, idOf, titleOf, row, filters, wants, before, empty, limit, picks, onchange, signal});
    this.items = new Map(); // by id, in the order of the rows
    this.rows = new Map();
    this.cursors = [null]; // of the pages up to the current one
    this.next = null; // cursor of the next page
    this.loaded = false; // whether the skeleton was replaced
    this.complete = false; // whether the page of the current query is shown
    this.list = h("ul", {class: picks ? "list picking" : "list", "aria-label": name}, Array.from({length: 3}, skeleton));
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
    try {
      const page = await get(query(this.path, asked), {signal: this.signal});
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
    }
  }

  // Load the first page of a changed query.
  reload() {
    this.cursors = [null];
    this.complete = false;
    this.picks?.clear();
    return this.load();
  }

  // Go to the next (1) or the previous (-1) page.
  async turn(direction) {
    if (direction > 0) this.cursors.push(this.next);
    else this.cursors.pop();
    await this.load();
    this.node.scrollIntoView({block: "nearest"});
    announce(t("Page {number}", {number: this.cursors.length}));
  }

  // Return the item, or the known one if that is newer.
  newer(item) {
    return item;
  }

  // Show an item: a new one on top if it belongs there.
  put(item, {fresh = false} = {}) {
    const id = this.idOf(item);
    if (this.items.has(id)) this.items.set(id, item);
    else if (fresh || this.plain) this.items = new Map([[id, item], ...this.items]);
    else {
      if (this.filters && this.cursors.length === 1) this.reloadSoon();
      return;
    }
    if (this.next && this.filters && !this.filters.accepts(item)) this.reloadSoon(); // its row goes, and another one moves up
    this.draw(fresh ? id : null);
  }

  remove(id) {
    this.picks?.forget(id);
    if (!this.items.delete(id)) return;
    const row = this.rows.get(id);
    const focusNext = row ? focusNeighbour(row.node) : () => {};
    this.draw();
    focusNext();
    if (!this.items.size && (this.next || this.cursors.length > 1)) this.load();
  }

  draw(fresh = null) {
    const {shown} = this;
    if (!this.loaded && !this.complete && fresh === null && !shown.length && !this.before().length) return;
    if (!this.loaded) this.list.replaceChildren();
    this.loaded = true;
    for (const id of this.rows.keys()) if (!this.items.has(id)) this.drop(id);
    for (const item of shown) {
      const id = this.idOf(item);
      if (!this.rows.has(id)) this.rows.set(id, this.makeRow(item));
      if (id === fresh) this.rows.get(id).node.classList.add("fresh");
      this.rows.get(id).update(item);
    }
    const first = this.cursors.length === 1 ? this.before() : [];
    setChildren(this.list, [...first, ...shown.map((item) => this.rows.get(this.idOf(item)).node)]);
    this.list.hidden = !this.list.children.length;
    this.footer.replaceChildren(...(this.list.children.length ? this.pager() : this.complete ? [this.empty()] : []));
    this.picks?.draw();
    this.onchange(shown);
  }

  // Release the row of an item that is not on this page. It may stay selected.
  drop(id) {
    this.rows.delete(id);
    this.picks?.boxes.delete(id);
  }

  makeRow(item) {
    const row = this.row(this);
    if (this.picks) row.node.prepend(this.picks.box(this.idOf(item), this.titleOf(item)));
    return row;
  }

  pager() {
    const number = this.cursors.length;
    if (number === 1 && !this.next) return [];
    const turn =
      (direction) =>
      async ({currentTarget}) => {
        currentTarget.disabled = true;
        await this.turn(direction);
        const [back, , forward] = this.footer.querySelectorAll("nav > *");
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
