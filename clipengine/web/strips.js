// What lies on the timeline's tracks: a filmstrip and a waveform, the whole at first, then finer where it is zoomed.

import {get, query} from "./api.js";

const TILE_PIXELS = 120;
const MAX_TILES = 60;
const POINTS = 1200;

// `ondraw()` whenever more has come, and once all that was asked for is there. `want(start, end, width)` asks for what a view of it shows.
export function strips(recording, signal, ondraw) {
  const base = `/v1/recordings/${recording.recording_id}`;
  const {duration_seconds: duration, media} = recording;
  const films = []; // coarse first: later ones are drawn above
  const waves = [];
  let wanted = "";
  let asked = 0; // and not there yet
  const arrived = () => {
    asked -= 1;
    if (!signal.aborted) ondraw();
  };

  function want(start, end, width) {
    const whole = end - start > duration * 0.95;
    const part = whole ? {} : {start: start.toFixed(3), end: end.toFixed(3)};
    const key = JSON.stringify([part, Math.round(width / TILE_PIXELS)]);
    if (key === wanted) return;
    wanted = key;
    const from = whole ? 0 : Number(part.start);
    const to = whole ? duration : Math.min(duration, Number(part.end));
    if (media.video) film(part, from, to, Math.min(MAX_TILES, Math.max(4, Math.ceil(width / TILE_PIXELS))), whole);
    if (media.audio.length) wave(part, from, to, whole);
  }

  function film(part, from, to, count, whole) {
    const image = new Image();
    asked += 1;
    image.addEventListener("error", arrived);
    signal.addEventListener("abort", () => image.removeAttribute("src"));
    image.addEventListener("load", () => {
      keep(films, {from, to, count, image}, whole);
      arrived();
    });
    image.src = query(`${base}/filmstrip`, {...part, count, width: 160});
  }

  async function wave(part, from, to, whole) {
    asked += 1;
    try {
      const {peaks} = await get(query(`${base}/waveform`, {...part, points: POINTS}), {signal});
      keep(waves, {from, to, peaks}, whole);
    } catch (error) {
      if (error.name !== "AbortError") console.warn("no waveform:", error.message);
    }
    arrived();
  }

  function keep(found, next, whole) {
    if (whole) found.splice(0, found.length, next);
    else found.splice(1, found.length, next);
    found.sort((a, b) => b.to - b.from - (a.to - a.from));
  }

  return {films, waves, want, busy: () => !wanted || asked > 0};
}

export function drawFilms(canvas, films, view) {
  const pen = prepared(canvas);
  const {width, height} = canvas.getBoundingClientRect();
  const scale = width / (view.end - view.start);
  for (const {from, to, count, image} of films) {
    const part = (to - from) / count;
    const tile = image.naturalWidth / count;
    for (let at = 0; at < count; at += 1) {
      const left = (from + at * part - view.start) * scale;
      const wide = part * scale;
      if (left > width || left + wide < 0) continue;
      drawCover(pen, image, at * tile, tile, left, wide, height);
    }
  }
}

// The tile fills its place; what does not fit is cut off on both sides. A wide place repeats it.
function drawCover(pen, image, x, tile, left, wide, height) {
  const natural = (tile / image.naturalHeight) * height;
  const copies = Math.max(1, Math.round(wide / natural));
  const each = wide / copies;
  for (let copy = 0; copy < copies; copy += 1) {
    const scale = Math.max(each / tile, height / image.naturalHeight);
    const cutWide = each / scale;
    const cutHigh = height / scale;
    pen.drawImage(image, x + (tile - cutWide) / 2, (image.naturalHeight - cutHigh) / 2, cutWide, cutHigh, left + copy * each, 0, each + 0.5, height);
  }
}

export function drawWaves(canvas, waves, view) {
  const pen = prepared(canvas);
  const {width, height} = canvas.getBoundingClientRect();
  const style = getComputedStyle(canvas);
  pen.fillStyle = style.color;
  const middle = height / 2;
  const span = view.end - view.start;
  const finest = [...waves].reverse().find((wave) => wave.from <= view.start + span * 0.02 && wave.to >= view.end - span * 0.02) || waves[0];
  if (!finest) return;
  const {from, to, peaks} = finest;
  const per = (to - from) / peaks.length;
  for (let x = 0; x < width; x += 2) {
    const time = view.start + (x / width) * span;
    const first = Math.max(0, Math.floor((time - from) / per));
    const last = Math.min(peaks.length, Math.max(first + 1, Math.ceil((time + (2 / width) * span - from) / per)));
    let peak = 0;
    for (let at = first; at < last; at += 1) peak = Math.max(peak, peaks[at]);
    const high = Math.max(1, Math.sqrt(peak) * (height - 4));
    pen.fillRect(x, middle - high / 2, 1.3, high);
  }
}

export function prepared(canvas) {
  const {width, height} = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}
