// The previews on the timeline's tracks, a filmstrip and a waveform, as pyramids. A level divides the recording into pieces
// of 2^n seconds, so that views share pieces, and a piece always has the same address: browser and server cache it. The
// server makes the coarse levels of new recordings ahead (clips/plan/preview_pyramid.py names the same pieces).

import {get, getImage, query} from "../../lib/api.js";

const TILES = 8; // of one piece of a filmstrip
const TILE_PIXELS = 120; // the width at which a tile is shown, times 0.7 to 1.4
const TILE_WIDTH = 160; // of the images
const POINTS = 1024; // of one piece of a waveform
const SHORTEST_SECONDS = 0.25; // of a piece
const WAVE_SECONDS = 1024; // longest piece of a waveform, so that it appears part by part
const MAX_WAVES = 64; // pieces of a whole waveform; of longer recordings they are longer
const HOVER_SECONDS = 64; // shortest piece that hovering loads
const HOVER_PIECES = 16; // into which hovering divides a long recording
const TAIL_HALVES = 4; // times that the last piece of a growing recording is divided, so that most of it stays
const MAX_KEPT = 48; // pieces that are not shown now

/**
 * A part of the recording of a level of a pyramid. `values` are the parameters of its request.
 *
 * @typedef {{key: string, from: number, to: number, seconds: number, values: Record<string, number | undefined>}} PieceRange
 */
/** @typedef {{from: number, to: number, seconds: number}} Piece of a preview that has arrived */
/** @typedef {Piece & {count: number, image: ImageBitmap}} FilmPiece */
/** @typedef {Piece & {peaks: number[]}} WavePiece */
/** @typedef {{ranges: PieceRange[], request: {range: PieceRange, controller: AbortController} | null}} Lane */
/** @typedef {ReturnType<typeof strips>} Strips */
/** @import {Extent} from "../../store/session.js" */
/** @import {Span} from "../segments/selection.js" */

/**
 * The pieces of one track. Those of the whole recording are loaded first, because they were probably made ahead and lie under
 * the finer ones of the view; with `parallel` 2 both are loaded side by side. An error stops only the lane that has the
 * piece. `onchange()` is called after each piece.
 *
 * @template Content what a piece has besides its range
 */
export class Strip {
  /**
   * @param {(range: PieceRange, signal: AbortSignal) => Promise<Content>} load
   * @param {AbortSignal} signal
   * @param {() => void} onchange
   * @param {{parallel?: number, exact?: boolean}} [options] pieces that are `exact` stand for their times at the zoom of
   * their level only: a coarser tile has the picture of another time
   */
  constructor(load, signal, onchange, {parallel = 1, exact = false} = {}) {
    this.load = load;
    this.signal = signal;
    this.onchange = onchange;
    this.parallel = parallel;
    this.exact = exact;
    /** @type {Map<string, Piece & Content>} by key, the least recently wanted first */
    this.loaded = new Map();
    /** @type {{whole: Lane, detail: Lane}} */
    this.lanes = {whole: {ranges: [], request: null}, detail: {ranges: [], request: null}};
    /** @type {{range: PieceRange, done: () => void} | null} a range that is loaded when the others are there, and who wants it */
    this.hint = null;
    /** @type {Map<string, any>} by key; its lane loads nothing more until `retry`, or until the view changes */
    this.errors = new Map();
    signal.addEventListener("abort", () => {
      for (const {controller} of this.requests) controller.abort();
    });
    addEventListener("connection", ({detail}) => detail && [...this.errors.values()].some(({code}) => code === "unreachable") && this.retry(), {signal});
  }

  /**
   * Load these ranges: those of the whole recording, and those of the view.
   *
   * @param {PieceRange[]} whole
   * @param {PieceRange[]} detail
   */
  setRanges(whole, detail) {
    /** @param {PieceRange[]} ranges */
    const key = (ranges) => ranges.map((range) => range.key).join();
    const {lanes} = this;
    if (key(whole) === key(lanes.whole.ranges) && key(detail) === key(lanes.detail.ranges)) return;
    lanes.whole.ranges = whole;
    lanes.detail.ranges = detail;
    this.errors.clear();
    for (const {key: name} of this.wanted) this.touch(name);
    for (const lane of Object.values(lanes)) {
      const next = this.next(lane);
      if (lane.request && lane.request.range.key !== next?.key) lane.request.controller.abort();
    }
    this.run();
  }

  /**
   * Load this range when the wanted ones are there, unless a later one replaces it, and call `done`.
   *
   * @param {PieceRange} range
   * @param {() => void} done
   */
  setHint(range, done) {
    this.hint = this.loaded.has(range.key) ? null : {range, done};
    this.run();
  }

  retry() {
    this.errors.clear();
    this.run();
    this.onchange();
  }

  get wanted() {
    return [...this.lanes.whole.ranges, ...this.lanes.detail.ranges];
  }

  get requests() {
    return Object.values(this.lanes)
      .map(({request}) => request)
      .filter((request) => request !== null);
  }

  // What the view shows, in drawing order: finer pieces lie over coarser ones.
  get pieces() {
    return this.notFinerThan(this.lanes.detail.ranges);
  }

  // The same for the lane of the whole recording.
  get overview() {
    return this.notFinerThan(this.lanes.whole.ranges);
  }

  // The seconds of a piece of the view's level.
  get level() {
    return this.lanes.detail.ranges[0]?.seconds ?? 0;
  }

  /** @param {PieceRange[]} ranges */
  notFinerThan(ranges) {
    const level = ranges[0]?.seconds ?? 0;
    return [...this.loaded.values()].filter(({seconds}) => seconds >= level).sort((a, b) => b.seconds - a.seconds);
  }

  /**
   * Return the finest piece that has this time.
   *
   * @param {number} time
   */
  finest(time) {
    return this.notFinerThan([]).findLast(({from, to}) => from <= time && time <= to);
  }

  /**
   * Return the range that a lane loads now or next, or null.
   *
   * @param {Lane} lane
   */
  next(lane) {
    const elsewhere = this.requests.filter((request) => request !== lane.request).map(({range}) => range.key);
    return lane.ranges.find(({key}) => !this.loaded.has(key) && !elsewhere.includes(key)) || null;
  }

  /** @param {Lane} lane */
  errorOf(lane) {
    const failed = lane.ranges.find(({key}) => this.errors.has(key));
    return failed ? this.errors.get(failed.key) : null;
  }

  // The error of the pieces of the view.
  get error() {
    return this.errorOf(this.lanes.detail);
  }

  get busy() {
    return Object.values(this.lanes).some((lane) => !this.errorOf(lane) && lane.ranges.some(({key}) => !this.loaded.has(key)));
  }

  /**
   * Return the first moment of the view that no preview covers, or null.
   *
   * @param {Span} view
   */
  gap(view) {
    const pieces = this.pieces.filter(({seconds}) => !this.exact || seconds <= this.level);
    let time = view.start;
    for (;;) {
      const piece = pieces.find(({from, to}) => from <= time + 1e-3 && to > time + 1e-3);
      if (!piece) return time;
      if (piece.to >= view.end - 1e-3) return null;
      time = piece.to;
    }
  }

  run() {
    const {whole, detail} = this.lanes;
    for (const lane of [whole, detail]) {
      if (this.signal.aborted || lane.request || this.requests.length >= this.parallel || this.errorOf(lane)) continue;
      const range = this.next(lane) || (lane === detail && this.hinted);
      if (range) this.request(lane, range);
    }
  }

  // The hint, unless it is being loaded.
  get hinted() {
    const {hint} = this;
    return hint && !this.requests.some(({range}) => range.key === hint.range.key) ? hint.range : null;
  }

  /**
   * @param {Lane} lane
   * @param {PieceRange} range
   */
  async request(lane, range) {
    const controller = new AbortController();
    lane.request = {range, controller};
    try {
      const {from, to, seconds} = range;
      this.keep(range, {from, to, seconds, ...(await this.load(range, controller.signal))});
    } catch (error) {
      if (this.hint && this.hint.range.key === range.key) this.hint = null;
      if (error.name !== "AbortError" && this.wanted.some(({key}) => key === range.key)) this.errors.set(range.key, error);
    }
    lane.request = null;
    if (this.signal.aborted) return;
    this.run();
    this.onchange();
  }

  /**
   * @param {PieceRange} range
   * @param {Piece & Content} piece
   */
  keep(range, piece) {
    this.loaded.set(range.key, piece);
    const wanted = new Set(this.wanted.map(({key}) => key));
    const others = [...this.loaded.keys()].filter((key) => !wanted.has(key));
    for (const key of others.slice(0, Math.max(0, others.length - MAX_KEPT))) this.loaded.delete(key);
    if (!this.hint || this.hint.range.key !== range.key) return;
    this.hint.done();
    this.hint = null;
  }

  /** @param {string} key */
  touch(key) {
    const piece = this.loaded.get(key);
    if (!piece) return;
    this.loaded.delete(key);
    this.loaded.set(key, piece);
  }
}

/**
 * Both strips of a recording, null where it has no video or no audio.
 *
 * @param {Extent} extent
 * @param {AbortSignal} signal
 * @param {() => void} onchange
 */
export function strips(extent, signal, onchange) {
  const {recording} = extent;
  const base = /** @type {const} */ (`/v1/recordings/${recording.recording_id}`);
  const {media} = recording;
  /** @type {Strip<{count: number, image: ImageBitmap}> | null} */
  const film = !media.video
    ? null
    : new Strip(
        async ({values}, aborted) => {
          const image = await getImage(query(`${base}/filmstrip`, values), {signal: aborted});
          return {count: values.count ?? 1, image};
        },
        signal,
        onchange,
        {exact: true},
      );
  /** @type {Strip<{peaks: number[]}> | null} */
  const wave = !media.audio.length
    ? null
    : new Strip(
        async ({values}, aborted) => {
          const {peaks} = await get(query(`${base}/waveform`, values), {signal: aborted});
          return {peaks};
        },
        signal,
        onchange,
        {parallel: 2},
      ); // the whole takes long unless it was made ahead
  const longestWave = () => Math.min(longestPiece(extent.duration), Math.max(WAVE_SECONDS, longestPiece(extent.duration) / MAX_WAVES));
  /** @type {(seconds: number, start: number, end: number) => PieceRange[]} */
  const tiles = (seconds, start, end) => pieces({seconds, start, end, extent}, (share) => ({count: Math.ceil(share * TILES), width: TILE_WIDTH}));
  /** @type {(seconds: number, start: number, end: number) => PieceRange[]} */
  const peaks = (seconds, start, end) =>
    pieces({seconds: Math.min(seconds, longestWave()), start, end, extent}, (share) => ({points: Math.ceil(share * POINTS)}));

  /**
   * Load what a view of this range, `width` pixels wide, shows.
   *
   * @param {number} start
   * @param {number} end
   * @param {number} width
   */
  function load(start, end, width) {
    const {duration} = extent;
    /** @param {number} span */
    const level = (span) => {
      const longest = longestPiece(duration);
      const seconds = 2 ** Math.round(Math.log2((span / width) * TILE_PIXELS * TILES));
      return Math.min(longest, Math.max(SHORTEST_SECONDS, seconds));
    };
    const [coarse, fine] = [level(duration), level(end - start)];
    if (film) film.setRanges(tiles(coarse, 0, duration), tiles(fine, start, end));
    if (wave) wave.setRanges(peaks(coarse, 0, duration), peaks(fine, start, end));
  }

  /**
   * Load the tiles around a time that the mouse points at, if there are only coarser ones, and call `done`.
   *
   * @param {number} time
   * @param {() => void} done
   */
  function point(time, done) {
    if (!film) return;
    const longest = longestPiece(extent.duration);
    const seconds = Math.min(longest, Math.max(HOVER_SECONDS, longest / HOVER_PIECES));
    const known = film.finest(time);
    if (!known || known.seconds > seconds) film.setHint(tiles(seconds, time, time)[0], done);
  }

  return {film, wave, load, point};
}

/**
 * The length of the piece that holds the whole recording.
 *
 * @param {number} duration
 */
function longestPiece(duration) {
  let seconds = SHORTEST_SECONDS;
  while (seconds < duration) seconds *= 2;
  return seconds;
}

/**
 * Return the pieces of this length that overlap a range. `values` gives the parameters of a piece of this share of the
 * length: the last one ends with the recording. That end is not named, because the server knows it exactly. While the
 * recording grows, the last piece is divided into halves, of which those that are whole stay.
 *
 * @param {{seconds: number, start: number, end: number, extent: Extent}} range
 * @param {(share: number) => Record<string, number>} values
 * @returns {PieceRange[]}
 */
function pieces({seconds, start, end, extent: {duration, growing}}, values) {
  const first = Math.min(Math.floor(start / seconds), Math.ceil(duration / seconds) - 1);
  const count = Math.max(1, Math.ceil(Math.min(end, duration) / seconds) - first);
  /**
   * @param {number} from
   * @param {number} to
   */
  const piece = (from, to) => {
    const all = {start_seconds: from || undefined, end_seconds: growing || to < duration ? to : undefined, ...values((to - from) / seconds)};
    return {key: JSON.stringify(all), from, to, seconds, values: all};
  };
  const whole = Array.from({length: count}, (_, number) => (first + number) * seconds);
  if (!growing) return whole.map((from) => piece(from, Math.min(duration, from + seconds)));
  return whole.flatMap((from) => (from + seconds <= duration ? [piece(from, from + seconds)] : tail(from, seconds, duration, piece)));
}

/**
 * Return the pieces from a time to the end of a growing recording, the longest ones first.
 *
 * @param {number} from
 * @param {number} seconds the length of the piece in which the recording ends
 * @param {number} duration
 * @param {(from: number, to: number) => PieceRange} piece
 */
function tail(from, seconds, duration, piece) {
  const found = [];
  let [at, half] = [from, seconds / 2];
  for (let number = 0; number < TAIL_HALVES; number += 1, half /= 2) {
    if (at + half > duration) continue;
    found.push(piece(at, at + half));
    at += half;
  }
  if (duration > at) found.push(piece(at, duration));
  return found;
}
