// Files of segments for other programs: CSV with a header, the CSV of LosslessCut, and edit decision lists. Pure.

/** @import {Segment} from "./segments.js" */

/** @param {string} text */
const csvCell = (text) => (/[",\n\r]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
/** @param {number} seconds */
const csvTime = (seconds) => String(Number(seconds.toFixed(6)));

/** @param {Segment[]} segments */
export function formatCsv(segments) {
  return ["label,start,end", ...segments.map(({label, start, end}) => [csvCell(label), csvTime(start), csvTime(end)].join(","))].join("\r\n") + "\r\n";
}

/** @param {Segment[]} segments */
export function formatLosslessCut(segments) {
  return segments.map(({label, start, end}) => `${csvTime(start)},${csvTime(end)},${csvCell(label)}\n`).join("");
}

// ---- CMX 3600

/**
 * @param {number} seconds
 * @param {number} rate
 */
function timecode(seconds, rate) {
  const nominal = Math.round(rate);
  const count = Math.round(seconds * rate);
  const whole = Math.floor(count / nominal);
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60, count % nominal].map((part) => String(part).padStart(2, "0")).join(":");
}

/**
 * Times are rounded to frames. The segments follow each other on the record side.
 *
 * @param {Segment[]} segments
 * @param {string} title
 * @param {number} rate
 */
export function formatEdl(segments, title, rate) {
  let recorded = 0;
  const events = segments.map(({label, start, end}, index) => {
    const from = recorded;
    recorded += end - start;
    const times = [start, end, from, recorded].map((each) => timecode(each, rate)).join(" ");
    return `${String(index + 1).padStart(3, "0")}  AX       AA/V  C        ${times}\n${label ? `* FROM CLIP NAME: ${label}\n` : ""}`;
  });
  return `TITLE: ${title.replace(/\s+/g, " ")}\nFCM: NON-DROP FRAME\n\n${events.join("\n")}`;
}
