// The selection of rows of a list, over its pages, and the bar with what can be done with it.

import {h, iconButton, setText} from "./dom.js";
import {plural, t} from "./texts.js";

/** @import {PagedList} from "./paged_list.js" */

/**
 * `actions(items)` returns the buttons for the selected items. `everything` is the box that selects all of a page.
 *
 * @template {{status: string}} Item
 */
export class Picks {
  /** @param {{actions: (items: Item[]) => HTMLElement[]}} options */
  constructor({actions}) {
    this.actions = actions;
    /** @type {Map<string, Item>} by id */
    this.chosen = new Map();
    /** @type {Map<string, HTMLInputElement>} by id of the item */
    this.boxes = new Map();
    this.last = ""; // id of the last box that was clicked
    this.drawn = ""; // ids for which the buttons are
    /** @type {PagedList<Item> | null} */
    this.bound = null;
    this.all = h("input", {type: "checkbox", "aria-label": t("Select all of this page"), disabled: true});
    this.all.addEventListener("change", () => this.chooseAll(this.all.checked));
    this.everything = h("label", {class: "pick"}, this.all);
    this.count = h("span", {role: "status"});
    this.buttons = h("div", {class: "row"});
    this.bar = h(
      "div",
      {class: "picks row", hidden: true},
      this.count,
      this.buttons,
      iconButton("x", t("Clear the selection"), () => this.clear()),
    );
  }

  get list() {
    if (!this.bound) throw new TypeError("the selection has no list");
    return this.bound;
  }

  /**
   * Return the bar of the list.
   *
   * @param {PagedList<Item>} list
   */
  bind(list) {
    this.bound = list;
    return this.bar;
  }

  get items() {
    return [...this.chosen].map(([id, item]) => this.list.items.get(id) || item);
  }

  /**
   * Return the checkbox of a new row.
   *
   * @param {string} id
   * @param {string} title
   */
  box(id, title) {
    const box = h("input", {type: "checkbox", "aria-label": t("Select {title}", {title})});
    box.addEventListener("click", (event) => this.choose(id, box.checked, event.shiftKey));
    this.boxes.set(id, box);
    return h("label", {class: "pick"}, box);
  }

  /**
   * With `range`, all rows from the last one that was clicked.
   *
   * @param {string} id
   * @param {boolean} on
   * @param {boolean} range
   */
  choose(id, on, range) {
    const ids = this.list.shown.map((item) => this.list.idOf(item));
    const ends = [range ? ids.indexOf(this.last) : -1, ids.indexOf(id)].sort((a, b) => a - b);
    this.set(ends[0] < 0 ? [id] : ids.slice(ends[0], ends[1] + 1), on);
    this.last = id;
  }

  /** @param {boolean} on */
  chooseAll(on) {
    this.set(
      this.list.shown.map((item) => this.list.idOf(item)),
      on,
    );
  }

  /**
   * @param {string[]} ids
   * @param {boolean} on
   */
  set(ids, on) {
    for (const id of ids) {
      const item = this.list.items.get(id);
      if (on && item) this.chosen.set(id, item);
      else this.chosen.delete(id);
    }
    this.draw();
  }

  /**
   * Show the changed state of a selected item, which may be on another page.
   *
   * @param {Item} item
   */
  replace(item) {
    const id = this.list.idOf(item);
    if (this.chosen.has(id)) this.chosen.set(id, item);
    if (this.list.items.has(id)) this.list.put(item);
  }

  /** @param {string} id */
  forget(id) {
    this.boxes.delete(id);
    if (this.chosen.delete(id)) this.draw();
  }

  clear() {
    this.chosen.clear();
    this.draw();
  }

  draw() {
    const shown = this.list.shown.map((item) => this.list.idOf(item));
    const here = shown.filter((id) => this.chosen.has(id)).length;
    this.all.checked = shown.length > 0 && here === shown.length;
    this.all.indeterminate = here > 0 && here < shown.length;
    this.all.disabled = !shown.length;
    for (const [id, box] of this.boxes) box.checked = this.chosen.has(id);
    setText(this.count, this.chosen.size ? plural(this.chosen.size, "{count} selected", "{count} selected") : "");
    this.bar.hidden = !this.chosen.size;
    const key = [...this.chosen.keys()].join();
    if (this.drawn === key) return;
    this.drawn = key;
    this.buttons.replaceChildren(...(this.chosen.size ? this.actions(this.items) : []));
    if (!this.chosen.size && document.activeElement === document.body) this.all.focus({preventScroll: true}); // the buttons had it
  }
}
