// Captions over the player as the clip will show them: pictures that the engine paints, in the place that it says.

import {post} from "../../lib/api.js";
import {debounce, h} from "../../lib/dom.js";
import {LIMITS} from "../../lib/limits.js";
import {toastError} from "../../lib/toasts.js";
import {placeIn} from "./drawn_effects.js";

/** @import {Removal} from "../segments/removal.js" */
/** @import {Look} from "./look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Selection} from "../segments/selection.js" */
/** @typedef {Reply<"post", `/v1/recordings/${string}/captions`>} Captions */
/** @typedef {{start: number, end: number, part: Part | null}} Place a range between the cuts, and the part that it is in */
/** @typedef {{start: number, end: number}} Part the range of the clip */
/** @typedef {Place & {images: {start: number, end: number, node: HTMLImageElement}[]}} Span of painted captions */

const SPAN_SECONDS = 20; // of one request
const AHEAD_SECONDS = 5; // the next span is requested so long before it is shown
const ASK_MS = 120; // after the last movement
const MAX_SPANS = 10;
const MAX_REMOVED = 200; // ranges of one request
const ROUNDING = 0.0005; // seconds: times of captions are whole milliseconds
const RETRY_MS = 5000; // after an error of a busy server

export class DrawnCaptions {
  /** @param {{recording: ReadyRecording, look: Look, removal: Removal, player: Player, selection: Selection, signal: AbortSignal}} options */
  constructor({recording, look, removal, player, selection, signal}) {
    this.look = look;
    this.removal = removal;
    this.player = player;
    this.selection = selection;
    this.signal = signal;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/captions`);
    /** @type {Span[]} */
    this.spans = [];
    this.style = ""; // the style and the removed ranges with which the spans were painted
    this.asking = false;
    this.failed = ""; // the style and the place for which an error was shown
    this.node = h("div", {class: "drawn", "aria-hidden": "true", hidden: true});
    player.picture.append(this.node);
    this.askSoon = debounce(ASK_MS, () => signal.aborted || this.ask());
    look.addEventListener("change", () => this.restyle(), {signal});
    removal.addEventListener("change", () => this.restyle(), {signal});
    player.addEventListener("time", () => this.draw());
    selection.addEventListener("change", () => this.draw(), {signal});
  }

  restyle() {
    const style = JSON.stringify([this.look.caption, this.look.caption && this.removal.removed]);
    if (style !== this.style) {
      this.style = style;
      this.spans = [];
      this.failed = "";
    }
    this.draw();
  }

  draw() {
    const {caption} = this.look;
    this.node.hidden = !caption;
    if (!caption) return;
    const at = this.shown;
    const images = (this.spanAt(at) ?? this.spans.findLast(({start, end}) => start <= at && at < end))?.images ?? [];
    const image = (images.find(({start, end}) => start <= at && at < end) ?? images.find(({start}) => at < start && start <= this.begunBy(at)))?.node;
    if (image !== (this.node.firstChild ?? undefined)) this.node.replaceChildren(...(image ? [image] : []));
    if (this.wanted !== null) this.askSoon();
  }

  /**
   * Return the time up to which captions begin with the frame at this time: within a frame after the clip's first one.
   *
   * @param {number} at
   */
  begunBy(at) {
    return this.selection.roleOf(at) === "first" ? at + Math.min(this.selection.frame, LIMITS.frame_seconds) + ROUNDING : at;
  }

  // The time for which captions are shown. The first frame of a clip may begin a little before the clip.
  get shown() {
    const at = this.player.shown;
    return this.selection.roleOf(at) === "first" ? Math.max(at, this.selection.start ?? 0) : at;
  }

  /** @param {number} at */
  spanAt(at) {
    const place = this.placeOf(at);
    return this.spans.find((span) => span.start <= at && at < span.end && isPaintedFor(span, place));
  }

  /**
   * Return what one request for a time covers: at most to the cuts, as a clip shows other words there.
   *
   * @param {number} at
   * @returns {Place}
   */
  placeOf(at) {
    const first = Math.floor(at / SPAN_SECONDS) * SPAN_SECONDS;
    const part = this.selection.range;
    const cuts = part ? [part.start, part.end] : [];
    const start = Math.max(first, ...cuts.filter((cut) => cut <= at));
    const end = Math.min(first + SPAN_SECONDS, this.player.duration, ...cuts.filter((cut) => cut > at));
    return {start, end, part: part && part.start <= at && at < part.end ? part : null};
  }

  // The time from which captions are missing: now or soon. Null if none are.
  get wanted() {
    const at = this.shown;
    const here = this.spanAt(at);
    if (!here) return at < this.player.duration ? at : null;
    const soon = here.end;
    return this.player.playing && soon - at < AHEAD_SECONDS && soon < this.player.duration && !this.spanAt(soon) ? soon : null;
  }

  /** @param {string} place */
  retry(place) {
    if (this.signal.aborted || this.failed !== place) return;
    this.failed = "";
    this.draw();
  }

  async ask() {
    const {caption} = this.look;
    const at = this.wanted;
    if (!caption || at === null || this.asking) return;
    const asked = this.style;
    const {part, end, ...planned} = this.placeOf(at);
    const start = at > planned.start && this.spanAt(at - 0.001) ? at : planned.start;
    const place = `${asked} ${start}`;
    if (place === this.failed) return;
    this.asking = true;
    try {
      const removed = this.removal.removed
        .filter((each) => each.start < end && each.end > start)
        .slice(0, MAX_REMOVED)
        .map((each) => ({start_seconds: each.start, end_seconds: each.end}));
      const body = {...caption, start_seconds: start, end_seconds: end, removed, ...(part && {part: {start_seconds: part.start, end_seconds: part.end}})};
      const found = await post(this.path, body, {signal: this.signal});
      if (asked === this.style) this.spans = [...this.spans.slice(1 - MAX_SPANS), spanOf(found, part)];
    } catch (error) {
      this.failed = place;
      if (error.retryable) setTimeout(() => this.retry(place), RETRY_MS);
      else toastError(error);
    }
    this.asking = false;
    if (!this.signal.aborted) this.draw();
  }
}

/**
 * Return true if the span has the words of a place. The cuts matter only where the span reaches them.
 *
 * @param {Span} span
 * @param {Place} place
 */
function isPaintedFor({start, end, part}, place) {
  if (!part || !place.part) return part === place.part && start >= place.start && end <= place.end;
  const begins = part.start === place.part.start || (start > part.start && start >= place.start);
  return begins && (part.end === place.part.end || (end < part.end && end <= place.end));
}

/**
 * @param {Captions} found
 * @param {Part | null} part
 * @returns {Span}
 */
function spanOf({start_seconds: start, end_seconds: end, width, height, captions}, part) {
  const images = captions
    .filter(({image}) => image.startsWith("data:image/png;base64,"))
    .map((each) => {
      const node = h("img", {src: each.image, alt: "", draggable: "false"});
      node.decoding = "sync"; // else the picture before it would be seen in between
      placeIn(node, each, {width, height});
      return {start: each.start_seconds, end: each.end_seconds, node};
    });
  return {start, end, part, images};
}
