// Errors about a line of a file of segments, in the words of the command line. Pure.

const shortNumber = (value) => String(Number(value.toPrecision(6)));

export const fault = (line, text) => new Error(`Line ${line}: ${text}.`);
export const timeFault = (line, text) => fault(line, `“${text.slice(0, 40)}” is not a time; use seconds (90.5) or a clock time (1:02:03.5)`);
export const endFault = (line, start, end) => fault(line, `the end (${shortNumber(end)} s) is not after the start (${shortNumber(start)} s)`);
export const pastFault = (line, start, end, duration) => fault(line, `${shortNumber(start)} to ${shortNumber(end)} s is past the recording's end at ${shortNumber(duration)} s`);
