// A row of the list of segments: frame, name, range, and a menu. It is dragged, or moved by Alt with ↑ and ↓.

import {announce, focusNeighbour, h, icon, setText} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {posterImage} from "../lib/posters.js";
import {t} from "../lib/texts.js";
import {menuButton} from "../lib/ui.js";

/** @import {Segment, Segments} from "./segments.js" */

const TYPE = "text/x-segment"; // of what is dragged

/**
 * @param {Segment} item
 * @param {{recording: ReadyRecording, segments: Segments, onopen: (item: Segment) => void}} options
 */
export function segmentRow(item, {recording, segments, onopen}) {
  const number = h("span", {class: "number", title: t("Drag to move, or Alt with ↑ and ↓")}, icon("grip"));
  const poster = h("span", {class: "poster", "aria-hidden": "true"}, icon(recording.media.video ? "film" : "wave"));
  const range = h("button", {type: "button", class: "link time", onclick: () => onopen(item)});
  const name = h("input", {maxlength: String(LIMITS.label), autocomplete: "off"});
  const length = h("span", {class: "time muted tiny length"});
  const position = () => segments.items.indexOf(item);
  let shown = ""; // the address of the poster
  /** @param {1 | -1} by */
  const move = (by) => {
    segments.move(item, position() + by);
    announce(t("Segment moved to {number}", {number: position() + 1}));
  };
  const gone = () => {
    const focusNext = focusNeighbour(node);
    segments.remove(item);
    focusNext();
  };
  const more = menuButton(t("More"), "more", () => [
    position() > 0 && {text: t("Move up"), icon: "raise", keys: t("Alt ↑"), run: () => move(-1)},
    position() < segments.items.length - 1 && {text: t("Move down"), icon: "lower", keys: t("Alt ↓"), run: () => move(1)},
    {text: t("Remove"), icon: "trash", danger: true, run: gone},
  ]);
  const node = h("li", {class: "segment", draggable: "true"}, number, poster, h("div", {class: "words"}, name, h("div", {class: "row"}, range, length)), more);
  name.addEventListener("input", () => segments.rename(item, name.value.trim()));
  name.addEventListener("keydown", (event) => event.key === "Enter" && name.blur());
  node.addEventListener("keydown", (event) => {
    if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    move(event.key === "ArrowUp" ? -1 : 1);
    focused?.focus();
  });
  node.addEventListener("dragstart", (event) => {
    if (document.activeElement === name) {
      event.preventDefault(); // select the text instead
      return;
    }
    event.dataTransfer?.setData(TYPE, String(position()));
    node.classList.add("lifted");
  });
  node.addEventListener("dragend", () => node.classList.remove("lifted"));
  node.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes(TYPE)) return;
    event.preventDefault();
    node.classList.add("over");
  });
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    node.classList.remove("over");
    const from = event.dataTransfer?.getData(TYPE);
    if (!from) return;
    event.preventDefault();
    segments.move(segments.items[Number(from)], position());
  });

  function drawPoster() {
    const address = `/v1/recordings/${recording.recording_id}/frame?at_seconds=${item.start.toFixed(3)}&width=128`;
    if (!recording.media.video || address === shown) return;
    shown = address;
    const image = posterImage(address);
    poster.replaceChildren(icon("film"), ...(image ? [image] : []));
  }

  /**
   * @param {number} index
   * @param {boolean} current
   */
  function update(index, current) {
    const place = {number: index + 1};
    setText(range, `${formatTime(item.start)} – ${formatTime(item.end)}`);
    setText(length, formatTime(item.end - item.start, 1));
    range.title = t("Select this range");
    range.setAttribute("aria-label", t("Select segment {number}, {range}", {...place, range: range.textContent ?? ""}));
    if (current) range.setAttribute("aria-current", "true");
    else range.removeAttribute("aria-current");
    node.classList.toggle("current", current);
    if (document.activeElement !== name) name.value = item.label;
    name.placeholder = t("Segment {number}", place);
    name.setAttribute("aria-label", t("Name of segment {number}", place));
    more.title = t("More actions for segment {number}", place);
    more.setAttribute("aria-label", more.title);
    drawPoster();
  }
  return {node, update};
}
