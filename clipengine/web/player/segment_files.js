// Files of segments, with the rules of the command line (clipengine/clips/range_file.py): CSV with a header
// (label,start,end) or without, the CSV of LosslessCut (start,end,label), and edit decision lists (edl.js). Pure.

import {parseTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {isEdl, isSkipList, parseEdl, parseSkipList} from "./edl.js";
import {endFault, fault, pastFault, timeFault} from "./segment_faults.js";

/** @import {Segment} from "./segments.js" */
/** @typedef {Segment & {line: number}} FoundRange */
/** @typedef {{found: FoundRange[], notes: string[]}} ParsedFile */
/** @typedef {{duration: number, rate: number | null}} FileContext of the recording: seconds, and frames per second */
/** @typedef {{line: number, cells: string[], delimiter: string}} Row */

export const MAX_FILE_BYTES = 1_000_000;
const MAX_LINE = 10_000;
const MAX_TIME = 40;
const MAX_LABEL = 200;
const [LABELS, STARTS, ENDS] = [
  ["label", "name", "title"],
  ["start", "start_seconds"],
  ["end", "end_seconds"],
];
const END_TOLERANCE_SECONDS = 1; // as in the API
const TIME = /^[\d:]+(\.\d*)?$/;

/**
 * Return {segments: [{label, start, end}], notes} of the bytes of a file; the notes say what was left out. `recording`
 * is {duration, rate}: seconds, and frames per second or null. Throws an Error that names the line of the first fault.
 *
 * @param {ArrayBuffer} bytes
 * @param {FileContext} recording
 * @returns {{segments: Segment[], notes: string[]}}
 */
export function parseSegments(bytes, recording) {
  const lines = textLines(bytes);
  const parse = isEdl(lines) ? parseEdl : isSkipList(lines) ? parseSkipList : parseCsv;
  const {found, notes} = parse(lines, recording);
  if (!found.length) throw new Error(t("The file has no ranges."));
  return {segments: found.map((each) => checked(each, recording.duration)), notes};
}

/** @param {ArrayBuffer} bytes */
function textLines(bytes) {
  if (bytes.byteLength > MAX_FILE_BYTES) throw new Error(t("The file is larger than 1 MB."));
  let text;
  try {
    text = new TextDecoder("utf-8", {fatal: true}).decode(bytes);
  } catch {
    throw new Error(t("It is not UTF-8. Save the file as UTF-8."));
  }
  const lines = text.split(/\r\n|\r|\n/);
  const long = lines.findIndex((line) => line.length > MAX_LINE);
  if (long >= 0) throw fault(long + 1, t("it has {count} characters, at most {most} are allowed", {count: String(lines[long].length), most: String(MAX_LINE)}));
  return lines;
}

/**
 * @param {FoundRange} range
 * @param {number} duration
 * @returns {Segment}
 */
function checked({line, label, start, end}, duration) {
  if (end <= start) throw endFault(line, start, end);
  if (start >= duration || end > duration + END_TOLERANCE_SECONDS) throw pastFault(line, start, end, duration);
  const name = label.trim().replace(/\s+/g, " ");
  if ([...name].length > MAX_LABEL)
    throw fault(line, t("label has {count} characters, at most {most} are allowed", {count: String([...name].length), most: String(MAX_LABEL)}));
  if (/\p{Cc}/u.test(name)) throw fault(line, t("label contains control characters"));
  return {label: name, start, end: Math.min(end, duration)};
}

// ---- CSV

/**
 * @param {string[]} lines
 * @param {FileContext} recording
 * @returns {ParsedFile}
 */
function parseCsv(lines, {duration}) {
  const rows = csvRows(lines.join("\n"));
  if (!rows.length) return {found: [], notes: []};
  const names = rows[0].cells.map((cell) => cell.trim().toLowerCase());
  const [label, start, end] = [LABELS, STARTS, ENDS].map((known) => names.indexOf(known.find((name) => names.includes(name)) ?? known[0]));
  if (start < 0 || end < 0) {
    const columns = columnsOf(rows);
    return {found: rows.map((row) => rangeOf(row, columns, duration)), notes: []};
  }
  const unused = names.filter((name, at) => name && ![label, start, end].includes(at));
  return {
    found: rows.slice(1).map((row) => rangeOf(row, [label, start, end], duration)),
    notes: unused.length ? [t("the columns {names} are not used", {names: unused.join(", ").slice(0, 200)})] : [],
  };
}

/**
 * Return the columns of label, start and end of a file without a header.
 *
 * @param {Row[]} rows
 */
function columnsOf(rows) {
  /** @param {Row} row */
  const isLast = (row) => isTime(row, 0, true) && isTime(row, 1, true);
  const [last, first] = [rows.every(isLast), rows.every((row) => isTime(row, 1) && isTime(row, 2))];
  if (first && last) throw fault(rows[0].line, t("start,end,label or label,start,end? Add a header line that says which it is"));
  if (first) return [0, 1, 2];
  if (last) return [2, 0, 1];
  const wrong = rows.find((row) => !isLast(row) && !isTime(row, 1));
  if (wrong) throw fault(wrong.line, t("it must be start,end,label or label,start,end, with times such as 90.5 or 1:02.5"));
  throw new Error(t("Some lines are start,end,label and others label,start,end."));
}

/**
 * Return the text of a time in a row. Files with semicolons have decimal commas.
 *
 * @param {Pick<Row, "cells" | "delimiter">} row
 * @param {number} column
 */
function timeText({cells, delimiter}, column) {
  const text = (cells[column] || "").trim();
  return delimiter === ";" ? text.replaceAll(",", ".") : text;
}

/**
 * @param {Pick<Row, "cells" | "delimiter">} row
 * @param {number} column
 * @param {boolean} [empty]
 */
function isTime(row, column, empty = false) {
  const text = timeText(row, column);
  return text ? TIME.test(text) : empty && column < row.cells.length;
}

/**
 * @param {Row} row
 * @param {number[]} columns
 * @param {number} duration
 * @returns {FoundRange}
 */
function rangeOf(row, [label, start, end], duration) {
  const {line, cells} = row;
  if (cells.length <= Math.max(start, end)) throw fault(line, t("it has no start and end"));
  /**
   * @param {number} column
   * @param {number} otherwise
   */
  const time = (column, otherwise) => {
    const text = timeText(row, column);
    if (!text) return otherwise;
    const value = text.length <= MAX_TIME && TIME.test(text) ? parseTime(text) : null;
    if (value === null) throw timeFault(line, text);
    return value;
  };
  return {line, label: cells[label] || "", start: time(start, 0), end: time(end, duration)};
}

/**
 * Return a semicolon if the first line has no comma, or only commas in its times: 1,5;2,5;Goal.
 *
 * @param {string} first
 */
function delimiterOf(first) {
  const row = {cells: first.split(";"), delimiter: ";"};
  const times = row.cells.filter((_, column) => isTime(row, column, true)).length;
  return row.cells.length > 1 && (!first.includes(",") || times > 1) ? ";" : ",";
}

/**
 * Return the rows that are not empty, with the numbers of their lines.
 *
 * @param {string} text
 */
function csvRows(text) {
  const delimiter = delimiterOf(text.split("\n").find((line) => line.trim()) || "");
  const rows = [];
  let line = 1;
  /** @type {Row} */
  let row = {line, cells: [], delimiter};
  const cells = new RegExp(`(?:"((?:[^"]|"")*)"|([^"${delimiter}\\n][^${delimiter}\\n]*)?)(${delimiter}|\\n|$)`, "y");
  while (cells.lastIndex <= text.length) {
    const at = cells.lastIndex;
    const match = cells.exec(text);
    if (!match) throw fault(line, t("it is not CSV: a quotation mark is not closed, or text follows it"));
    row.cells.push(match[1] === undefined ? match[2] || "" : match[1].replaceAll('""', '"'));
    line += match[0].split("\n").length - 1;
    if (match[3] === delimiter) continue;
    if (row.cells.some((cell) => cell.trim())) rows.push(row);
    row = {line, cells: [], delimiter};
    if (match[3] === "" || at === text.length) break;
  }
  return rows;
}

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
