// Keys of the search of a transcript: Enter selects the next match, with Shift the one before it; ↓ goes to the matches.

import {byKey, find, findAll, targetOf} from "../../lib/dom.js";

const CURRENT = "aria-current";

/**
 * A click on the button of a match selects its sentence.
 *
 * @param {HTMLElement} node with the field and the list of matches
 */
export function matchKeys(node) {
  const matches = () => findAll(node, ".found-cues > li:not(.more)");
  node.addEventListener(
    "keydown",
    (event) => {
      const rows = matches();
      if (event.isComposing || !rows.length || !targetOf(event).matches("input[type='search']")) return;
      const at = rows.findIndex((row) => row.hasAttribute(CURRENT));
      const step = event.shiftKey ? -1 : 1;
      const next = byKey(event, {Enter: at < 0 && step < 0 ? rows.length - 1 : (at + step + rows.length) % rows.length, ArrowDown: Math.max(0, at)});
      if (next === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      const button = find(rows[next], "button");
      if (event.key === "Enter") button?.click();
      else button?.focus();
    },
    {capture: true},
  );
}

/** @param {Element} row of a match that is selected now */
export function markMatch(row) {
  for (const other of row.parentElement?.children ?? []) other.removeAttribute(CURRENT);
  row.setAttribute(CURRENT, "true");
  row.scrollIntoView({block: "nearest"});
}
