// The frame over the picture that shows which part of it the clip takes. The server says where it is: a drag moves it at
// once, and the place that the clip will have arrives after it. A crop that moves is shown where it is at the playhead.

import {post} from "../../lib/api.js";
import {byKey, debounce, h, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {toastError} from "../../lib/toasts.js";
import {startDrag} from "../timeline/drag.js";
import {BlurredBars} from "./blurred_bars.js";
import {placeAt, placeIn} from "./drawn_effects.js";

/** @import {Look} from "./look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @typedef {Reply<"post", `/v1/recordings/${string}/framing`>} Framing */
/** @typedef {{x: number, y: number, width: number, height: number}} Part of the picture, in fractions */

const ASK_MS = 60; // after the last movement
const STEP = 0.01; // of the picture, for a key
const FAR = 10; // steps, with Shift

export class CropFrame {
  /**
   * `onframing` gets what the server says about the clip's picture, or null while nothing is changed.
   *
   * @param {{recording: ReadyRecording, look: Look, player: Player, times: ShownTimes, onframing: (framing: Framing | null) => void, signal: AbortSignal}} options
   */
  constructor({recording, look, player, times, onframing, signal}) {
    this.look = look;
    this.player = player;
    this.times = times;
    this.onframing = onframing;
    this.picture = player.picture;
    this.signal = signal;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/framing`);
    /** @type {Part | null} */
    this.part = null;
    this.asked = ""; // the picture of the last request
    /** @type {Framing | null} the answer to it */
    this.framing = null;
    this.fresh = false; // true if `framing` answers the present choice
    this.dragged = false; // the look gets its place when the drag ends
    this.ratio = h("span", {class: "ratio", "aria-hidden": "true"});
    this.safe = h("span", {class: "safe", "aria-hidden": "true"});
    this.node = h(
      "div",
      {class: "crop", role: "slider", tabindex: "0", "aria-label": t("Crop of the clip"), "aria-valuemin": "0", "aria-valuemax": "100", hidden: true},
      this.safe,
      this.ratio,
    );
    this.frameButton = h("button", {type: "button", onclick: () => this.showResult(false)}, t("Frame"));
    this.resultButton = h("button", {type: "button", onclick: () => this.showResult(true)}, t("Result"));
    this.views = h("div", {class: "choice", role: "group", "aria-label": t("View of the crop"), hidden: true}, this.frameButton, this.resultButton);
    this.bars = new BlurredBars({player, signal});
    this.nextTime = h("span");
    this.next = h("div", {class: "next-place", "aria-hidden": "true", hidden: true}, this.nextTime); // of a crop that moves
    this.picture.append(this.node, this.next);
    player.addEventListener("time", () => this.follow());
    this.node.addEventListener("pointerdown", (event) => this.drag(event));
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("focus", () => look.drawing.choose(-1));
    this.askSoon = debounce(ASK_MS, () => signal.aborted || this.ask());
    look.addEventListener("change", () => this.update(), {signal});
    this.showResult(false);
    this.update();
  }

  update() {
    const changes = this.look.hasPicture && Object.keys(this.look.framed).length > 0;
    this.fresh = false;
    if (!this.look.crops || !changes) {
      this.part = null;
      this.draw();
    }
    if (changes) this.askSoon();
    else {
      this.asked = "";
      this.setRegion({x: 0, y: 0, width: 1, height: 1}, 1, 1);
      this.setBars(null);
      this.onframing(null);
    }
  }

  /**
   * Place what is drawn over the picture: in this part of it, or in a larger area around it if the clip has bars.
   *
   * @param {Part} part
   * @param {number} wide
   * @param {number} high
   */
  setRegion(part, wide, high) {
    for (const [name, value] of Object.entries({...part, wide, high})) this.picture.style.setProperty(`--part-${name}`, String(value));
  }

  /**
   * Show the picture with its bars, if the clip has some, as there is no frame then that shows what the clip takes.
   *
   * @param {Framing | null} framing
   */
  setBars(framing) {
    const has = framing !== null && (framing.width > framing.inner.width || framing.height > framing.inner.height);
    this.picture.classList.toggle("bars", has);
    if (has) this.picture.style.setProperty("--part-ratio", String(framing.width / framing.height));
    this.bars.show(has && this.look.drawn.fit === "blur" ? framing : null);
  }

  async ask() {
    const picture = this.look.framed;
    const asked = JSON.stringify(picture);
    if (asked === this.asked) {
      this.fresh = this.framing !== null;
      this.follow();
      return;
    }
    this.asked = asked;
    this.framing = null;
    try {
      const framing = await post(this.path, {output: picture}, {signal: this.signal});
      if (asked !== JSON.stringify(this.look.framed)) return; // it was moved meanwhile
      if (this.dragged) {
        this.asked = ""; // asked again after the drag
        return;
      }
      this.framing = framing;
      this.fresh = true;
      const {region, inner} = framing;
      const part = partOf(region, framing);
      this.setRegion(part, framing.width / inner.width, framing.height / inner.height);
      this.setBars(framing);
      this.part = this.look.crops ? part : null;
      this.draw();
      this.follow();
      this.onframing(framing);
    } catch (error) {
      if (asked === this.asked) this.asked = "";
      toastError(error);
    }
  }

  // Show a crop that moves where it is now, and where it is at its next point.
  follow() {
    const {framing, look, player} = this;
    const now = player.shown;
    const next = look.place.points.find(({recording_seconds: at}) => at > now + player.selection.frame / 2);
    const moves = look.place.moves && framing !== null && framing.path.length > 0;
    this.next.hidden = !moves || !next || player.playing;
    if (!moves || !this.fresh || this.dragged) return;
    const part = partOf(placeAt(framing.path, now), framing);
    if (!this.part || !same(part, this.part)) {
      this.part = part;
      this.draw();
    }
    if (!next) return;
    const place = partOf(placeAt(framing.path, next.recording_seconds), framing);
    if (same(place, part)) this.next.hidden = true;
    placeIn(this.next, place, {width: 1, height: 1});
    setText(this.nextTime, this.times.format(next.recording_seconds, 1));
  }

  /** @param {boolean} shown */
  showResult(shown) {
    this.picture.classList.toggle("result", shown && this.part !== null);
    this.frameButton.setAttribute("aria-pressed", String(!shown));
    this.resultButton.setAttribute("aria-pressed", String(shown));
  }

  draw() {
    const {part, node, look} = this;
    node.hidden = !part;
    this.views.hidden = !part;
    if (!part) {
      this.showResult(false);
      return;
    }
    const down = part.width > 0.999;
    look.place.setDirection(down, down ? part.height : part.width);
    node.classList.toggle("down", down);
    node.classList.toggle("across", !down);
    placeIn(node, part, {width: 1, height: 1});
    this.setRegion(part, 1, 1);
    const [wide, high] = look.shape.split(":").map(Number);
    this.picture.style.setProperty("--part-ratio", String(wide / high));
    setText(this.ratio, look.shape);
    this.safe.hidden = look.shape !== "9:16";
    node.setAttribute("aria-orientation", down ? "vertical" : "horizontal");
    this.setValue(part);
  }

  /**
   * Set the value of the slider.
   *
   * @param {Part} part
   */
  setValue({x, y, width, height}) {
    const [place, size] = width > 0.999 ? [y, height] : [x, width];
    const percent = size < 1 ? Math.round((place / (1 - size)) * 100) : 50;
    this.node.setAttribute("aria-valuenow", String(percent));
    this.node.setAttribute("aria-valuetext", `${this.look.shape}, ${percent} %`);
  }

  /**
   * Move the frame to this place in the picture, as far as it can. Only the frame is drawn: a drag does this for each movement.
   *
   * @param {Part} from the part before
   * @param {number} toX
   * @param {number} toY
   */
  moveTo({width, height}, toX, toY) {
    const [x, y] = [Math.min(Math.max(0, toX), 1 - width), Math.min(Math.max(0, toY), 1 - height)];
    this.part = {x, y, width, height};
    Object.assign(this.node.style, {left: `${x * 100}%`, top: `${y * 100}%`});
    this.picture.style.setProperty("--part-x", String(x));
    this.picture.style.setProperty("--part-y", String(y));
    this.setValue(this.part);
  }

  /**
   * Give the place of the frame to the look.
   *
   * @param {{again?: boolean}} [options] with `again`, as a part of the change before
   */
  put(options) {
    if (this.part) this.look.place.put({x: this.part.x + this.part.width / 2, y: this.part.y + this.part.height / 2}, options);
  }

  /** @param {PointerEvent} event */
  drag(event) {
    event.stopPropagation();
    const {part} = this;
    if (!part) return;
    const {width, height} = this.picture.getBoundingClientRect();
    /** @param {PointerEvent} moved */
    const move = (moved) => this.moveTo(part, part.x + (moved.clientX - event.clientX) / width, part.y + (moved.clientY - event.clientY) / height);
    const done = () => {
      this.dragged = false;
      if (this.part && !same(this.part, part)) this.put();
      else this.askSoon();
    };
    if (!startDrag(event, move, done)) return;
    this.dragged = true;
    if (this.look.place.moves) this.player.pause(); // the point is at the playhead
    this.node.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = STEP * (event.shiftKey ? FAR : 1);
    const by = byKey(event, {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step], Home: [-1, -1], End: [1, 1]});
    if (!by || !this.part) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.look.place.moves) this.player.pause();
    this.moveTo(this.part, this.part.x + by[0], this.part.y + by[1]);
    this.put({again: event.repeat});
  }
}

/**
 * Return pixels of the picture as fractions of it.
 *
 * @param {Part} box
 * @param {Framing} framing
 * @returns {Part}
 */
function partOf({x, y, width, height}, {recording}) {
  return {x: x / recording.width, y: y / recording.height, width: width / recording.width, height: height / recording.height};
}

/**
 * @param {Part} one
 * @param {Part} other
 */
const same = (one, other) => one.x === other.x && one.y === other.y && one.width === other.width && one.height === other.height;
