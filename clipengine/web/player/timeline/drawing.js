// Drawing of the lanes of the timeline on canvases: ruler, filmstrip, waveform, cues.

/** @import {ShownTimes} from "./shown_times.js" */
/** @import {FilmPiece, WavePiece} from "./previews.js" */
/** @import {Span} from "../segments/selection.js" */

const BAR_PIXELS = 2; // from one bar of the waveform to the next
const TICK_STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const HATCH_PIXELS = 8; // between two lines of a gap
const GAP_PIXELS = 2; // of a gap, at least
const TICK_PIXELS = 90;
const CUE_PIXELS = 56; // narrower cues have no room for text

/**
 * Each strip is an image of `count` tiles for the range from `from` to `to`. Later strips are drawn over earlier ones. The
 * picture of a tile is of the middle of its part: a tile of a coarser level than the view's is drawn there only.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {FilmPiece[]} strips
 * @param {Span} view
 * @param {number} level the seconds of a strip of the view's level
 */
export function drawFilm(canvas, strips, view, level) {
  const {context, width, height} = prepare(canvas);
  const scale = width / (view.end - view.start);
  for (const {from, to, count, image, seconds} of strips) {
    const part = (to - from) / count;
    const tile = image.width / count;
    for (let number = 0; number < count; number += 1) {
      const wide = seconds > level ? Math.min(part * scale, (tile / image.height) * height) : part * scale;
      const left = (from + (number + 0.5) * part - view.start) * scale - wide / 2;
      if (left > width || left + wide < 0) continue;
      drawTile(context, image, number * tile, tile, left, wide, height);
    }
  }
}

/**
 * Fill the width with a tile, cropped on both sides. A wide place repeats it.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {ImageBitmap} image
 * @param {number} x
 * @param {number} tile
 * @param {number} left
 * @param {number} wide
 * @param {number} height
 */
function drawTile(context, image, x, tile, left, wide, height) {
  const natural = (tile / image.height) * height;
  const copies = Math.max(1, Math.round(wide / natural));
  const each = wide / copies;
  for (let copy = 0; copy < copies; copy += 1) {
    const scale = Math.max(each / tile, height / image.height);
    const cropWidth = each / scale;
    const cropHeight = height / scale;
    context.drawImage(image, x + (tile - cropWidth) / 2, (image.height - cropHeight) / 2, cropWidth, cropHeight, left + copy * each, 0, each + 0.5, height);
  }
}

/**
 * Each wave has the peaks of equal parts of the range from `from` to `to`. The last one that covers a bar is used for it.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {WavePiece[]} waves
 * @param {Span} view
 * @param {Span[]} taken what is drawn in the colour of the accent, in order
 */
export function drawWave(canvas, waves, view, taken = []) {
  const {context, width, height, style} = prepare(canvas);
  const [plain, on] = [style.color, style.getPropertyValue("--wave-on")];
  const seconds = (view.end - view.start) / width; // per pixel
  let at = 0;
  for (let x = 0; x < width; x += BAR_PIXELS) {
    const time = view.start + x * seconds;
    while (at < taken.length && taken[at].end <= time) at += 1;
    const wave = waves.findLast(({from, to}) => from <= time && time < to);
    if (!wave) continue;
    const per = (wave.to - wave.from) / wave.peaks.length;
    const first = Math.floor((time - wave.from) / per);
    const after = Math.max(first + 1, Math.ceil((time + BAR_PIXELS * seconds - wave.from) / per));
    const peak = Math.max(...wave.peaks.slice(first, after));
    const high = Math.max(1, Math.sqrt(peak) * (height - 4));
    context.fillStyle = at < taken.length && time >= taken[at].start ? on : plain;
    context.fillRect(x, (height - high) / 2, 1.3, high);
  }
}

/**
 * Each cue is {start_seconds, end_seconds, text}.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Cue[]} cues
 * @param {Span} view
 */
export function drawCues(canvas, cues, view) {
  const {context, width, height, style} = prepare(canvas);
  const scale = width / (view.end - view.start);
  context.font = `12px ${style.fontFamily}`;
  context.textBaseline = "middle";
  for (const {start_seconds: start, end_seconds: end, text} of cues) {
    if (end <= view.start || start >= view.end) continue;
    const left = Math.max(0, (start - view.start) * scale);
    const wide = Math.max(1, (end - view.start) * scale - left - 1);
    context.fillStyle = style.getPropertyValue("--sunken");
    context.fillRect(left, 1, wide, height - 2);
    if (wide < CUE_PIXELS) continue;
    context.save();
    context.beginPath();
    context.rect(left, 0, wide - 3, height);
    context.clip();
    context.fillStyle = style.color;
    context.fillText(shortened(context, text.replaceAll("\n", " "), wide - 12), left + 6, height / 2 + 0.5);
    context.restore();
  }
}

/**
 * Return the pixels of a second at which half of the cues have room for text.
 *
 * @param {Cue[]} cues
 */
export function readablePixels(cues) {
  const lengths = cues.map(({start_seconds: start, end_seconds: end}) => end - start).sort((a, b) => a - b);
  return (CUE_PIXELS + 2) / (lengths[lengths.length >> 1] || 1);
}

/**
 * Return the text, or as many of its letters as fit into the width, and an ellipsis.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function shortened(context, text, width) {
  const whole = context.measureText(text).width;
  if (whole <= width) return text;
  return `${text.slice(0, Math.max(1, Math.floor((text.length * width) / whole) - 2)).trimEnd()}…`;
}

/**
 * Draw the parts of a recording without media, with what they are if there is room.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Span[]} gaps
 * @param {Span} view
 * @param {(gap: Span) => string[]} linesOf returns the lines of the text of a gap
 */
export function drawGaps(canvas, gaps, view, linesOf) {
  const {context, width, height, style} = prepare(canvas);
  const scale = width / (view.end - view.start);
  context.font = `12px ${style.fontFamily}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (const gap of gaps) {
    if (gap.end <= view.start || gap.start >= view.end) continue;
    const left = Math.max(0, (gap.start - view.start) * scale);
    const wide = Math.max(GAP_PIXELS, Math.min(width, (gap.end - view.start) * scale) - left);
    context.save();
    context.beginPath();
    context.rect(left, 0, wide, height);
    context.clip();
    context.fillStyle = style.getPropertyValue("--sunken");
    context.fillRect(left, 0, wide, height);
    context.strokeStyle = style.getPropertyValue("--line-strong");
    context.globalAlpha = 0.45;
    context.beginPath();
    for (let x = left - height - (left % HATCH_PIXELS); x < left + wide; x += HATCH_PIXELS) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.stroke();
    context.globalAlpha = 1;
    drawLabel(context, linesOf(gap), {left, wide, height}, style);
    context.restore();
  }
}

/**
 * Write lines in the middle of a place, or nothing if they do not fit.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string[]} lines
 * @param {{left: number, wide: number, height: number}} place
 * @param {CSSStyleDeclaration} style
 */
function drawLabel(context, lines, {left, wide, height}, style) {
  const broad = Math.max(...lines.map((line) => context.measureText(line).width)) + 16;
  if (broad + 8 > wide) return;
  const [middle, centre, high] = [left + wide / 2, height / 2, lines.length * 16 + 6];
  context.fillStyle = style.getPropertyValue("--surface");
  context.beginPath();
  context.roundRect(middle - broad / 2, centre - high / 2, broad, high, 4);
  context.fill();
  context.fillStyle = style.color;
  for (const [at, line] of lines.entries()) context.fillText(line, middle, centre + (at - (lines.length - 1) / 2) * 16);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Span} view
 * @param {ShownTimes} times
 */
export function drawRuler(canvas, view, times) {
  const {context, width, height, style} = prepare(canvas);
  const span = view.end - view.start;
  const step = TICK_STEPS.find((each) => (each / span) * width >= TICK_PIXELS) || 7200;
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
  context.font = `12px ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "top";
  const origin = times.origin(view.start); // round times of day, or of the recording
  for (let number = Math.floor((view.start - origin) / step); origin + number * step <= view.end; number += 1) {
    for (let part = 0; part < 5; part += 1) {
      const x = Math.round(((origin + (number + part / 5) * step - view.start) / span) * width);
      context.globalAlpha = part ? 0.35 : 0.8;
      context.fillRect(x, height - (part ? 4 : 8), 1, part ? 4 : 8);
    }
    context.globalAlpha = 1;
    const left = ((origin + number * step - view.start) / span) * width + 4;
    const text = times.format(origin + number * step, digits);
    if (left >= 0 && left + context.measureText(text).width <= width) context.fillText(text, left, 2);
  }
}

/** @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new TypeError("the canvas has no context");
  return context;
}

/**
 * Return the cleared context of a canvas, with as many pixels as the screen has there, its size on the page and its style.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function prepare(canvas) {
  const {width, height} = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = contextOf(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return {context, width, height, style: getComputedStyle(canvas)};
}
