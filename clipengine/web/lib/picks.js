// The selection of rows of a list, over its pages, and the bar with what can be done with it.

import {h, setText} from "./dom.js";
import {plural, t} from "./texts.js";

// `actions(items)` returns the buttons for the selected items; `tools` are shown at the right of the bar.
export class Picks {
  constructor({actions, tools = null}) {
    Object.assign(this, {actions, tools});
    this.chosen = new Map(); // id -> item
    this.boxes = new Map(); // id -> checkbox
    this.last = null; // id of the last box that was clicked
    this.drawn = ""; // ids for which the buttons are
  }

  // Return the bar of the list.
  bind(list) {
    this.list = list;
    this.all = h("input", {type: "checkbox", "aria-label": t("Select all of this page"), disabled: true, onchange: () => this.chooseAll(this.all.checked)});
    this.count = h("span", {class: "small muted", role: "status"});
    this.buttons = h("div", {class: "row"});
    this.bar = h("div", {class: "picks row"}, h("label", {class: "pick"}, this.all), this.count, this.buttons, h("span", {class: "grow"}), this.tools);
    return this.bar;
  }

  get items() {
    return [...this.chosen.keys()].map((id) => this.list.items.get(id) || this.chosen.get(id));
  }

  // Return the checkbox of a new row.
  box(id, title) {
    const box = h("input", {type: "checkbox", "aria-label": t("Select {title}", {title})});
    box.addEventListener("click", (event) => this.choose(id, box.checked, event.shiftKey));
    this.boxes.set(id, box);
    return h("label", {class: "pick"}, box);
  }

  // With `range`, all rows from the last one that was clicked.
  choose(id, on, range) {
    const ids = this.list.shown.map((item) => this.list.idOf(item));
    const ends = [range ? ids.indexOf(this.last) : -1, ids.indexOf(id)].sort((a, b) => a - b);
    this.set(ends[0] < 0 ? [id] : ids.slice(ends[0], ends[1] + 1), on);
    this.last = id;
  }

  chooseAll(on) {
    this.set(
      this.list.shown.map((item) => this.list.idOf(item)),
      on,
    );
  }

  set(ids, on) {
    for (const id of ids) {
      if (on) this.chosen.set(id, this.list.items.get(id));
      else this.chosen.delete(id);
    }
    this.draw();
  }

  // Show the changed state of a selected item, which may be on another page.
  replace(item) {
    const id = this.list.idOf(item);
    if (this.chosen.has(id)) this.chosen.set(id, item);
    if (this.list.items.has(id)) this.list.put(item);
  }

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
    for (const id of shown) if (this.boxes.has(id)) this.boxes.get(id).checked = this.chosen.has(id);
    setText(this.count, this.chosen.size ? plural(this.chosen.size, "{count} selected", "{count} selected") : "");
    const key = [...this.chosen.keys()].join();
    if (this.drawn === key) return;
    this.drawn = key;
    this.buttons.replaceChildren(...(this.chosen.size ? this.actions(this.items) : []));
    if (!this.chosen.size && document.activeElement === document.body) this.all.focus({preventScroll: true}); // the buttons had it
  }
}
