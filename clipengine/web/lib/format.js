// Formatting of times, sizes and states. Times look as in the command line: 62.5 is 1:02.500.

import {formatNumber, language, locale, plural, t} from "./texts.js";

/**
 * @param {number} seconds
 * @param {number} [digits] after the decimal point
 */
export function formatTime(seconds, digits = 3) {
  const scale = 10 ** digits;
  const ticks = Math.round(Math.max(0, seconds) * scale);
  const whole = Math.floor(ticks / scale);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  const tail = digits ? `.${String(ticks % scale).padStart(digits, "0")}` : "";
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}${tail}` : `${minutes}:${rest}${tail}`;
}

/**
 * Return the length of a clip: with tenths if it is shorter than ten seconds.
 *
 * @param {number} seconds
 */
export const formatLength = (seconds) => formatTime(seconds, seconds < 9.95 ? 1 : 0);

/**
 * Return the length of a clip as it was requested, in seconds.
 *
 * @param {Pick<Clip, "parts" | "output" | "start_seconds" | "end_seconds">} clip
 */
export function requestedSeconds({parts, output, ...whole}) {
  const seconds = (parts || [whole]).reduce((sum, part) => sum + part.end_seconds - part.start_seconds, 0);
  return seconds / (output?.speed || 1);
}

/**
 * Return the seconds of a clip: as it is, or as it was requested while it is not ready.
 *
 * @param {Clip} clip
 */
export const lengthOf = (clip) => (clip.result ? clip.result.duration_seconds : requestedSeconds(clip));

/**
 * Return the range of a clip, or the number of its parts and their length.
 *
 * @param {Clip} clip
 */
export function rangeOf(clip) {
  if (clip.parts && clip.parts.length > 1) return `${plural(clip.parts.length, "{count} part", "{count} parts")} · ${formatLength(lengthOf(clip))}`;
  return `${formatTime(clip.start_seconds)} – ${formatTime(clip.end_seconds)}`;
}

/**
 * Return "90.5", "1:02.5" or "1:02:03.5" as seconds, or null.
 *
 * @param {string} text
 */
export function parseTime(text) {
  const match = /^(?:(?:(\d+):)?(\d{1,2}):)?(\d+)(\.\d+)?$/.exec(text.trim().replace(",", "."));
  if (!match) return null;
  const [, hours, minutes, seconds, fraction] = match;
  if (minutes !== undefined && Number(seconds) >= 60) return null;
  if (hours !== undefined && Number(minutes) >= 60) return null;
  return Number(hours || 0) * 3600 + Number(minutes || 0) * 60 + Number(seconds) + Number(fraction || 0);
}

/** @param {number} count */
export function formatBytes(count) {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? formatNumber(value, 1) : Math.round(value)} ${units[unit]}`;
}

/**
 * Return a function that formats sizes in one unit, that of the largest.
 *
 * @param {number} most
 */
export function bytesFormat(most) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, most)) / 3)));
  return (/** @type {number} */ count) => {
    const value = count / 1000 ** step;
    if (count && value < 0.05) return `< ${formatNumber(0.1, 1)} ${units[step]}`; // it is not nothing
    return `${formatNumber(value, step && count ? 1 : 0)} ${units[step]}`;
  };
}

/**
 * Return how long something takes, roughly: "45 sec", "3 min", "2.5 hr".
 *
 * @param {number} seconds
 */
export function formatLeft(seconds) {
  const [value, unit, digits] =
    seconds < 57 ? [Math.max(5, Math.ceil(seconds / 5) * 5), "second", 0] : seconds < 5400 ? [seconds / 60, "minute", 0] : [seconds / 3600, "hour", 1];
  return value.toLocaleString(locale, {style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits});
}

const RELATIVE = new Intl.RelativeTimeFormat(language, {numeric: "auto", style: "short"});
/** @type {[number, Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86400, "hour", 3600],
  [30 * 86400, "day", 86400],
];

/** @param {string} stamp */
export function formatAge(stamp) {
  const seconds = (Date.parse(stamp) - Date.now()) / 1000;
  if (Math.abs(seconds) < 10) return t("now");
  for (const [limit, unit, size] of STEPS) {
    if (Math.abs(seconds) < limit) return RELATIVE.format(Math.round(seconds / size), unit);
  }
  return new Date(stamp).toLocaleDateString(locale, {year: "numeric", month: "short", day: "numeric"});
}

/**
 * Return the day of a time, with the year if it is not this one.
 *
 * @param {string} stamp
 */
export function formatDay(stamp) {
  const day = new Date(stamp);
  const year = day.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return day.toLocaleDateString(locale, {weekday: "short", day: "numeric", month: "short", year});
}

/**
 * Return a day and a time of day, such as of an expiry.
 *
 * @param {string} stamp
 */
export const formatUntil = (stamp) => new Date(stamp).toLocaleString(locale, {dateStyle: "medium", timeStyle: "short", hourCycle: "h23"});

const STAMP = new Intl.DateTimeFormat(locale, {dateStyle: "medium", timeStyle: "medium", hourCycle: "h23"}); // made once, for long tables

/**
 * Return a day and a time of day with seconds, such as of an entry of a log.
 *
 * @param {string} stamp
 */
export const formatStamp = (stamp) => STAMP.format(Date.parse(stamp));

/**
 * Return a time of day. All clocks of the page count to 24, as the one of the timeline.
 *
 * @param {string | number} stamp
 * @param {{seconds?: boolean}} [options]
 */
export const formatClock = (stamp, {seconds = false} = {}) =>
  new Date(stamp).toLocaleTimeString(locale, {hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23"});

const DAY_MS = 24 * 3600 * 1000;

/**
 * Return the group of a list to which a time belongs: today, yesterday, the last seven days, or a month.
 *
 * @param {string} stamp
 */
export function dayGroup(stamp) {
  const [day, today] = [new Date(stamp), new Date()];
  const ago = Math.round((today.setHours(0, 0, 0, 0) - new Date(stamp).setHours(0, 0, 0, 0)) / DAY_MS);
  if (ago <= 0) return t("Today");
  if (ago === 1) return t("Yesterday");
  return ago < 7 ? t("Last 7 days") : day.toLocaleDateString(locale, {month: "long", year: "numeric"});
}

/**
 * Return the time of day of a row that is in the group of its day, or the day.
 *
 * @param {string} stamp
 */
export function formatMoment(stamp) {
  const day = new Date(stamp);
  if (new Date().setHours(0, 0, 0, 0) - new Date(stamp).setHours(0, 0, 0, 0) <= DAY_MS) return formatClock(stamp);
  return day.toLocaleDateString(locale, {day: "numeric", month: "short"});
}

/**
 * Return the name, or the last folder and file name of the key: many keys end with the same file name.
 *
 * @param {Pick<Recording, "name" | "bucket_path">} recording
 */
export function titleOf(recording) {
  return recording.name || recording.bucket_path.split("/").slice(-2).join("/");
}

/**
 * Return the title as [folder, "/" and file name] if it comes from the key, else as ["", name].
 *
 * @param {Pick<Recording, "name" | "bucket_path">} recording
 * @returns {[folder: string, name: string]}
 */
export function titleParts(recording) {
  const title = titleOf(recording);
  const slash = recording.name ? 0 : Math.max(0, title.lastIndexOf("/"));
  return [title.slice(0, slash), title.slice(slash)];
}

/** @param {string} tag */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames(language, {type: "language"}).of(tag) ?? tag;
  } catch {
    return tag; // valid in BCP 47, but not for the browser
  }
}

/**
 * Return the names of languages, in alphabetical order.
 *
 * @param {string[]} tags
 */
export const languageChoices = (tags) => tags.map((tag) => ({tag, name: languageName(tag)})).sort((a, b) => a.name.localeCompare(b.name, locale));

/**
 * Return text without bidirectional control characters, for places where it cannot be isolated by markup.
 *
 * @param {string} text
 */
export function stripBidi(text) {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
}

/**
 * Return [width, height] after rotation.
 *
 * @param {Pick<Video, "width" | "height" | "rotation">} video
 */
export function displaySize({width, height, rotation}) {
  return rotation % 180 ? [height, width] : [width, height];
}

/** @param {Recording} recording */
export function mediaSummary(recording) {
  const {media} = recording;
  if (!media) return "";
  const parts = [];
  if (media.video) {
    const [width, height] = displaySize(media.video);
    parts.push(
      `${width}×${height}`,
      media.video.codec,
      media.video.variable_rate ? t("variable rate") : t("{rate} fps", {rate: media.video.fps.toLocaleString(locale)}),
    );
  }
  if (media.audio.length) parts.push(media.audio.length > 1 ? plural(media.audio.length, "{count} audio track", "{count} audio tracks") : media.audio[0].codec);
  return parts.join(" · ");
}

const SOON_MS = 10_000; // estimates are rougher than that

/**
 * Return where a queued clip is in the queue, and when it is likely to start and to be ready.
 *
 * @param {QueuePlace | null | undefined} queue
 */
export function placeInQueue(queue) {
  if (!queue) return "";
  if (queue.blocked) return t("Waits for a newer version of the engine");
  const place = queue.position === 1 ? t("Next in the queue") : t("Place {position} in the queue", {position: queue.position});
  if (!queue.estimated_end_at || Date.parse(queue.estimated_end_at) - Date.now() < SOON_MS) return place;
  return t("{place} · starts {start}, ready {end}", {
    place,
    start: formatAge(queue.estimated_start_at ?? queue.estimated_end_at),
    end: formatAge(queue.estimated_end_at),
  });
}

/**
 * Return the same in few words, for a line of a row: the time first, as the end may be cut off.
 *
 * @param {QueuePlace | null | undefined} queue
 */
export function shortPlace(queue) {
  if (!queue) return "";
  if (queue.position === 1) return t("Next in the queue");
  const place = t("place {position}", {position: queue.position});
  const start = queue.estimated_start_at;
  return start && Date.parse(start) - Date.now() >= SOON_MS ? `${formatAge(start)} · ${place}` : place;
}

/**
 * Return how long a clip waits for its recording at most.
 *
 * @param {Pick<Clip, "wait_until">} clip
 */
export const waitOf = ({wait_until: until}) => (until ? t("Until {time} at most", {time: formatMoment(until)}) : "");

const STEP_WORDS = {
  waiting: t("Waiting for the recording"),
  queued: t("Queued"),
  reading: t("Reading"),
  encoding: t("Encoding"),
  verifying: t("Verifying"),
  uploading: t("Uploading"),
};

/** @param {Clip} clip */
export function clipState(clip) {
  if (clip.status === "complete") return {text: t("Ready"), kind: "good"};
  if (clip.status === "failed") {
    return clip.error && clip.error.code === "cancelled" ? {text: t("Cancelled"), kind: ""} : {text: t("Failed"), kind: "bad"};
  }
  return {text: STEP_WORDS[clip.step ?? "queued"], kind: clip.step === "queued" || clip.step === "waiting" ? "" : "busy"};
}
