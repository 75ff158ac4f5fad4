// A row of the list of segments: frame, name, range, and a menu. It is dragged, or moved by Alt with ↑ and ↓.

import {announce, h, icon} from "../../lib/dom.js";
import {formatLength, formatTime} from "../../lib/format.js";
import {LIMITS} from "../../lib/limits.js";
import {menuButton} from "../../lib/menus.js";
import {posterImage} from "../../lib/posters.js";
import {bind} from "../../lib/reactive.js";
import {mayEdit} from "../../lib/rights.js";
import {t} from "../../lib/texts.js";
import {computed} from "../../vendor/signals-core.js";

/** @import {Segment} from "../../store/doc.js" */
/** @import {Segments} from "./segments.js" */

const TYPE = "text/x-segment"; // of what is dragged

/**
 * @param {number} id
 * @param {{recording: ReadyRecording, segments: Segments, onopen: (segment: Segment) => void}} options
 */
export function segmentRow(id, {recording, segments, onopen}) {
  const {doc} = segments;
  let last = /** @type {{segment: Segment, index: number}} */ (doc.places.peek().get(id)); // stays until the row has gone
  const place = computed(() => {
    last = doc.places.value.get(id) ?? last;
    return last;
  });
  const item = computed(() => place.value.segment);
  const index = computed(() => place.value.index);
  const names = () => ({number: index.value + 1});
  const current = () => segments.chosen.value === id;
  const rangeText = () => `${formatTime(item.value.start)} – ${formatTime(item.value.end)}`;
  const number = h("span", {class: "number", title: mayEdit() && t("Drag to move, or Alt with ↑ and ↓")}, mayEdit() && icon("grip"));
  const poster = h("span", {class: "poster", "aria-hidden": "true"}, icon(recording.media.video ? "film" : "wave"));
  const range = h(
    "button",
    {
      type: "button",
      class: "link time",
      title: t("Select this range"),
      "aria-label": () => t("Select segment {number}, {range}", {...names(), range: rangeText()}),
      "aria-current": () => (current() ? "true" : null),
      onclick: () => onopen(item.peek()),
    },
    rangeText,
  );
  const name = h("input", {
    maxlength: String(LIMITS.label),
    autocomplete: "off",
    readonly: !mayEdit(),
    placeholder: () => t("Segment {number}", names()),
    "aria-label": () => t("Name of segment {number}", names()),
  });
  const length = h("span", {class: "time muted tiny length"}, () => formatLength(item.value.end - item.value.start));
  let shown = ""; // the address of the poster
  /** @param {1 | -1} by */
  const move = (by) => {
    doc.move(id, index.peek() + by);
    announce(t("Segment moved to {number}", {number: index.peek() + 1}));
  };
  const more = menuButton(t("More"), "more", () => [
    index.peek() > 0 && {text: t("Move up"), icon: "raise", keys: t("Alt ↑"), run: () => move(-1)},
    index.peek() < doc.segments.peek().length - 1 && {text: t("Move down"), icon: "lower", keys: t("Alt ↓"), run: () => move(1)},
    {text: t("Remove"), icon: "trash", danger: true, run: () => doc.remove(id)},
  ]);
  bind(() => {
    more.title = t("More actions for segment {number}", names());
    more.setAttribute("aria-label", more.title);
  });
  bind(() => {
    if (document.activeElement !== name) name.value = item.value.label;
  });
  const node = h(
    "li",
    {class: () => `segment ${current() ? "current" : ""}`, draggable: String(mayEdit())},
    number,
    poster,
    h("div", {class: "words"}, name, h("div", {class: "row"}, range, length)),
    mayEdit() && more,
  );
  name.addEventListener("input", () => doc.update(id, {label: name.value.trim()}, `name ${id}`));
  name.addEventListener("keydown", (event) => event.key === "Enter" && name.blur());
  node.addEventListener("keydown", (event) => {
    if (!mayEdit() || !event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
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
    event.dataTransfer?.setData(TYPE, String(id));
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
    doc.move(Number(from), index.peek());
  });
  bind(() => {
    const address = `/v1/recordings/${recording.recording_id}/frame?at_seconds=${item.value.start.toFixed(3)}&width=128`;
    if (!recording.media.video || address === shown) return;
    shown = address;
    const image = posterImage(address);
    poster.replaceChildren(icon("film"), ...(image ? [image] : []));
  });
  return node;
}
