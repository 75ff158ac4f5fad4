// The lane of a crop or of a blurred box that moves, in place of the clips on the timeline: its points, which are moved in
// time by pointer or by keys, and the line between them.

import {byKey, h, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {startTimeDrag} from "./drag.js";

/** @import {Look} from "../look/look.js" */
/** @import {Span} from "../segments/selection.js" */
/** @import {Timeline} from "./timeline.js" */

const SVG = "http://www.w3.org/2000/svg";
const [HIGHEST, LOWEST] = [26, 74]; // in percent of the lane

export class MovesLane {
  /**
   * `onseek(time)` shows a time.
   *
   * @param {{look: Look, timeline: Timeline, onseek: (time: number) => void, signal: AbortSignal}} options
   */
  constructor({look, timeline, onseek, signal}) {
    this.look = look;
    this.timeline = timeline;
    this.onseek = onseek;
    this.current = 0; // number of the point that Tab reaches
    this.line = document.createElementNS(SVG, "polyline");
    const drawing = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true"})) drawing.setAttribute(name, value);
    drawing.append(this.line);
    /** @type {HTMLElement[]} */
    this.marks = [];
    this.name = h("span", {});
    this.node = h("div", {class: "moves-lane", role: "group", hidden: true}, this.name, drawing);
    timeline.below.push(this);
    timeline.bands.node.before(this.node);
    look.addEventListener("change", () => this.draw(), {signal});
  }

  draw() {
    const {points, name} = this.look.path;
    setText(this.name, name);
    this.node.setAttribute("aria-label", t("Points on the timeline: {name}", {name}));
    this.current = Math.min(this.current, Math.max(0, points.length - 1));
    for (const mark of this.marks.splice(points.length)) mark.remove();
    while (this.marks.length < points.length) this.marks.push(this.node.appendChild(this.mark(this.marks.length)));
    const wasHidden = this.node.hidden;
    this.node.hidden = !points.length;
    if (wasHidden === this.node.hidden) this.place(this.timeline.view);
    else this.timeline.draw(); // the other lanes have another height now
  }

  /** @param {Span} view */
  place(view) {
    const {path} = this.look;
    const {points} = path;
    if (!points.length || points.length !== this.marks.length) return; // drawn soon
    /** @param {import("../look/points.js").Timed} point */
    const across = ({recording_seconds: at}) => ((at - view.start) / (view.end - view.start)) * 100;
    /** @param {number} number */
    const height = (number) => HIGHEST + (LOWEST - HIGHEST) * path.heightOf(number);
    const line = points.map((point, number) => `${across(point)},${height(number)}`);
    const [first, last] = [points[0], points[points.length - 1]];
    this.line.setAttribute(
      "points",
      [`${Math.min(0, across(first))},${height(0)}`, ...line, `${Math.max(100, across(last))},${height(points.length - 1)}`].join(" "),
    );
    for (const [number, point] of points.entries()) {
      const mark = this.marks[number];
      const time = this.timeline.times.format(point.recording_seconds);
      mark.hidden = !this.timeline.sees(point.recording_seconds) && mark !== document.activeElement;
      mark.style.left = `${across(point)}%`;
      mark.style.top = `${height(number)}%`;
      mark.tabIndex = number === this.current ? 0 : -1;
      mark.setAttribute("aria-label", path.labelOf(number));
      mark.setAttribute("aria-valuemax", String(this.timeline.duration));
      mark.setAttribute("aria-valuenow", point.recording_seconds.toFixed(3));
      mark.setAttribute("aria-valuetext", `${time}, ${path.wordsAt(number)}`);
    }
    if (this.marks[this.current].hidden) this.reach();
  }

  // Let Tab reach a point that is shown.
  reach() {
    const shown = this.marks.findIndex((mark) => !mark.hidden);
    if (shown < 0) return;
    this.marks[this.current].tabIndex = -1;
    this.current = shown;
    this.marks[shown].tabIndex = 0;
  }

  /** @param {number} number */
  mark(number) {
    const title = t("Drag to move it in time. ← → move it by a frame, ↑ ↓ go to the next one, Enter goes there, Delete removes it.");
    const mark = h("div", {class: "point", role: "slider", "aria-orientation": "horizontal", "aria-valuemin": "0", title});
    mark.addEventListener("pointerdown", (event) => this.drag(event, number));
    mark.addEventListener("keydown", (event) => this.key(event, number));
    mark.addEventListener("focus", () => this.focused(number));
    return mark;
  }

  /** @param {number} number */
  focused(number) {
    this.marks[this.current].tabIndex = -1;
    this.current = number;
    this.marks[number].tabIndex = 0;
    this.timeline.reveal(this.timeOf(number));
  }

  /** @param {number} number */
  timeOf(number) {
    return this.look.path.points[number].recording_seconds;
  }

  /**
   * @param {number} number
   * @param {number} time
   * @param {{again?: boolean}} [options]
   */
  move(number, time, options) {
    this.onseek(this.look.path.shift(number, time, options));
  }

  /**
   * @param {PointerEvent} event
   * @param {number} number
   */
  drag(event, number) {
    event.stopPropagation();
    const grip = event.clientX - this.timeline.placeOf(this.timeOf(number));
    let again = false;
    /** @param {number} time */
    const move = (time) => {
      this.move(number, time, {again});
      again = true;
    };
    if (!startTimeDrag(event, this.timeline, {grip, move})) return;
    this.marks[number].focus();
    this.onseek(this.timeOf(number));
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} number
   */
  key(event, number) {
    const {selection} = this.timeline;
    const at = this.timeOf(number);
    /** @param {1 | -1} direction */
    const moved = (direction) => () => this.move(number, event.shiftKey ? at + direction : selection.neighbour(at, direction), {again: event.repeat});
    /** @param {number} to */
    const go = (to) => () => this.focusOn(to);
    const remove = () => {
      this.look.path.remove(number);
      this.focusOn(number);
    };
    const action = byKey(event, {
      ArrowLeft: moved(-1),
      ArrowRight: moved(1),
      ArrowUp: go(number - 1),
      ArrowDown: go(number + 1),
      Home: go(0),
      End: go(this.marks.length - 1),
      Enter: () => this.onseek(at),
      Delete: remove,
      Backspace: remove,
    });
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  /** @param {number} number */
  focusOn(number) {
    if (!this.marks.length) return;
    const mark = this.marks[Math.min(Math.max(0, number), this.marks.length - 1)];
    mark.hidden = false;
    mark.focus();
  }
}
