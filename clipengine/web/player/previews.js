// The previews on the timeline's tracks: a filmstrip and a waveform, of the whole recording and finer for the view.

import {get, getImage, query} from "../lib/api.js";

const TILE_PIXELS = 120;
const MAX_TILES = 60;
const POINTS = 1200; // of a waveform, over all of its parts
const MIN_POINTS = 150; // of one part
const PART_SECONDS = 900; // a long waveform is loaded in parts, so that it appears part by part

// The previews of one track, loaded one after the other: those of the view first. `onchange()` is called after each.
export class Strip {
  constructor(load, signal, onchange) {
    Object.assign(this, {load, signal, onchange});
    this.loaded = new Map(); // by key
    this.whole = [];
    this.detail = [];
    this.error = null; // of the last request; nothing more is loaded until `retry`, or until the view changes
    this.request = null;
    signal.addEventListener("abort", () => this.request && this.request.abort());
    addEventListener("connection", ({detail}) => detail && this.error && this.error.code === "unreachable" && this.retry(), {signal});
  }

  // Load these ranges: those of the whole recording, and those of the view if it shows only a part.
  setRanges(whole, detail) {
    const key = (ranges) => ranges.map((range) => range.key).join();
    if (key(whole) === key(this.whole) && key(detail) === key(this.detail)) return;
    Object.assign(this, {whole, detail, error: null});
    const {next, request} = this;
    if (request && (!next || request.range.key !== next.key)) request.abort();
    this.run();
  }

  retry() {
    this.error = null;
    this.run();
    this.onchange();
  }

  // In drawing order: finer previews lie over coarser ones.
  get pieces() {
    return [...this.loaded.values()].sort((a, b) => b.to - b.from - (a.to - a.from));
  }

  get next() {
    return [...this.detail, ...this.whole].find((range) => !this.loaded.has(range.key)) || null;
  }

  get busy() {
    return !this.error && this.next !== null;
  }

  // Return the first moment of the view that no preview covers, or null.
  gap(view) {
    let time = view.start;
    for (;;) {
      const piece = this.pieces.find(({from, to}) => from <= time + 1e-3 && to > time + 1e-3);
      if (!piece) return time;
      if (piece.to >= view.end - 1e-3) return null;
      time = piece.to;
    }
  }

  async run() {
    const range = this.next;
    if (this.request || this.error || !range || this.signal.aborted) return;
    const request = this.request = Object.assign(new AbortController(), {range});
    try {
      this.keep(range, await this.load(range, request.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.error = error;
    }
    this.request = null;
    if (this.signal.aborted) return;
    this.run();
    this.onchange();
  }

  // What is not wanted any more stays until the view has what it wants, so that the track is not empty in between.
  keep(range, piece) {
    this.loaded.set(range.key, piece);
    if (this.detail.some(({key}) => !this.loaded.has(key))) return;
    const wanted = new Set([...this.whole, ...this.detail].map(({key}) => key));
    for (const key of [...this.loaded.keys()]) if (!wanted.has(key)) this.loaded.delete(key);
  }
}

// Both strips of a recording, null where it has no video or no audio.
export function strips(recording, signal, onchange) {
  const base = `/v1/recordings/${recording.recording_id}`;
  const {duration_seconds: duration, media} = recording;
  const film = !media.video ? null : new Strip(async ({from, to, values}, aborted) => {
    const image = await getImage(query(`${base}/filmstrip`, values), {signal: aborted});
    return {from, to, count: values.count, image};
  }, signal, onchange);
  const wave = !media.audio.length ? null : new Strip(async ({from, to, values}, aborted) => {
    const {peaks} = await get(query(`${base}/waveform`, values), {signal: aborted});
    return {from, to, peaks};
  }, signal, onchange);

  // Load what a view of this range, `width` pixels wide, shows.
  function load(start, end, width) {
    const whole = [0, duration];
    const view = end - start > duration * 0.95 ? null : [start, end];
    if (film) {
      const count = Math.min(MAX_TILES, Math.max(4, Math.ceil(width / TILE_PIXELS)));
      const tiles = ([from, to]) => ranges(from, to, 1, duration, {count, width: 160});
      film.setRanges(tiles(whole), view ? tiles(view) : []);
    }
    if (wave) {
      const peaks = ([from, to]) => {
        const parts = Math.ceil((to - from) / PART_SECONDS);
        return ranges(from, to, parts, duration, {points: Math.max(MIN_POINTS, Math.ceil(POINTS / parts))});
      };
      wave.setRanges(peaks(whole), view ? peaks(view) : []);
    }
  }

  return {film, wave, load};
}

// Return `parts` equal ranges with their query. The ends of the recording are not named: the server knows them exactly.
function ranges(start, end, parts, duration, values) {
  return Array.from({length: parts}, (_, number) => {
    const edge = (part) => Number((start + ((end - start) * part) / parts).toFixed(3));
    const [from, to] = [edge(number), Math.min(duration, edge(number + 1))];
    const range = {start: from > 0 ? from : undefined, end: to < duration ? to : undefined};
    return {key: JSON.stringify([from, to, values]), from, to, values: {...range, ...values}};
  });
}
