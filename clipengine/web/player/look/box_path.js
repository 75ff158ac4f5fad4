// The points of a blurred box that moves, for the lane on the timeline.

import {t} from "../../lib/texts.js";
import {isStill, pathOf, shortPlaceWords} from "./boxes.js";
import {shifted} from "./points.js";

/** @import {DrawingChoice} from "./look_drawing.js" */

export class BoxPath {
  /**
   * @param {DrawingChoice} drawing
   * @param {number} number of the box
   */
  constructor(drawing, number) {
    this.drawing = drawing;
    this.number = number;
  }

  get name() {
    return t("Box {number}", {number: this.number + 1});
  }

  get points() {
    const box = this.drawing.boxes[this.number];
    return isStill(box) ? [] : pathOf(box);
  }

  /** @param {number} at number of a point */
  labelOf(at) {
    return t("Point {at} of box {number}", {at: at + 1, number: this.number + 1});
  }

  /** @param {number} at number of a point */
  heightOf(at) {
    const {x, width} = this.points[at];
    return 1 - x - width / 2;
  }

  /** @param {number} at number of a point */
  wordsAt(at) {
    return shortPlaceWords(this.points[at]);
  }

  /**
   * @param {number} at number of a point
   * @param {number} time
   * @param {{again?: boolean}} [options]
   */
  shift(at, time, options) {
    const {drawing, number} = this;
    drawing.setPath(number, shifted(this.points, at, time, drawing.player), options);
    return this.points[at].recording_seconds;
  }

  /** @param {number} at number of a point */
  remove(at) {
    this.drawing.removePoint(this.number, at);
  }
}
