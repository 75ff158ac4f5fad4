// The dialog that adds and removes tags of several clips or recordings.

import {get, patch} from "./api.js";
import {openDialog} from "./dialogs.js";
import {h, setText} from "./dom.js";
import {splitTags} from "./edit_in_place.js";
import {errorText} from "./error_views.js";
import {LIMITS} from "./limits.js";
import {formatNumber, plural, t} from "./texts.js";
import {toast} from "./toasts.js";

const PARALLEL = 4; // requests

/** @typedef {`/v1/clips/${string}` | `/v1/recordings/${string}`} TaggedPath */

/**
 * `pathOf(item)` is its URL in the API. `onchange(item)` is called with each item that was changed.
 *
 * @template {Clip | Recording} Item
 * @param {Item[]} items
 * @param {{pathOf: (item: Item) => TaggedPath, titleOf: (item: Item) => string, onchange: (item: Item) => void}} options
 */
export function editTags(items, {pathOf, titleOf, onchange}) {
  const counts = new Map();
  for (const tag of items.flatMap((item) => item.tags)) counts.set(tag, (counts.get(tag) || 0) + 1);
  const added = h("input", {placeholder: t("Tags, separated by commas"), maxlength: String(LIMITS.tags), autocomplete: "off"});
  const boxes = [...counts].sort().map(([tag, count]) => ({tag, count, box: h("input", {type: "checkbox"})}));
  const status = h("p", {class: "muted small", role: "status"});
  const save = h("button", {class: "primary"}, t("Save"));

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    const add = splitTags(added.value);
    const remove = boxes.filter(({box}) => box.checked).map(({tag}) => tag);
    if (!add.length && !remove.length) {
      dialog.close();
      return;
    }
    save.disabled = true;
    let changedItems = 0;
    const failed = await changeEach(
      items,
      async (item) => {
        const {tags} = await get(pathOf(item)); // the row may be out of date
        const wanted = [...new Set([...tags.filter((tag) => !remove.includes(tag)), ...add])];
        if (wanted.join() === tags.join()) return;
        onchange(/** @type {Item} */ (await patch(pathOf(item), {tags: wanted})));
        changedItems++;
      },
      (done) => setText(status, t("{done} of {total}", {done, total: items.length})),
    );
    dialog.close();
    const changed = plural(changedItems, "{count} changed", "{count} changed");
    if (!failed.length) toast(t("Tags saved"), changed);
    else
      toast(
        plural(failed.length, "The tags of {count} could not be changed", "The tags of {count} could not be changed"),
        [`${titleOf(failed[0][0])}: `, errorText(failed[0][1]), ` ${changed}`],
        {bad: true},
      );
  }

  const dialog = openDialog(
    plural(items.length, "Tags of {count} item", "Tags of {count} items"),
    h(
      "form",
      {class: "stack", onsubmit: submit},
      h("label", {class: "field"}, t("Add"), added),
      boxes.length
        ? h(
            "fieldset",
            {},
            h("legend", {}, t("Remove")),
            h(
              "div",
              {class: "row wrap"},
              boxes.map(({tag, count, box}) => h("label", {class: "check small"}, box, h("bdi", {}, tag), h("span", {class: "muted"}, formatNumber(count)))),
            ),
          )
        : null,
      status,
      h("div", {class: "row end"}, save),
    ),
    {size: "narrow"},
  );
  added.focus();
}

/**
 * Run `change(item)` for all items, some at a time. Returns the items that failed, with their errors.
 *
 * @template Item
 * @param {Item[]} items
 * @param {(item: Item) => Promise<void>} change
 * @param {(done: number) => void} onprogress
 * @returns {Promise<[Item, any][]>}
 */
async function changeEach(items, change, onprogress) {
  /** @type {[Item, any][]} */
  const failed = [];
  const left = [...items];
  const work = async () => {
    for (let item = left.shift(); item; item = left.shift()) {
      await change(item).catch((error) => failed.push([item, error]));
      onprogress(items.length - left.length);
    }
  };
  await Promise.all(Array.from({length: PARALLEL}, work));
  return failed;
}
