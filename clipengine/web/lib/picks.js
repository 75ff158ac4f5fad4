// The selection of rows of a list, over its pages, and the bar with what can be done with it.

import {computed, signal} from "../vendor/signals-core.js";
import {h, iconButton} from "./dom.js";
import {bind, within} from "./reactive.js";
import {plural, t} from "./texts.js";
import {staying} from "../store/leaving.js";

/** @import {ListQuery} from "../store/list_query.js" */

/**
 * `actions()` returns the buttons for the selected items. `everything` is the box that selects all of a page.
 *
 * @template {{status: string}} Item
 */
export class Picks {
  /** @param {{query: ListQuery<Item>, actions: () => HTMLElement[]}} options */
  constructor({query, actions}) {
    this.query = query;
    this.actions = actions;
    this.picked = signal(/** @type {ReadonlySet<string>} */ (new Set()));
    this.chosen = computed(() => [...staying(this.picked.value)].filter((id) => !query.store.deleted.has(id)));
    this.last = ""; // id of the last box that was clicked
    this.everything = h("label", {class: "pick"});
  }

  /**
   * Return the bar of the list.
   *
   * @param {{query: ListQuery<Item>}} list
   * @param {AbortSignal} ended
   */
  bind({query}, ended) {
    const here = computed(() => query.shown.value.filter((id) => this.picked.value.has(id)).length);
    const whole = computed(() => here.value > 0 && here.value === query.shown.value.length);
    const count = computed(() => this.chosen.value.length);
    /** @type {HTMLElement | null} */
    let bar = null;
    return within(ended, () => {
      /** @type {HTMLInputElement} */
      const all = h("input", {
        type: "checkbox",
        "aria-label": t("Select all of this page"),
        checked: () => whole.value,
        indeterminate: () => here.value > 0 && !whole.value,
        disabled: () => !query.shown.value.length,
        onchange: () => this.set(query.shown.peek(), all.checked),
      });
      this.everything.append(all);
      const clear = iconButton("x", t("Clear the selection"), () => this.clear());
      bind(() => {
        if (!count.value && bar?.contains(document.activeElement)) all.focus({preventScroll: true}); // it is hidden now
      });
      const status = h("span", {role: "status"}, () => (count.value ? plural(count.value, "{count} selected", "{count} selected") : ""));
      bar = h("div", {class: "picks row", hidden: () => !count.value}, status, h("div", {class: "row"}, this.actions()), clear);
      return bar;
    });
  }

  /**
   * Return true if one of the selected items meets the condition. It follows the selection in a binding.
   *
   * @param {(item: Item) => boolean} test
   */
  some(test) {
    return this.chosen.value.some((id) => test(this.query.store.stateOf(id).peek()));
  }

  get items() {
    return this.chosen.peek().map((id) => this.query.store.stateOf(id).peek());
  }

  /**
   * Return the checkbox of a new row.
   *
   * @param {string} id
   * @param {() => string} title
   */
  box(id, title) {
    /** @type {HTMLInputElement} */
    const box = h("input", {
      type: "checkbox",
      "aria-label": () => t("Select {title}", {title: title()}),
      checked: () => this.picked.value.has(id),
      onclick: (event) => this.choose(id, box.checked, event.shiftKey),
    });
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
    const ids = this.query.shown.peek();
    const ends = [range ? ids.indexOf(this.last) : -1, ids.indexOf(id)].sort((a, b) => a - b);
    this.set(ends[0] < 0 ? [id] : ids.slice(ends[0], ends[1] + 1), on);
    this.last = id;
  }

  /**
   * @param {string[]} ids
   * @param {boolean} on
   */
  set(ids, on) {
    const picked = new Set(this.picked.peek());
    for (const id of ids) {
      if (on) picked.add(id);
      else picked.delete(id);
    }
    this.picked.value = picked;
  }

  clear() {
    this.picked.value = new Set();
  }
}
