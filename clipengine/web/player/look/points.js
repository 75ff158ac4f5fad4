// Points at times of the recording between which something moves, and their list in Look.

import {findAll, h, iconButton, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";

/** @import {Player} from "../media/player.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @typedef {{recording_seconds: number}} Timed */

/**
 * The points of the crop or of a box, for the lane on the timeline.
 *
 * @typedef {object} Path
 * @property {string} name of what moves
 * @property {Timed[]} points none if it does not move
 * @property {(number: number) => number} heightOf a point in the lane, from 0 to 1
 * @property {(number: number) => string} labelOf a point
 * @property {(number: number) => string} wordsAt where it is
 * @property {(number: number, time: number, options?: {again?: boolean}) => number} shift a point in time; returns its time
 * @property {(number: number) => void} remove a point
 */

/**
 * Return the number of the point at a time, to half a frame, or -1.
 *
 * @param {Timed[]} points
 * @param {number} time
 * @param {number} frame in seconds
 */
export const numberAt = (points, time, frame) => points.findIndex(({recording_seconds: at}) => Math.abs(at - time) < frame / 2);

/**
 * Return the points in order with a new one, in place of the one at its time.
 *
 * @template {Timed} Point
 * @param {Point[]} points
 * @param {Point} point
 * @param {number} frame in seconds
 */
export function withPoint(points, point, frame) {
  const known = points[numberAt(points, point.recording_seconds, frame)];
  const placed = {...point, recording_seconds: known?.recording_seconds ?? point.recording_seconds};
  return [...points.filter((each) => each !== known), placed].sort((one, other) => one.recording_seconds - other.recording_seconds);
}

/**
 * Return the points with one at another time, as far as its neighbours let it.
 *
 * @template {Timed} Point
 * @param {Point[]} points
 * @param {number} number
 * @param {number} time
 * @param {Player} player
 */
export function shifted(points, number, time, {selection, duration}) {
  const low = number ? points[number - 1].recording_seconds + selection.frame : 0;
  const high = number + 1 < points.length ? points[number + 1].recording_seconds - selection.frame : duration;
  if (low > high) return points; // no room between frames of a variable rate
  const at = Math.max(low, Math.min(selection.snap(time), high));
  return points.map((each, other) => (other === number ? {...each, recording_seconds: at} : each));
}

/**
 * The list of points in Look: each has its time, which is a button, its place in words, and a button that removes it.
 *
 * @template {Timed} Point
 */
export class PointList {
  /**
   * `onseek(time)` is called when a point was chosen, `onremove(number)` when it is to be removed.
   *
   * @param {{label: string, times: ShownTimes, wordsOf: (point: Point) => string, onseek: (time: number) => void, onremove: (number: number) => void}} options
   */
  constructor({label, times, wordsOf, onseek, onremove}) {
    this.times = times;
    this.wordsOf = wordsOf;
    this.onseek = onseek;
    this.onremove = onremove;
    /** @type {Point[]} */
    this.points = [];
    this.node = h("ul", {class: "points", "aria-label": label});
  }

  /** @param {Point[]} points */
  draw(points) {
    this.points = points;
    this.node.hidden = !points.length;
    const rows = findAll(this.node, "li");
    for (const row of rows.slice(points.length)) row.remove();
    for (const [at, point] of points.entries()) {
      const row = rows[at] ?? this.node.appendChild(this.row(at));
      const [time, place, remove] = /** @type {HTMLElement[]} */ ([...row.children]);
      setText(time, this.times.format(point.recording_seconds));
      setText(place, this.wordsOf(point));
      remove.title = t("Remove the point at {time}", {time: time.textContent ?? ""});
      remove.setAttribute("aria-label", remove.title);
    }
  }

  /** @param {number} at */
  row(at) {
    const go = h("button", {type: "button", class: "link time", onclick: () => this.onseek(this.points[at].recording_seconds)});
    return h(
      "li",
      {class: "row"},
      go,
      h("span", {class: "grow muted"}),
      iconButton("x", "", () => this.onremove(at)),
    );
  }
}
