// Handles of the blurred boxes over the player: a box is dragged, or moved by keys, and its corner changes its size. They are
// there while Look is open. One that moves is put where it is at the playhead. The blur itself is drawn where the server says.

import {announce, byKey, h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {isEdited, isStill, placeOfBox, placeWords} from "./boxes.js";
import {startDrag} from "../timeline/drag.js";
import {placeIn} from "./drawn_effects.js";

/** @import {BoxPlace} from "./boxes.js" */
/** @import {Look} from "./look.js" */
/** @import {Player} from "../media/player.js" */

const STEP = 0.01; // of the picture, for a key
const FAR = 10; // steps, with Shift
const LEAST = 0.02; // of the picture, in width and height
const WHOLE = {width: 1, height: 1};

export class BlurBoxes {
  /** @param {{look: Look, player: Player, signal: AbortSignal}} options */
  constructor({look, player, signal}) {
    this.drawing = look.drawing;
    this.player = player;
    /** @type {{number: number, place: BoxPlace} | null} a box that is dragged, which the look gets when the drag ends */
    this.dragged = null;
    this.node = h("div", {class: "boxes handles", role: "group", "aria-label": t("Blurred boxes in the picture")});
    player.picture.append(this.node);
    player.addEventListener("time", () => this.follow());
    look.addEventListener("change", () => this.draw(), {signal});
    look.addEventListener("box", (event) => this.handleOf(/** @type {CustomEvent<number>} */ (event).detail)?.focus(), {signal});
    this.draw();
  }

  /** @param {number} number */
  handleOf(number) {
    return /** @type {HTMLElement | null} */ (this.node.querySelector(`[data-box="${number}"]`));
  }

  draw() {
    const {boxes} = this.drawing;
    for (const node of [...this.node.children]) {
      const box = boxes[Number(/** @type {HTMLElement} */ (node).dataset.box)];
      if (!box || !isEdited(box)) node.remove();
    }
    for (const [number, box] of boxes.entries()) {
      if (!isEdited(box)) continue;
      if (!this.handleOf(number)) this.node.append(this.handle(number));
      this.place(number);
    }
  }

  // Show boxes that move where they are now.
  follow() {
    for (const [number, box] of this.drawing.boxes.entries()) if (!isStill(box) && this.handleOf(number)) this.place(number);
  }

  /** @param {number} number */
  place(number) {
    const node = this.handleOf(number);
    if (!node) return;
    const place = this.placeOf(number);
    placeIn(node, place, WHOLE);
    node.setAttribute("aria-label", t("Blurred box {number}: {place}", {number: number + 1, place: placeWords(place)}));
  }

  /** @param {number} number */
  handle(number) {
    const corner = h("span", {class: "corner", "aria-hidden": "true"});
    const title = t("Drag to move. Arrow keys move it, with Alt they change its size, Delete removes it.");
    const node = h("button", {type: "button", title, "data-box": String(number)}, corner);
    node.addEventListener("pointerdown", (event) => this.drag(event, number, event.target === corner));
    node.addEventListener("keydown", (event) => this.key(event, number));
    node.addEventListener("focus", () => this.drawing.choose(number));
    return node;
  }

  /** @param {number} number */
  placeOf(number) {
    if (this.dragged?.number === number) return this.dragged.place;
    return placeOfBox(this.drawing.boxes[number], this.drawing.now);
  }

  /**
   * @param {PointerEvent} event
   * @param {number} number
   * @param {boolean} sizes
   */
  drag(event, number, sizes) {
    event.stopPropagation();
    const place = this.placeOf(number);
    const {width, height} = this.node.getBoundingClientRect();
    /** @param {PointerEvent} moved */
    const move = (moved) => {
      const by = /** @type {const} */ ([(moved.clientX - event.clientX) / width, (moved.clientY - event.clientY) / height]);
      this.dragged = {number, place: changedBy(place, by, sizes)};
      this.place(number);
    };
    const done = () => {
      const {dragged} = this;
      this.dragged = null;
      if (dragged) this.drawing.move(number, dragged.place);
    };
    if (!startDrag(event, move, done)) return;
    this.stop(number);
    /** @type {HTMLElement} */ (event.currentTarget).focus();
  }

  /** @param {number} number of a box that is changed: the place of one that moves is the place at the playhead */
  stop(number) {
    if (!isStill(this.drawing.boxes[number])) this.player.pause();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} number
   */
  key(event, number) {
    const step = STEP * (event.shiftKey ? FAR : 1);
    /** @type {[number, number] | undefined} */
    const by = byKey(event, {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]});
    const removes = event.key === "Delete" || event.key === "Backspace";
    if (!by && !removes) return;
    event.preventDefault();
    event.stopPropagation();
    if (!by) this.drawing.remove(number);
    else {
      this.stop(number);
      this.drawing.move(number, changedBy(this.placeOf(number), by, event.altKey), {again: event.repeat});
      announce(placeWords(this.placeOf(number)));
    }
  }
}

/**
 * Return a place that was moved, or whose size was changed, within the picture.
 *
 * @param {BoxPlace} place
 * @param {readonly [x: number, y: number]} by
 * @param {boolean} sizes
 * @returns {BoxPlace}
 */
const changedBy = (place, [x, y], sizes) =>
  sizes
    ? {...place, width: inside(place.width + x, LEAST, 1 - place.x), height: inside(place.height + y, LEAST, 1 - place.y)}
    : {...place, x: inside(place.x + x, 0, 1 - place.width), y: inside(place.y + y, 0, 1 - place.height)};

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const inside = (value, low, high) => Math.round(Math.min(Math.max(value, Math.min(low, high)), high) * 1e6) / 1e6;
