// The search field of a list, and keyboard navigation from it to the rows.

import {find, h, targetOf} from "./dom.js";
import {bindShortcuts} from "./shortcuts.js";
import {t} from "./texts.js";

/**
 * @typedef {object} SearchOptions
 * @property {string} placeholder
 * @property {string} label
 * @property {string} opens
 * @property {() => void} onsearch
 * @property {() => Promise<void> | null} settled
 */

/**
 * `onsearch()` runs when the text changes, and `settled()` resolves when its results are shown; `opens` selects what Enter
 * clicks, the first match. `bind(list, signal)` binds the keys: / focuses the field, ↓ goes to the first row, Escape clears
 * the search.
 *
 * @param {SearchOptions} options
 */
export function searchField({placeholder, label, opens, onsearch, settled}) {
  const input = h("input", {type: "search", placeholder, title: t("Search (/)"), "aria-label": label});
  input.addEventListener("input", onsearch);
  return {
    input,
    /**
     * @param {HTMLElement} list
     * @param {AbortSignal} signal
     */
    bind(list, signal) {
      const enter = () => {
        const first = find(list, "a, button:enabled");
        if (first) first.focus();
        return Boolean(first);
      };
      /** @type {Record<string, () => unknown>} */
      const keys = {
        ArrowDown: async () => {
          await settled();
          enter();
        },
        Enter: async () => {
          await settled();
          const found = find(list, opens);
          if (found) found.click();
          else enter();
        },
        Escape: () => {
          const searched = input.value !== "";
          input.value = "";
          input.blur();
          if (searched) onsearch();
        },
      };
      input.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !keys[event.key]) return;
        event.preventDefault();
        keys[event.key]();
      });
      document.addEventListener(
        "keydown",
        (event) => {
          if (event.key !== "ArrowDown" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
          const nowhere = targetOf(event).matches("body, main"); // main has the focus when a view was just opened
          if (nowhere && !document.querySelector("dialog") && enter()) event.preventDefault();
        },
        {signal},
      );
      bindShortcuts({"/": () => input.focus()}, signal);
    },
  };
}
