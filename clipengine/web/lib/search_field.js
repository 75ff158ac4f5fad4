// The search field of a list, and keyboard navigation from it to the rows.

import {h} from "./dom.js";
import {bindShortcuts} from "./shortcuts.js";
import {t} from "./texts.js";

// `onsearch()` runs when the text changes, and `settled()` resolves when its results are shown; `opens` selects what Enter
// clicks, the first match. `bind(list, signal)` binds the keys: / focuses the field, ↓ goes to the first row, Escape clears
// the search.
export function searchField({placeholder, label, opens, onsearch, settled}) {
  const input = h("input", {type: "search", placeholder, title: t("Search (/)"), "aria-label": label});
  input.addEventListener("input", onsearch);
  return {
    input,
    bind(list, signal) {
      const enter = () => {
        const first = list.querySelector("a, button:enabled");
        if (first) first.focus();
        return Boolean(first);
      };
      const keys = {
        ArrowDown: async () => {
          await settled();
          enter();
        },
        Enter: async () => {
          await settled();
          const found = list.querySelector(opens);
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
          const nowhere = event.target.matches("body, main"); // main has the focus when a view was just opened
          if (nowhere && !document.querySelector("dialog") && enter()) event.preventDefault();
        },
        {signal},
      );
      bindShortcuts({"/": () => input.focus()}, signal);
    },
  };
}
