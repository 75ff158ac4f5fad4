// Editing of a name or of tags where they are shown.

import {h} from "./dom.js";
import {LIMITS} from "./limits.js";
import {t} from "./texts.js";
import {toastError} from "./toasts.js";

/**
 * @typedef {object} EditOptions
 * @property {string} value
 * @property {string} label
 * @property {string} [placeholder]
 * @property {number} [maxlength]
 * @property {HTMLElement} restore
 * @property {(text: string) => Promise<unknown>} save
 */

/**
 * Show a text field in place of `node` until its value is saved, by Enter or by leaving it, or dropped, by Escape.
 * `save(text)` may reject: the field then stays. `restore` gets the focus if the field still had it.
 *
 * @param {HTMLElement} node
 * @param {EditOptions} options
 */
export function editInPlace(node, {value, label, placeholder = "", maxlength = LIMITS.label, restore, save}) {
  const field = h("input", {class: "editing", value, "aria-label": label, placeholder, maxlength: String(maxlength), autocomplete: "off"});
  let ended = false;
  const end = () => {
    const focused = field === document.activeElement;
    ended = true;
    field.replaceWith(node);
    if (focused) restore.focus();
  };
  const keep = async () => {
    if (ended || field.readOnly) return;
    if (field.value.trim() === value.trim()) {
      end();
      return;
    }
    field.readOnly = true;
    try {
      await save(field.value.trim());
      end();
    } catch (error) {
      field.readOnly = false;
      field.setAttribute("aria-invalid", "true");
      toastError(error);
    }
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Enter") keep();
    else end();
  });
  field.addEventListener("blur", keep);
  node.replaceWith(field);
  field.focus();
  field.select();
}

/**
 * Return the tags in a text, separated by commas.
 *
 * @param {string} text
 */
export const splitTags = (text) => [
  ...new Set(
    text
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
  ),
];

/**
 * Show a text field in place of tags, as `editInPlace` does.
 *
 * @param {HTMLElement} node
 * @param {{tags: string[], restore: HTMLElement, save: (tags: string[]) => Promise<unknown>}} options
 */
export const editTagsInPlace = (node, {tags, restore, save}) =>
  editInPlace(node, {
    value: tags.join(", "),
    label: t("Tags"),
    placeholder: t("Tags, separated by commas"),
    maxlength: LIMITS.tags,
    restore,
    save: (text) => save(splitTags(text)),
  });

/**
 * A row of tags; a click on one calls `onchoose(tag)`.
 *
 * @param {((tag: string) => void) | null} [onchoose]
 */
export function tagList(onchoose) {
  const node = h("span", {class: "tags"});
  let drawn = "";
  return {
    node,
    /** @param {string[]} tags */
    update(tags) {
      if (drawn === tags.join()) return;
      drawn = tags.join();
      node.replaceChildren(
        ...tags.map((tag) =>
          onchoose
            ? h("button", {type: "button", class: "tag", title: t("Show what is tagged {tag}", {tag}), onclick: () => onchoose(tag)}, h("bdi", {}, tag))
            : h("span", {class: "tag"}, h("bdi", {}, tag)),
        ),
      );
    },
  };
}
