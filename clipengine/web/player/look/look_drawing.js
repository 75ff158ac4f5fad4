// The part of Look about what is drawn in the picture: blurred boxes, a watermark and fades.

import {announce, h, icon} from "../../lib/dom.js";
import {LIMITS} from "../../lib/limits.js";
import {formatNumber, t} from "../../lib/texts.js";
import {toast} from "../../lib/toasts.js";
import {BoxPath} from "./box_path.js";
import {BoxRow} from "./box_row.js";
import {isEdited, isStill, pathOf, placeOfBox} from "./boxes.js";
import {line, select} from "./look_controls.js";
import {numberAt, withPoint} from "./points.js";

/** @import {AnyBox, BoxPlace, BoxPoint} from "./boxes.js" */
/** @import {ClipOutput} from "./look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @import {History} from "../../store/history.js" */

const FADES = [0.5, 1, 2];
const MAX_BOXES = 50; // of a request
const NEW_BOX = {x: 0.4, y: 0.4, width: 0.2, height: 0.2};
const SHIFT = 0.05; // between boxes that are added at the same place

export class DrawingChoice {
  /**
   * `onchange(name)` is called when an option was changed here, `onadded(number)` when a box was added, `onchosen()` when
   * another one is in use, `onseek(time)` when a point of one was chosen.
   *
   * @param {{watermarks: Watermark[], player: Player, times: ShownTimes, undo: History, onchange: (name: string) => void, onadded: (number: number) => void, onchosen: () => void, onseek: (time: number) => void}} options
   */
  constructor({watermarks, player, times, undo, onchange, onadded, onchosen, onseek}) {
    this.player = player;
    this.times = times;
    this.undo = undo;
    this.onchange = onchange;
    this.onchosen = onchosen;
    this.onseek = onseek;
    this.active = true; // changes can be undone
    /** @type {AnyBox[]} */
    this.boxes = [];
    /** @type {BoxRow[]} */
    this.rows = [];
    this.chosen = -1; // number of the box that moves and was used last
    this.watermark = select([["", t("No watermark")], ...watermarks.map(({name}) => /** @type {[string, string]} */ ([name, name]))], "");
    this.fade = select(
      [
        ["", t("No fade")],
        ...FADES.map((each) => /** @type {[string, string]} */ ([String(each), t("{seconds} s", {seconds: formatNumber(each, each % 1 ? 1 : 0)})])),
      ],
      "",
    );
    const add = () => {
      const place = NEW_BOX.x + ((SHIFT * this.boxes.length) % 0.4);
      this.change([...this.boxes, {...NEW_BOX, x: place}]);
      onadded(this.boxes.length - 1);
    };
    this.add = h("button", {type: "button", class: "quiet", onclick: add}, icon("plus"), t("Add a box"));
    this.list = h("ul", {class: "blurs", "aria-label": t("Blurred boxes")});
    this.nodes = [
      h("div", {class: "line"}, h("span", {}, t("Blur")), this.add),
      this.list,
      line(t("Watermark"), this.watermark, watermarks.length > 0),
      line(t("Fade"), this.fade),
    ];
  }

  get controls() {
    return [this.watermark, this.fade];
  }

  /** @param {HTMLInputElement | HTMLSelectElement} control */
  optionsOf(control) {
    return [control === this.watermark ? "watermark" : "fade_seconds"];
  }

  /**
   * Return the points of the box that was used last, or else, with `any`, of the first one that moves.
   *
   * @param {boolean} any
   */
  path(any) {
    const number = any && this.chosen < 0 ? this.boxes.findIndex((_, at) => this.moving(at) >= 0) : this.chosen;
    return number < 0 ? null : new BoxPath(this, number);
  }

  /** @param {number} number of a box in use; -1 if the crop is */
  choose(number) {
    const chosen = this.moving(number);
    if (chosen === this.chosen) return;
    this.chosen = chosen;
    this.onchosen();
  }

  /** @param {number} number of a box; the result is -1 if it does not move */
  moving(number) {
    const box = this.boxes[number];
    return box && !isStill(box) && isEdited(box) ? number : -1;
  }

  get now() {
    return Math.round(this.player.shown * 1e6) / 1e6;
  }

  /**
   * Change the boxes. With `again`, the change is part of the one before, as in a drag.
   *
   * @param {AnyBox[]} boxes
   * @param {{again?: boolean}} [options]
   */
  change(boxes, {again = false} = {}) {
    const before = this.boxes;
    if (!again) this.undo.add(this, () => this.setBoxes(before));
    this.setBoxes(boxes);
  }

  /** @param {AnyBox[]} boxes */
  setBoxes(boxes) {
    this.boxes = boxes;
    this.chosen = this.moving(this.chosen);
    this.onchange("blur");
  }

  /**
   * @param {number} number
   * @param {AnyBox} box
   * @param {{again?: boolean}} [options]
   */
  replace(number, box, options) {
    this.chosen = number;
    this.change(
      this.boxes.map((each, at) => (at === number ? box : each)),
      options,
    );
  }

  /**
   * Replace the points of a box that moves.
   *
   * @param {number} number
   * @param {BoxPoint[]} points
   * @param {{again?: boolean}} [options]
   */
  setPath(number, points, options) {
    const box = this.boxes[number];
    if (!isStill(box)) this.replace(number, {...box, box: points}, options);
  }

  /**
   * Put a box there: now if it moves, or else always.
   *
   * @param {number} number
   * @param {BoxPlace} place
   * @param {{again?: boolean}} [options]
   */
  move(number, place, options) {
    const {now, player, boxes} = this;
    const box = boxes[number];
    if (isStill(box)) return this.replace(number, {...box, ...place}, options);
    const path = pathOf(box);
    const {frame} = player.selection;
    const points = boxes.reduce((sum, each) => sum + (isStill(each) ? 0 : each.box.length), 0);
    if (numberAt(path, now, frame) < 0 && points >= LIMITS.points) {
      toast(t("The boxes have {count} points already", {count: LIMITS.points}));
      return;
    }
    this.setPath(number, withPoint(path, {...place, recording_seconds: now}, frame), options);
  }

  /**
   * Let a box move from where it is on, or stop it where it is now.
   *
   * @param {number} number
   */
  toggle(number) {
    const box = this.boxes[number];
    const place = placeOfBox(box, this.now);
    if (isStill(box)) {
      const {x, y, width, height, ...times} = box;
      this.replace(number, {...times, box: [{...place, recording_seconds: this.now}]});
    } else {
      const {box: path, ...times} = box;
      this.replace(number, {...times, ...place});
    }
  }

  /**
   * @param {number} number
   * @param {number} at number of the point
   */
  removePoint(number, at) {
    const box = this.boxes[number];
    if (isStill(box)) return;
    const left = pathOf(box).filter((_, other) => other !== at);
    if (left.length) this.setPath(number, left);
    else this.toggle(number);
    this.removed(t("The point was removed"));
  }

  /** @param {number} number */
  remove(number) {
    this.chosen = -1;
    this.change(this.boxes.filter((_, at) => at !== number));
    this.add.focus();
    this.removed(t("The box was removed"));
  }

  /** @param {string} text */
  removed(text) {
    announce(text);
    toast(text, "", {action: {text: t("Undo"), run: () => this.undo.undo(this)}});
  }

  clear() {
    this.boxes = [];
    this.chosen = -1;
  }

  /**
   * Show the stored boxes. Return the other controls with their values.
   *
   * @param {ClipOutput} output
   * @returns {[HTMLSelectElement, string][]}
   */
  restore(output) {
    this.boxes = [...(output.blur ?? [])];
    this.chosen = -1;
    return [
      [this.watermark, output.watermark ?? ""],
      [this.fade, String(output.fade_seconds ?? "")],
    ];
  }

  draw() {
    this.add.disabled = this.boxes.length >= MAX_BOXES;
    this.list.hidden = !this.boxes.length;
    for (const row of this.rows.splice(this.boxes.length)) row.node.remove();
    for (const [number, box] of this.boxes.entries()) {
      if (!this.rows[number]) {
        const {times, onseek} = this;
        const row = new BoxRow({
          number,
          times,
          ontoggle: () => this.toggle(number),
          onremove: () => this.remove(number),
          onseek,
          onremovepoint: (at) => this.removePoint(number, at),
        });
        this.rows.push(row);
        this.list.append(row.node);
      }
      this.rows[number].draw(box);
    }
  }

  /** @returns {ClipOutput} */
  get output() {
    return {
      ...(this.boxes.length ? {blur: this.boxes} : {}),
      ...(this.watermark.value ? {watermark: this.watermark.value} : {}),
      ...(this.fade.value ? {fade_seconds: Number(this.fade.value)} : {}),
    };
  }
}
