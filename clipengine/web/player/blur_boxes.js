// Handles of the blurred boxes over the player: a box is dragged, or moved by keys, and its corner changes its size. They are
// there while Look is open. The blur itself is drawn where the server says.

import {announce, byKey, h} from "../lib/dom.js";
import {formatNumber, t} from "../lib/texts.js";
import {startDrag} from "./drag.js";
import {placeIn} from "./drawn_effects.js";
import {isStill} from "./look_drawing.js";

/** @import {Look} from "./look.js" */
/** @import {Box} from "./look_drawing.js" */

const STEP = 0.01; // of the picture, for a key
const FAR = 10; // steps, with Shift
const LEAST = 0.02; // of the picture, in width and height
const WHOLE = {width: 1, height: 1};

export class BlurBoxes {
  /** @param {{look: Look, picture: HTMLElement, signal: AbortSignal}} options */
  constructor({look, picture, signal}) {
    this.drawing = look.drawing;
    this.picture = picture;
    this.node = h("div", {class: "boxes handles", role: "group", "aria-label": t("Blurred boxes in the picture")});
    picture.append(this.node);
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
      if (!box || !isStill(box)) node.remove();
    }
    for (const [number, box] of boxes.entries()) {
      if (!isStill(box)) continue;
      let node = this.handleOf(number);
      if (!node) {
        node = this.handle(number);
        this.node.append(node);
      }
      placeIn(node, box, WHOLE);
      node.setAttribute("aria-label", t("Blurred box {number}: {place}", {number: number + 1, place: placeOf(box)}));
    }
  }

  /** @param {number} number */
  handle(number) {
    const corner = h("span", {class: "corner", "aria-hidden": "true"});
    const title = t("Drag to move. Arrow keys move it, with Alt they change its size, Delete removes it.");
    const node = h("button", {type: "button", title, "data-box": String(number)}, corner);
    node.addEventListener("pointerdown", (event) => this.drag(event, number, event.target === corner));
    node.addEventListener("keydown", (event) => this.key(event, number));
    return node;
  }

  /**
   * @param {number} number
   * @returns {Box}
   */
  boxOf(number) {
    return /** @type {Box} */ (this.drawing.boxes[number]);
  }

  /**
   * @param {number} number
   * @param {Box} box
   * @param {[x: number, y: number]} by
   * @param {boolean} sizes
   */
  change(number, box, [x, y], sizes) {
    const changed = sizes
      ? {...box, width: inside(box.width + x, LEAST, 1 - box.x), height: inside(box.height + y, LEAST, 1 - box.y)}
      : {...box, x: inside(box.x + x, 0, 1 - box.width), y: inside(box.y + y, 0, 1 - box.height)};
    this.drawing.move(number, changed);
  }

  /**
   * @param {PointerEvent} event
   * @param {number} number
   * @param {boolean} sizes
   */
  drag(event, number, sizes) {
    event.stopPropagation();
    const box = this.boxOf(number);
    const {width, height} = this.node.getBoundingClientRect();
    /** @param {PointerEvent} moved */
    const move = (moved) => this.change(number, box, [(moved.clientX - event.clientX) / width, (moved.clientY - event.clientY) / height], sizes);
    if (startDrag(event, move)) /** @type {HTMLElement} */ (event.currentTarget).focus();
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
      this.change(number, this.boxOf(number), by, event.altKey);
      announce(placeOf(this.boxOf(number)));
    }
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const inside = (value, low, high) => Math.round(Math.min(Math.max(value, Math.min(low, high)), high) * 1e6) / 1e6;

/** @param {Box} box */
function placeOf({x, y, width, height}) {
  const [left, top, wide, high] = [x, y, width, height].map((each) => formatNumber(Math.round(each * 100)));
  return t("{left} % from the left, {top} % from the top, {wide} × {high} % of the picture", {left, top, wide, high});
}
