// The part of Look about the place of the crop: the same for the whole clip, or points at times of the recording between
// which it moves.

import {announce, h, setText} from "../../lib/dom.js";
import {LIMITS} from "../../lib/limits.js";
import {formatNumber, t} from "../../lib/texts.js";
import {toast} from "../../lib/toasts.js";
import {numberAt, PointList, shifted, withPoint} from "./points.js";

/** @import {ClipOutput} from "./look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @import {History} from "../../store/history.js" */
/** @typedef {{x: number, y: number}} Focus in fractions of the picture */
/** @typedef {Focus & {recording_seconds: number}} Point */
/** @typedef {{focus: Focus | null, moves: boolean, points: Point[]}} Place where `points` are used if it `moves`, in order */

/** @type {[x: number, y: number, text: string][]} */
const ACROSS = [
  [0, 0.5, t("Left")],
  [0.5, 0.5, t("Middle")],
  [1, 0.5, t("Right")],
];
/** @type {[x: number, y: number, text: string][]} */
const DOWN = [
  [0.5, 0, t("Top")],
  [0.5, 0.5, t("Middle")],
  [0.5, 1, t("Bottom")],
];
const MIDDLE = {x: 0.5, y: 0.5};

export class PlaceChoice {
  /**
   * `onchange()` is called when the place was changed here, `onseek(time)` when a point was chosen.
   *
   * @param {{player: Player, times: ShownTimes, undo: History, onchange: () => void, onseek: (time: number) => void}} options
   */
  constructor({player, times, undo, onchange, onseek}) {
    this.player = player;
    this.undo = undo;
    this.onchange = onchange;
    /** @type {Place} */
    this.place = {focus: null, moves: false, points: []};
    this.active = false; // true while the picture is cropped
    this.down = false; // true if the crop moves up and down
    this.size = 0; // of the crop in that direction, as a part of the picture
    this.choices = [...ACROSS.map((_, at) => this.button(() => this.fix(at))), this.button(() => this.start())];
    this.choice = h("div", {class: "choice", role: "group", "aria-label": t("Place of the crop")}, this.choices);
    /** @type {PointList<Point>} */
    this.list = new PointList({
      label: t("Points of the crop"),
      times,
      wordsOf: (point) => this.wordsOf(point),
      onseek,
      onremove: (number) => this.remove(number),
    });
    this.nodes = [this.choice, this.list.node];
  }

  /** @param {() => void} onclick */
  button(onclick) {
    return h("button", {type: "button", onclick});
  }

  // The points between which the crop moves; none if it does not move.
  get points() {
    return this.active && this.place.moves ? this.place.points : [];
  }

  get moves() {
    return this.points.length > 0;
  }

  get name() {
    return t("Crop");
  }

  /** @param {number} number of a point */
  labelOf(number) {
    return t("Point {number} of the crop", {number: number + 1});
  }

  /** @param {number} number of a point */
  heightOf(number) {
    const {x, y} = this.points[number];
    return this.down ? y : 1 - x;
  }

  /** @param {number} number of a point */
  wordsAt(number) {
    return this.wordsOf(this.points[number]);
  }

  get presets() {
    return this.down ? DOWN : ACROSS;
  }

  /**
   * The part of the picture that the clip shows has this size, and can move up and down, or else left and right.
   *
   * @param {boolean} down
   * @param {number} size
   */
  setDirection(down, size) {
    if (this.down === down && this.size === size) return;
    Object.assign(this, {down, size});
    this.draw(this.active);
  }

  /**
   * Change the place. With `again`, the change is part of the one before, as in a drag.
   *
   * @param {Partial<Place>} values
   * @param {{again?: boolean}} [options]
   */
  change(values, {again = false} = {}) {
    const before = this.place;
    if (!again) this.undo.add(this, () => this.set(before));
    this.set({...before, ...values});
  }

  /** @param {Place} place */
  set(place) {
    this.place = place;
    this.onchange();
  }

  /** @param {number} at number of a preset */
  fix(at) {
    const [x, y] = this.presets[at];
    this.change({focus: {x, y}, moves: false});
  }

  // Let the crop move. The first point is where it is now.
  start() {
    if (this.moves) return;
    const {points, focus} = this.place;
    this.change({moves: true, points: points.length ? points : [{recording_seconds: this.now, ...(focus ?? MIDDLE)}]});
  }

  get now() {
    return Math.round(this.player.shown * 1e6) / 1e6;
  }

  /**
   * Put the middle of the crop nearest to this point: now if it moves, or else always.
   *
   * @param {Focus} focus
   * @param {{again?: boolean}} [options]
   */
  put(focus, options) {
    const {points, now} = this;
    if (!this.moves) return this.change({focus}, options);
    const {frame} = this.player.selection;
    if (numberAt(points, now, frame) < 0 && points.length >= LIMITS.points) return toast(t("The crop has {count} points already", {count: LIMITS.points}));
    this.change({points: withPoint(points, {recording_seconds: now, ...focus}, frame)}, options);
  }

  /**
   * Move a point in time, at most to its neighbours. Returns its time.
   *
   * @param {number} number
   * @param {number} time
   * @param {{again?: boolean}} [options]
   */
  shift(number, time, options) {
    this.change({points: shifted(this.points, number, time, this.player)}, options);
    return this.points[number].recording_seconds;
  }

  /** @param {number} number */
  remove(number) {
    const {points} = this;
    const {x, y} = points[number];
    const left = points.filter((_, at) => at !== number);
    this.change(left.length ? {points: left} : {points: [], moves: false, focus: {x, y}});
    announce(t("The point was removed"));
    toast(t("The point was removed"), "", {action: {text: t("Undo"), run: () => this.undo.undo(this)}});
  }

  clear() {
    this.place = {focus: null, moves: false, points: []};
  }

  /** @param {ClipOutput} output */
  restore({focus}) {
    if (!Array.isArray(focus)) this.place = {...this.place, focus: focus ?? null, moves: false};
    else {
      const points = focus.filter((each) => "recording_seconds" in each); // in seconds of the clip, they stay as they are
      this.place = {focus: null, moves: points.length > 0, points};
    }
  }

  /** @returns {ClipOutput} */
  get output() {
    if (this.moves) return {focus: this.points};
    return this.place.focus ? {focus: this.place.focus} : {};
  }

  /**
   * Return where a point is, in words.
   *
   * @param {Focus} point
   */
  wordsOf(point) {
    const value = this.down ? point.y : point.x;
    const part = this.size < 1 ? Math.min(Math.max(0, (value - this.size / 2) / (1 - this.size)), 1) : 0.5;
    return t("{place}, {percent} %", {place: this.presets[Math.min(2, Math.floor(part * 3))][2], percent: formatNumber(Math.round(part * 100))});
  }

  /** @param {boolean} active the picture is cropped */
  draw(active) {
    this.active = active;
    const focus = this.place.focus ?? MIDDLE;
    this.choice.hidden = !active;
    for (const [at, button] of this.choices.entries()) {
      const [x, y, text] = this.presets[at] ?? [0, 0, t("Moves")];
      setText(button, text);
      const chosen = at < 3 ? !this.moves && (this.down ? focus.y === y : focus.x === x) : this.moves;
      button.setAttribute("aria-pressed", String(chosen));
    }
    this.list.draw(this.points);
  }
}
