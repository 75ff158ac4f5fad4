// Files of segments: CSV with a header (label,start,end), the CSV of LosslessCut (start,end,label without a header), and
// EDL (CMX 3600). Pure.

import {formatTime, parseTime} from "../lib/format.js";

export const MAX_FILE_BYTES = 1_000_000;
const MAX_LABEL = 200;
const LABEL_NAMES = ["label", "name", "title"];
const END_TOLERANCE_SECONDS = 1; // as in the API
const EDL_EVENT = /^\s*\d+\s+\S+\s+(\S+)\s+(?:C|D|W\d+|K\S*)\s+(?:\d+\s+)?(\d\d?:\d\d:\d\d[:;.,]\d+)\s+(\d\d?:\d\d:\d\d[:;.,]\d+)(?:\s|$)/i;
const EDL_NAME = /^\s*\*\s*FROM CLIP NAME:\s*(.+)$/i;

// Return the segments of a file as [{label, start, end}]. `recording` is {duration, rate}: seconds, and frames per second.
// Throws an Error that names the line of the first fault.
export function parseSegments(text, recording) {
  if (text.length > MAX_FILE_BYTES) throw new Error("The file is larger than 1 MB.");
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/);
  const found = lines.some((line) => EDL_EVENT.test(line)) ? parseEdl(lines, recording.rate) : parseCsv(lines.join("\n"));
  if (!found.length) throw new Error("The file has no segments.");
  return found.map((each) => checked(each, recording.duration));
}

function checked({line, label, start, end}, duration) {
  const fault = (text) => new Error(`Line ${line}: ${text}.`);
  const times = {start: start === "" ? 0 : start, end: end === "" ? duration : end};
  for (const [name, value] of Object.entries(times)) {
    times[name] = typeof value === "number" ? value : parseTime(value);
    if (times[name] === null) throw fault(`“${value}” is not a time; write 90.5 or 1:02.500`);
  }
  if (times.end > duration + END_TOLERANCE_SECONDS || times.start >= duration) throw fault(`the recording ends at ${formatTime(duration)}`);
  if (times.end <= times.start) throw fault("the end must be after the start");
  if (label.length > MAX_LABEL) throw fault(`the label has more than ${MAX_LABEL} characters`);
  return {label: label.trim(), start: times.start, end: Math.min(times.end, duration)};
}

// ---- CSV

function parseCsv(text) {
  const [first, ...rest] = csvRows(text);
  if (!first) return [];
  const names = first.cells.map((cell) => cell.trim().toLowerCase());
  const header = names.includes("start") && names.includes("end");
  const columns = header
    ? {label: names.findIndex((name) => LABEL_NAMES.includes(name)), start: names.indexOf("start"), end: names.indexOf("end")}
    : {label: 2, start: 0, end: 1};
  return (header ? rest : [first, ...rest]).map(({line, cells}) => {
    if (cells.length < 2) throw new Error(`Line ${line}: it must have a start and an end.`);
    const cell = (name) => (cells[columns[name]] || "").trim();
    return {line, label: cell("label"), start: cell("start"), end: cell("end")};
  });
}

// Return the rows that are not empty, with the numbers of their lines.
function csvRows(text) {
  const rows = [];
  let [row, line] = [{line: 1, cells: []}, 1];
  const cells = /(?:"((?:[^"]|"")*)"|([^",\n][^,\n]*)?)(,|\n|$)/y;
  while (cells.lastIndex <= text.length) {
    const at = cells.lastIndex;
    const match = cells.exec(text);
    if (!match) throw new Error(`Line ${line}: a quotation mark is not closed, or text follows it.`);
    row.cells.push(match[1] === undefined ? match[2] || "" : match[1].replaceAll('""', '"'));
    line += match[0].split("\n").length - 1;
    if (match[3] === ",") continue;
    if (row.cells.some((cell) => cell.trim())) rows.push(row);
    row = {line, cells: []};
    if (match[3] === "" || at === text.length) break;
  }
  return rows;
}

const csvCell = (text) => (/[",\n\r]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvTime = (seconds) => String(Number(seconds.toFixed(6)));

export function formatCsv(segments) {
  return ["label,start,end", ...segments.map(({label, start, end}) => [csvCell(label), csvTime(start), csvTime(end)].join(","))].join("\r\n") + "\r\n";
}

export function formatLosslessCut(segments) {
  return segments.map(({label, start, end}) => `${csvTime(start)},${csvTime(end)},${csvCell(label)}\n`).join("");
}

// ---- EDL

function parseEdl(lines, rate) {
  const events = [];
  let drop = false;
  lines.forEach((text, index) => {
    const line = index + 1;
    const [event, name] = [EDL_EVENT.exec(text), EDL_NAME.exec(text)];
    if (/^\s*FCM:/i.test(text)) drop = !/NON/i.test(text);
    if (name && events.length && !events.at(-1).label) events.at(-1).label = name[1].trim();
    if (event) events.push({line, label: "", track: event[1].toUpperCase(), start: timecodeSeconds(event[2], rate, drop, line), end: timecodeSeconds(event[3], rate, drop, line)});
  });
  // An audio event beside a video event of the same range is the same segment.
  const same = (one, other) => one.start === other.start && one.end === other.end;
  return events.filter((event, at) => !/^A/.test(event.track) || !events.some((other, there) => there !== at && same(event, other) && (!/^A/.test(other.track) || there < at)));
}

function timecodeSeconds(code, rate, drop, line) {
  const [hours, minutes, seconds, frames] = code.split(/[:;.,]/).map(Number);
  const nominal = Math.round(rate);
  if (minutes > 59 || seconds > 59 || frames >= nominal) throw new Error(`Line ${line}: ${code} is not a timecode at ${nominal} frames per second.`);
  const dropped = (drop || code.includes(";")) && nominal % 30 === 0 ? nominal / 15 : 0; // frame numbers that each minute skips, but every tenth
  const passed = hours * 60 + minutes;
  const count = (passed * 60 + seconds) * nominal + frames - dropped * (passed - Math.floor(passed / 10));
  return count / rate;
}

function timecode(seconds, rate) {
  const nominal = Math.round(rate);
  const count = Math.round(seconds * rate);
  const whole = Math.floor(count / nominal);
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60, count % nominal].map((part) => String(part).padStart(2, "0")).join(":");
}

// Times are rounded to frames. The segments follow each other on the record side.
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
