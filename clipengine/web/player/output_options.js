// The options of new clips that matter most: picture format, speed, audio, size of the file, subtitles.

import {h, icon} from "../lib/dom.js";
import {languageName} from "../lib/format.js";

const ASPECTS = [["", "As recorded"], ["16:9", "16:9 wide"], ["9:16", "9:16 upright"], ["1:1", "1:1 square"]];
const FITS = [["crop", "Crop the sides"], ["pad", "Black bars"], ["blur", "Blurred bars"]];
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4, 8, 16];
const AUDIO = [["", "As recorded"], ["-14", "−14 LUFS, online video"], ["-16", "−16 LUFS, podcast"], ["-23", "−23 LUFS, broadcast"], ["mute", "Muted"]];
const SUBTITLES = [["keep", "Keep"], ["none", "None"]]; // and "burn" with a language
const MB = 1e6;
const [LEAST_MB, MOST_MB] = [0.01, 1e6];

const select = (options, chosen) => h("select", {}, options.map(([value, text]) => h("option", {value, selected: value === chosen}, text)));
const field = (text, control, shown = true) => h("label", {class: "field", hidden: !shown}, text, control);

// `values(seconds)` returns `output` and `subtitles` of a request for a clip of so many seconds of the recording. It throws
// an Error if an option cannot be used.
export function outputOptions({media}, transcripts) {
  const [video, audio] = [Boolean(media.video), media.audio.length > 0];
  const aspect = select(ASPECTS, "");
  const fit = select(FITS, "crop");
  const speed = select(SPEEDS.map((each) => [String(each), `${each}×`]), "1");
  const sound = select(AUDIO, "");
  const size = h("input", {inputmode: "decimal", autocomplete: "off", placeholder: "No limit"});
  const burnt = video ? transcripts.map(({language}) => [`burn ${language}`, `In the picture, ${languageName(language)}`]) : [];
  const subtitles = select([...SUBTITLES, ...burnt], "keep");
  const summary = h("span", {class: "muted clip"});
  const reset = h("button", {type: "button", class: "quiet", hidden: true, onclick: () => clear()}, "Reset");
  const controls = [aspect, fit, speed, sound, size, subtitles];
  const node = h("details", {class: "options"},
    h("summary", {}, icon("chevron"), "Options", summary),
    h("div", {class: "row wrap fields"},
      field("Picture", aspect, video), field("Fit", fit, video), field("Speed", speed), field("Audio", sound, audio),
      field("Largest size (MB)", size, video), field("Subtitles", subtitles), reset));

  function values(seconds) {
    const tempo = Number(speed.value);
    const limit = size.value.trim();
    const megabytes = Number(limit.replace(",", "."));
    const wrong = Number.isNaN(megabytes) ? `“${limit}” is not a number`
      : limit && !(megabytes >= LEAST_MB && megabytes <= MOST_MB) ? `it must be between ${LEAST_MB} and ${MOST_MB} MB` : "";
    if (wrong) {
      node.open = true;
      size.focus();
      throw new Error(`Largest size: ${wrong}.`);
    }
    const output = {
      ...(aspect.value ? {aspect: aspect.value, fit: fit.value} : {}),
      ...(tempo === 1 ? {} : {speed: tempo}),
      ...(sound.value === "mute" ? {mute: [[0, Math.ceil(seconds / tempo) + 1]]} : sound.value ? {loudness_lufs: Number(sound.value)} : {}),
      ...(limit ? {max_bytes: Math.round(megabytes * MB)} : {}),
    };
    const [mode, language] = subtitles.value.split(" ");
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
      sound.value && (sound.value === "mute" ? "muted" : `${sound.value} LUFS`),
      size.value.trim() && `at most ${size.value.trim()} MB`,
      subtitles.value === "none" ? "no subtitles" : subtitles.value !== "keep" && "subtitles in the picture",
    ].filter(Boolean);
    summary.textContent = chosen.join(" · ");
    reset.hidden = !chosen.length;
  }

  function clear() {
    for (const [control, value] of [[aspect, ""], [fit, "crop"], [speed, "1"], [sound, ""], [size, ""], [subtitles, "keep"]]) control.value = value;
    show();
    aspect.focus();
  }

  for (const control of controls) control.addEventListener("input", show);
  show();
  return {node, values};
}
