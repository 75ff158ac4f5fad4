// The search of a list, and the way from it to the rows without a pointer.

import {h} from "./dom.js";
import {bindKeys} from "./shortcuts.js";

// `onsearch()` whenever the text is another; `opens` selects what Enter presses: the first match. The keys are bound by
// `bind(list, signal)`: / comes here, ↓ goes to the first row from here and from nowhere, Escape shows all again.
export function searchField({placeholder, label, opens, onsearch}) {
  const input = h("input", {type: "search", placeholder, title: "Search (/)", "aria-label": label});
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
        ArrowDown: enter,
        Enter: () => {
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
      document.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowDown" || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
        const nowhere = event.target.matches("body, main"); // main has the focus when a screen has just been opened
        if (nowhere && !document.querySelector("dialog") && enter()) event.preventDefault();
      }, {signal});
      bindKeys({"/": () => input.focus()}, signal);
    },
  };
}
