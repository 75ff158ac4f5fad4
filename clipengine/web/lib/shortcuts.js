// Keyboard shortcuts as in video editors. They are inactive while a text field, a dialog or a menu has the focus.

import {openDialog} from "./dialogs.js";
import {h, targetOf} from "./dom.js";
import {mayEdit} from "./rights.js";
import {t} from "./texts.js";

/**
 * `words` are those of player/timeline/words.js. `live` adds the keys of a recording that is still written.
 *
 * @param {import("../player/timeline/words.js").Words} words
 * @param {boolean} live
 * @returns {[keys: string, text: string][]}
 */
const shortcuts = (words, live) => [
  [t("Space"), t("play or pause")],
  ["J K L", t("play backward, pause, play forward; press again to go faster")],
  ["← →", words.step],
  [t("Home End"), t("go to the start or the end")],
  ["I", words.setStart],
  ["O", words.setEnd],
  [t("Shift+I Shift+O"), t("go to the in or the out point")],
  ...(mayEdit() ? editingKeys() : []),
  words.jump,
  ["R", t("loop the selection")],
  ...liveKeys(live),
  ...(mayEdit() ? lookKeys(words.pictured) : panelKeys()),
  ["]", t("open or close the side panel")],
  ["C", t("go to the clips; ↑ ↓ move, Enter plays")],
  ["T", t("go to the transcript; ↑ ↓ move, Enter goes there, Shift+Enter selects up to there")],
  ["/", t("search the transcript")],
  ["G", t("type a time to seek to")],
  ["M", t("mute")],
  ["+ − 0", t("zoom in, zoom out, show all")],
  ["Z", t("zoom to the selection")],
  ["X", t("clear the selection")],
  ["Esc", t("leave the focused control, so that shortcuts work again")],
  ["?", t("this list")],
];

/**
 * @param {boolean} live
 * @returns {[keys: string, text: string][]}
 */
function liveKeys(live) {
  if (!live) return [];
  /** @type {[keys: string, text: string][]} */
  const keys = [["E", t("follow the end of the recording")]];
  if (mayEdit()) keys.push(["Q", t("make a clip of the last 30 seconds")]);
  return keys;
}

/** @returns {[keys: string, text: string][]} */
const editingKeys = () => [
  [t("Enter"), t("make the clip")],
  [t("Shift+Enter"), t("make the clip of the segments")],
  ["A", t("add the selection to the segments, or update the selected segment")],
  [t("Alt+↑ Alt+↓"), t("move the focused segment")],
  ["B", t("divide the segment at the playhead")],
  ["N", t("edit the label of the clip")],
  [t("Ctrl+Z"), t("undo a change of the crop, a box, the segments or what is removed")],
];

/**
 * @param {boolean} pictured
 * @returns {[keys: string, text: string][]}
 */
const lookKeys = (pictured) => [...(pictured ? pictureKeys() : []), ["1 2 3 4", t("transcript, clips, segments, look")]];

/** @returns {[keys: string, text: string][]} */
const panelKeys = () => [["1 2 3", t("transcript, clips, segments")]];

/** @returns {[keys: string, text: string][]} */
const pictureKeys = () => [
  ["V", t("next shape of the clip")],
  [t("Shift+C"), t("captions in the picture")],
];

const STORED = "character-keys"; // beside the theme

/** Return true if one-character shortcuts are on. Speech input and unsteady hands press them by accident. */
export function characterKeys() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // storage may be blocked
  }
}

/** @param {boolean} on */
export const setCharacterKeys = (on) => localStorage.setItem(STORED, on ? "on" : "off");

/**
 * @param {Record<string, (event: KeyboardEvent) => unknown>} actions by key, with "Shift+" before it
 * @param {AbortSignal} signal
 */
export function bindShortcuts(actions, signal) {
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = targetOf(event);
      if (
        event.key === "Escape" &&
        !event.isComposing &&
        target.matches("input, select, textarea, button, a, summary") &&
        !target.closest("dialog, [role=menu]")
      ) {
        event.preventDefault();
        if (target instanceof HTMLElement) target.blur();
        return;
      }
      if (target.closest("input, select, textarea, dialog, [role=menu]")) return;
      if (event.key.length === 1 && event.key !== " " && !characterKeys()) return;
      const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      // Space and Enter activate the focused control.
      if ((pressed === " " || pressed === "Enter") && target.closest("button, a, summary")) return;
      const action = actions[event.shiftKey ? `Shift+${pressed}` : pressed] || actions[pressed];
      if (!action) return;
      event.preventDefault();
      action(event);
    },
    {signal},
  );
}

/**
 * @param {import("../player/timeline/words.js").Words} words
 * @param {{live?: boolean}} [options]
 */
export function showShortcuts(words, {live = false} = {}) {
  openDialog(t("Shortcuts"), [
    characterKeys() ? null : h("p", {class: "notice"}, t("One-character shortcuts are switched off in the menu of the account.")),
    h(
      "dl",
      {class: "shortcuts", tabindex: "0"},
      shortcuts(words, live).flatMap(([keys, text]) => [
        h(
          "dt",
          {},
          keys.split(" ").flatMap((key) => [h("kbd", {}, key), " "]),
        ),
        h("dd", {}, text),
      ]),
    ),
  ]);
}
