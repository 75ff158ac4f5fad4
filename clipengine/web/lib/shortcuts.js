// Keys as editors know them. They are the page's while nothing that takes text, and no dialog or menu, has the focus.

import {h} from "./dom.js";
import {openDialog} from "./ui.js";

export const SHORTCUTS = [
  ["Space", "play or stop"],
  ["J K L", "backward, stop, forward; again for faster"],
  ["← →", "one frame; with Shift one second"],
  ["Home End", "to the beginning, to the end"],
  ["I", "in: the clip begins with the frame on screen"],
  ["O", "out: the clip ends before the frame on screen"],
  ["Shift+I Shift+O", "go to the in or the out point"],
  ["Enter", "make the clip"],
  ["R", "repeat the selection"],
  ["N", "name the clip"],
  ["C", "to the clips; ↑ ↓ move, Enter plays"],
  ["G", "go to a time that is typed"],
  ["M", "mute"],
  ["+ − 0", "zoom in, out, all"],
  ["Z", "zoom to the selection"],
  ["X", "clear the selection"],
  ["Esc", "leave what has the focus: the keys are the player’s again"],
  ["?", "this list"],
];

export function bindKeys(actions, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const {target} = event;
    if (event.key === "Escape" && !event.isComposing && target.matches("input, select, textarea, button, a") && !target.closest("dialog, [role=menu]")) {
      event.preventDefault();
      target.blur();
      return;
    }
    if (target.closest("input, select, textarea, dialog, [role=menu], summary")) return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // On a control Space and Enter are its own.
    if ((pressed === " " || pressed === "Enter") && target.closest("button, a")) return;
    const action = actions[event.shiftKey ? `Shift+${pressed}` : pressed] || actions[pressed];
    if (!action) return;
    event.preventDefault();
    action(event);
  }, {signal});
}

export function showShortcuts() {
  openDialog("Keys", h("dl", {class: "shortcuts"}, SHORTCUTS.flatMap(([keys, text]) => [
    h("dt", {}, keys.split(" ").flatMap((key) => [h("kbd", {}, key), " "])),
    h("dd", {}, text),
  ])));
}
