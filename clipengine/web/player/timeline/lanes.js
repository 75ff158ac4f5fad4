// Lanes of the timeline beside filmstrip and waveform: cues, clips and segments, chapters, gaps.

import {h} from "../../lib/dom.js";
import {plural, t} from "../../lib/texts.js";
import {chapterBand} from "./band_texts.js";
import {Bands} from "./bands.js";
import {drawCues, drawGaps, readablePixels} from "./drawing.js";

/** @import {Chapter, Shown} from "./band_texts.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Span} from "../segments/selection.js" */
/** @import {ShownTimes} from "./shown_times.js" */

const WORD_PIXELS = 12; // of a second, at least, for words that can be read

/**
 * What a band does with its range.
 *
 * @typedef {object} Moves
 * @property {(range: Span) => void} reveal
 * @property {(range: Span) => void} zoom
 */

/**
 * @param {Moves} moves
 * @param {(item: Shown) => void} onopen
 * @returns {Bands<Shown>}
 */
export function clipLane(moves, onopen) {
  const bands = new Bands({
    name: t("Clips and segments on the timeline"),
    className: "clip-bands",
    onopen,
    ...moves,
    /** @param {number} count */
    many: (count) => plural(count, "{count} clip: zoom in", "{count} clips and segments: zoom in"),
  });
  bands.node.hidden = true;
  return bands;
}

/**
 * @param {Moves} moves
 * @param {Chapter[]} chapters
 * @param {Player} player
 * @returns {Bands<Chapter>}
 */
export function chapterLane(moves, chapters, player) {
  /** @type {Bands<Chapter>} */
  const bands = new Bands({
    name: t("Chapters"),
    className: "chapter-bands",
    lanes: 1,
    ...moves,
    many: (count) => plural(count, "{count} chapter: zoom in", "{count} chapters: zoom in"),
    onopen: (chapter) => {
      player.pause();
      player.seek(chapter.start_seconds);
    },
  });
  bands.node.hidden = !chapters.length;
  bands.set(chapters.map(chapterBand));
  return bands;
}

/** The words of a recording, shown at a zoom at which most cues can be read. */
export class CueLane {
  /** @param {boolean} allowed */
  constructor(allowed) {
    this.allowed = allowed;
    this.node = h("canvas", {class: "cue-lane", "aria-hidden": "true", hidden: true});
    /** @type {Cue[]} */
    this.cues = [];
    this.pixels = WORD_PIXELS;
  }

  /** @param {Cue[]} cues */
  set(cues) {
    this.cues = cues;
    this.pixels = Math.max(WORD_PIXELS, readablePixels(cues)); // of a second, at least
  }

  /**
   * @param {Span} view
   * @param {number} width in pixels
   */
  draw(view, width) {
    this.node.hidden = !this.allowed || width / (view.end - view.start) < this.pixels;
    if (!this.node.hidden) drawCues(this.node, this.cues, view);
  }
}

/** The parts of a recording without media, drawn over its pictures and sound. */
export class GapLane {
  /**
   * @param {ReadyRecording} recording
   * @param {ShownTimes} times
   */
  constructor(recording, times) {
    this.times = times;
    this.node = h("canvas", {class: "gaps", "aria-hidden": "true"});
    /** @type {Span[]} */
    this.gaps = [];
    this.set(recording);
  }

  /** @param {ReadyRecording} recording */
  set({gaps}) {
    this.gaps = gaps.map(({start_seconds: start, end_seconds: end}) => ({start, end}));
    this.node.hidden = !gaps.length;
  }

  /** @param {Span} view */
  draw(view) {
    if (this.gaps.length) drawGaps(this.node, this.gaps, view, (gap) => this.linesOf(gap));
  }

  /** @param {Span} gap */
  linesOf({start, end}) {
    return [t("Nothing recorded"), `${this.times.format(start, 0)} – ${this.times.format(end, 0)}`];
  }
}
