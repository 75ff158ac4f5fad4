// Errors about a line of a file of segments, in the words of the command line. Pure.

import {t} from "../lib/texts.js";

/** @param {number} value */
const shortNumber = (value) => String(Number(value.toPrecision(6)));

/**
 * @param {number} line
 * @param {string} problem
 */
export const fault = (line, problem) => new Error(t("Line {line}: {problem}.", {line: String(line), problem}));
/**
 * @param {number} line
 * @param {string} text
 */
export const timeFault = (line, text) => fault(line, t("“{text}” is not a time; use seconds (90.5) or a clock time (1:02:03.5)", {text: text.slice(0, 40)}));
/**
 * @param {number} line
 * @param {number} start
 * @param {number} end
 */
export const endFault = (line, start, end) =>
  fault(line, t("the end ({end} s) is not after the start ({start} s)", {start: shortNumber(start), end: shortNumber(end)}));
/**
 * @param {number} line
 * @param {number} start
 * @param {number} end
 * @param {number} duration
 */
export const pastFault = (line, start, end, duration) =>
  fault(
    line,
    t("{start} to {end} s is past the recording's end at {duration} s", {start: shortNumber(start), end: shortNumber(end), duration: shortNumber(duration)}),
  );
