// The options of new clips that matter most: picture format, speed, audio, size of the file, subtitles.

import {h, icon} from "../lib/dom.js";
import {languageName} from "../lib/format.js";
import {t} from "../lib/texts.js";

/** @typedef {Sent<"post", `/v1/recordings/${string}/clips`>} ClipRequest */
/** @typedef {NonNullable<ClipRequest["output"]>} ClipOutput */
/** @typedef {NonNullable<ClipRequest["subtitles"]>["mode"]} SubtitleMode */

/** @type {[value: string, text: string][]} */
const ASPECTS = [
  ["", t("As recorded")],
  ["16:9", t("16:9 wide")],
  ["9:16", t("9:16 upright")],
  ["1:1", t("1:1 square")],
];
/** @type {[value: string, text: string][]} */
const FITS = [
  ["crop", t("Crop the sides")],
  ["pad", t("Black bars")],
  ["blur", t("Blurred bars")],
];
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4, 8, 16];
/** @type {[value: string, text: string][]} */
const AUDIO = [
  ["", t("As recorded")],
  ["-14", t("−14 LUFS, online video")],
  ["-16", t("−16 LUFS, podcast")],
  ["-23", t("−23 LUFS, broadcast")],
  ["mute", t("Muted")],
];
/** @type {[value: string, text: string][]} */
const SUBTITLES = [
  ["keep", t("Keep")],
  ["none", t("None")],
]; // and "burn" with a language
const MB = 1e6;
const [LEAST_MB, MOST_MB] = [0.01, 1e6];

/**
 * @param {[value: string, text: string][]} options
 * @param {string} chosen
 */
const select = (options, chosen) =>
  h(
    "select",
    {},
    options.map(([value, text]) => h("option", {value, selected: value === chosen}, text)),
  );
/**
 * @param {string} text
 * @param {HTMLElement} control
 * @param {boolean} [shown]
 */
const field = (text, control, shown = true) => h("label", {class: "field", hidden: !shown}, text, control);

/**
 * `values(seconds)` returns `output` and `subtitles` of a request for a clip of so many seconds of the recording. It throws
 * an Error if an option cannot be used.
 *
 * @param {ReadyRecording} recording
 * @param {TranscriptObject[]} transcripts
 */
export function outputOptions({media}, transcripts) {
  const [video, audio] = [Boolean(media.video), media.audio.length > 0];
  const aspect = select(ASPECTS, "");
  const fit = select(FITS, "crop");
  const speed = select(
    SPEEDS.map((each) => [String(each), `${each}×`]),
    "1",
  );
  const sound = select(AUDIO, "");
  const size = h("input", {inputmode: "decimal", autocomplete: "off", placeholder: t("No limit")});
  /** @type {[value: string, text: string][]} */
  const burnt = video ? transcripts.map(({language}) => [`burn ${language}`, t("In the picture, {language}", {language: languageName(language)})]) : [];
  const subtitles = select([...SUBTITLES, ...burnt], "keep");
  const summary = h("span", {class: "muted clip"});
  const reset = h("button", {type: "button", class: "quiet", hidden: true, onclick: () => clear()}, t("Reset"));
  const controls = [aspect, fit, speed, sound, size, subtitles];
  const node = h(
    "details",
    {class: "options"},
    h("summary", {}, icon("chevron"), t("Options"), summary),
    h(
      "div",
      {class: "row wrap fields"},
      field(t("Picture"), aspect, video),
      field(t("Sides"), fit, video),
      field(t("Speed"), speed),
      field(t("Audio"), sound, audio),
      field(t("Largest size (MB)"), size, video),
      field(t("Subtitles"), subtitles, video || transcripts.length > 0),
      reset,
    ),
  );

  /**
   * @param {number} seconds
   * @returns {Pick<ClipRequest, "output" | "subtitles">}
   */
  function values(seconds) {
    const tempo = Number(speed.value);
    const limit = size.value.trim();
    const megabytes = Number(limit.replace(",", "."));
    const wrong = Number.isNaN(megabytes)
      ? t("“{text}” is not a number", {text: limit})
      : limit && !(megabytes >= LEAST_MB && megabytes <= MOST_MB)
        ? t("it must be between {least} and {most} MB", {least: LEAST_MB, most: MOST_MB})
        : "";
    if (wrong) {
      node.open = true;
      size.focus();
      throw new Error(t("Largest size: {problem}.", {problem: wrong}));
    }
    /** @type {ClipOutput} */
    const output = {
      ...(aspect.value ? {aspect: aspect.value, fit: /** @type {ClipOutput["fit"]} */ (fit.value)} : {}),
      ...(tempo === 1 ? {} : {speed: tempo}),
      ...(sound.value === "mute" ? {mute: [[0, Math.ceil(seconds / tempo) + 1]]} : sound.value ? {loudness_lufs: Number(sound.value)} : {}),
      ...(limit ? {max_bytes: Math.round(megabytes * MB)} : {}),
    };
    const [mode, language] = /** @type {[SubtitleMode, string?]} */ (subtitles.value.split(" "));
    return {
      ...(Object.keys(output).length ? {output} : {}),
      ...(subtitles.value === "keep" ? {} : {subtitles: {mode, ...(language ? {language} : {})}}),
    };
  }

  function show() {
    fit.disabled = !aspect.value;
    const chosen = [
      aspect.value,
      speed.value !== "1" && `${speed.value}×`,
      sound.value && (sound.value === "mute" ? t("muted") : `${sound.value} LUFS`),
      size.value.trim() && t("at most {size} MB", {size: size.value.trim()}),
      subtitles.value === "none" ? t("no subtitles") : subtitles.value !== "keep" && t("subtitles in the picture"),
    ].filter(Boolean);
    summary.textContent = chosen.join(" · ");
    reset.hidden = !chosen.length;
  }

  function clear() {
    for (const control of [aspect, sound, size]) control.value = "";
    fit.value = "crop";
    speed.value = "1";
    subtitles.value = "keep";
    show();
    aspect.focus();
  }

  for (const control of controls) control.addEventListener("input", show);
  show();
  return {node, values};
}
