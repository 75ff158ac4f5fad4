// Keyboard shortcuts as in video editors. They are inactive while a text field, a dialog or a menu has the focus.

import {h} from "./dom.js";
import {openDialog} from "./ui.js";

export const SHORTCUTS = [
  ["Space", "play or pause"],
  ["J K L", "play backward, pause, play forward; press again to go faster"],
  ["← →", "step one frame; with Shift, one second"],
  ["Home End", "go to the start or the end"],
  ["I", "set the in point: the clip starts with the frame on screen"],
  ["O", "set the out point: the clip ends before the frame on screen"],
  ["Shift+I Shift+O", "go to the in or the out point"],
  ["Enter", "make the clip"],
  ["A", "add the selection to the segments, or update the selected segment"],
  ["F S D", "go to the next keyframe, silence or scene; with Shift, to the previous one"],
  ["R", "loop the selection"],
  ["N", "edit the label of the clip"],
  ["C", "go to the clips; ↑ ↓ move, Enter plays"],
  ["T", "go to the transcript; ↑ ↓ move, Enter goes there, Shift+Enter selects up to there"],
  ["/", "search the transcript"],
  ["G", "type a time to seek to"],
  ["M", "mute"],
  ["+ − 0", "zoom in, zoom out, show all"],
  ["Z", "zoom to the selection"],
  ["X", "clear the selection"],
  ["Esc", "leave the focused control, so that shortcuts work again"],
  ["?", "this list"],
];

export function bindShortcuts(actions, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const {target} = event;
    if (event.key === "Escape" && !event.isComposing && target.matches("input, select, textarea, button, a, summary") && !target.closest("dialog, [role=menu]")) {
      event.preventDefault();
      target.blur();
      return;
    }
    if (target.closest("input, select, textarea, dialog, [role=menu]")) return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // Space and Enter activate the focused control.
    if ((pressed === " " || pressed === "Enter") && target.closest("button, a, summary")) return;
    const action = actions[event.shiftKey ? `Shift+${pressed}` : pressed] || actions[pressed];
    if (!action) return;
    event.preventDefault();
    action(event);
  }, {signal});
}

export function showShortcuts() {
  openDialog("Shortcuts", h("dl", {class: "shortcuts"}, SHORTCUTS.flatMap(([keys, text]) => [
    h("dt", {}, keys.split(" ").flatMap((key) => [h("kbd", {}, key), " "])),
    h("dd", {}, text),
  ])));
}
