// Blurred boxes, the watermark and fades over the player, where the engine says that the clip will have them.

import {h} from "../../lib/dom.js";

/** @import {Look} from "./look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Selection} from "../segments/selection.js" */
/** @import {Framing} from "./crop_frame.js" */
const CELLS = 6; // of a box along its longer side, of which the engine keeps the colours
/** @typedef {Framing["path"][number]} Place of a box or of the crop, in pixels of the recording */

/**
 * @param {HTMLElement} node
 * @param {{x: number, y: number, width: number, height: number}} box
 * @param {{width: number, height: number}} whole
 */
export function placeIn(node, {x, y, width, height}, whole) {
  Object.assign(node.style, {
    left: `${(x / whole.width) * 100}%`,
    top: `${(y / whole.height) * 100}%`,
    width: `${(width / whole.width) * 100}%`,
    height: `${(height / whole.height) * 100}%`,
  });
}

export class DrawnEffects {
  /** @param {{look: Look, player: Player, selection: Selection, signal: AbortSignal}} options */
  constructor({look, player, selection, signal}) {
    this.look = look;
    this.player = player;
    this.selection = selection;
    /** @type {Framing | null} */
    this.framing = null;
    this.boxes = h("div", {class: "boxes", "aria-hidden": "true"});
    this.layer = h("div", {class: "drawn", "aria-hidden": "true"});
    this.dark = h("div", {class: "drawn dark", "aria-hidden": "true", hidden: true});
    player.picture.append(this.boxes, this.layer);
    player.addEventListener("time", () => this.draw());
    selection.addEventListener("change", () => this.draw(), {signal});
  }

  // Fades cover everything else that is drawn: they are added last.
  addFades() {
    this.player.picture.append(this.dark);
  }

  /** @param {Framing | null} framing */
  show(framing) {
    this.framing = framing;
    this.boxes.replaceChildren(...(framing?.blur ?? []).map(() => h("div", {hidden: true})));
    this.layer.replaceChildren();
    if (framing?.watermark) {
      const {name, opacity, ...box} = framing.watermark;
      const image = h("img", {src: `/v1/watermarks/${name}`, alt: "", draggable: "false"});
      image.style.opacity = String(opacity);
      placeIn(image, box, framing);
      this.layer.append(image);
    }
    this.draw();
  }

  draw() {
    const {framing} = this;
    if (!framing) {
      this.dark.hidden = true;
      return;
    }
    const {range} = this.selection;
    const tempo = this.look.tempo;
    const at = range ? (this.player.shown - range.start) / tempo : 0; // in seconds of the clip
    const length = range ? (range.end - range.start) / tempo : Number.POSITIVE_INFINITY;
    const inside = at >= 0 && at < length;
    for (const [number, blur] of framing.blur.entries()) {
      const node = /** @type {HTMLElement} */ (this.boxes.children[number]);
      const time = Math.min(Math.max(0, at), length); // outside of the clip, a box is where it is at its nearer end
      node.hidden = time < blur.from_seconds || (blur.to_seconds !== null && time >= blur.to_seconds);
      if (node.hidden) continue;
      const place = placeAt(blur.path, blur.times_of === "recording" ? this.player.shown : time);
      placeIn(node, place, framing.recording);
      const pixels = this.boxes.clientWidth / framing.recording.width; // of the page for one of the recording
      node.style.backdropFilter = `blur(${((Math.max(place.width, place.height) * pixels) / CELLS / 2).toFixed(1)}px)`;
    }
    const fade = Math.min(framing.fade_seconds ?? 0, length / 2);
    this.dark.hidden = !range || !inside || !fade;
    if (!this.dark.hidden) this.dark.style.opacity = String(1 - Math.min(1, at / fade, (length - at) / fade));
  }
}

/**
 * Return where a box or the crop is: between two places it moves at a constant speed.
 *
 * @param {Place[]} path
 * @param {number} at
 * @returns {Place}
 */
export function placeAt(path, at) {
  const next = path.findIndex(({at_seconds: time}) => time > at);
  if (next <= 0) return path[next === 0 ? 0 : path.length - 1];
  const [before, after] = [path[next - 1], path[next]];
  const part = (at - before.at_seconds) / (after.at_seconds - before.at_seconds);
  /** @param {"x" | "y" | "width" | "height"} side */
  const mixed = (side) => before[side] * (1 - part) + after[side] * part;
  return {at_seconds: at, x: mixed("x"), y: mixed("y"), width: mixed("width"), height: mixed("height")};
}
