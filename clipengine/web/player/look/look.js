// The look of new clips: shape and crop, captions, what is drawn, sound, speed and size. It is stored with the segments of
// the recording.

import {h} from "../../lib/dom.js";
import {languageName} from "../../lib/format.js";
import {t} from "../../lib/texts.js";
import {CaptionChoice} from "./caption_choice.js";
import {describe, line, section, select} from "./look_controls.js";
import {DrawingChoice} from "./look_drawing.js";
import {PlaceChoice} from "./look_place.js";
import {SizeChoice} from "./look_size.js";
import {SoundChoice} from "./look_sound.js";
import {SHAPES} from "./shapes.js";
import {smartSwitch} from "./smart_switch.js";

/** @import {Player} from "../media/player.js" */
/** @import {Selection} from "../segments/selection.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @import {History} from "../../store/history.js" */
/** @typedef {Sent<"post", `/v1/recordings/${string}/clips`>} ClipRequest */
/** @typedef {NonNullable<ClipRequest["output"]>} ClipOutput */
/** @typedef {NonNullable<ClipRequest["subtitles"]>["mode"]} SubtitleMode */
/** @typedef {import("../../store/doc.js").StoredLook} StoredLook */
/** @typedef {{start: number, end: number}} RangeOfTime in seconds */

/** @type {[value: string, text: string][]} */
const FITS = [
  ["crop", t("Crop the sides")],
  ["pad", t("Black bars")],
  ["blur", t("Blurred bars")],
];
/** @type {[value: string, text: string][]} */
const SUBTITLES = [
  ["keep", t("Keep")],
  ["none", t("None")],
]; // and "burn" with a language
const DRAWN = ["blur", "watermark", "fade_seconds"];
const SHOWN = ["aspect", "size", "fit", "focus", ...DRAWN, "speed", "mute", "loudness_lufs", "max_bytes", "subtitles"]; // what a reset replaces
const FRAMED = ["max_height", "crop", "aspect", "size", "fit", "focus", ...DRAWN];
const ALL_SECONDS = 1e5; // longer than any clip with sound

/**
 * Events: "change" when an option has changed, "edit" when the user has changed it, and "box" with the number of a blurred box
 * that the user has added.
 */
export class Look extends EventTarget {
  /**
   * `onproblem()` shows the options when one of them cannot be used, `onseek(time)` shows a time.
   *
   * @param {{recording: ReadyRecording, transcripts: TranscriptObject[], profiles: Profile[], watermarks: Watermark[], selection: Selection, player: Player, times: ShownTimes, undo: History, onproblem: () => void, onseek: (time: number) => void, signal: AbortSignal}} options
   */
  constructor({recording, transcripts, profiles, watermarks, selection, player, times, undo, onproblem, onseek, signal}) {
    super();
    this.active = true; // changes can be undone
    this.undo = undo;
    const {media} = recording;
    const [video, audio] = [Boolean(media.video), media.audio.length > 0];
    this.hasPicture = video;
    this.onproblem = onproblem;
    this.languages = video ? transcripts.map(({language}) => language) : [];
    /** @type {Record<string, unknown>} the stored options, which stay until they are edited here: other programs have more values */
    this.kept = {};
    this.keptTexts = /** @type {StoredLook["subtitles"]} */ (null);
    /** @type {Set<string>} names of the options that were edited here */
    this.edited = new Set();
    /** @type {RangeOfTime[]} of the recording, which stay although pauses are removed */
    this.keptRanges = [];
    this.aspect = select(SHAPES, "");
    this.fit = select(FITS, "crop");
    this.place = new PlaceChoice({player, times, undo, onchange: () => this.changed(["focus"]), onseek});
    times.addEventListener("change", () => this.draw(), {signal});
    this.size = new SizeChoice(() => this.changed(["size"]));
    this.sound = new SoundChoice({hasAudio: audio, hasPicture: video, hasText: transcripts.length > 0});
    this.drawing = new DrawingChoice({
      watermarks,
      player,
      times,
      undo,
      onseek,
      onchange: (name) => this.changed([name]),
      onadded: (number) => this.dispatchEvent(new CustomEvent("box", {detail: number})),
      onchosen: () => this.dispatchEvent(new Event("change")),
    });
    /** @type {[value: string, text: string][]} */
    const burnt = this.languages.map((language) => [`burn ${language}`, t("In the picture, {language}", {language: languageName(language)})]);
    this.subtitles = select([...SUBTITLES, ...burnt], "keep");
    this.captions = new CaptionChoice(() => this.changed(["subtitles"]));
    this.profile = select(
      profiles.map((each) => [each.name, describe(each)]),
      "",
    );
    this.smart = smartSwitch({recording, selection, signal});
    /** @type {Profile | undefined} */
    this.chosenProfile = undefined;
    const choose = () => {
      this.chosenProfile = profiles.find((each) => each.name === this.profile.value);
      if (this.chosenProfile) this.smart.show(this.chosenProfile);
      this.dispatchEvent(new Event("change"));
    };
    this.profile.addEventListener("change", choose);
    choose();
    this.reset = h("button", {type: "button", class: "link small", onclick: () => this.clear()}, t("Reset"));
    this.fitLine = line(t("Sides"), this.fit);
    const parts = [
      section(t("Crop"), video, line(t("Shape"), this.aspect), this.fitLine, this.place.nodes, this.size.nodes),
      section(t("Captions"), video || transcripts.length > 0, line(t("Subtitles"), this.subtitles), this.captions.nodes),
      section(t("In the picture"), video, this.drawing.nodes),
      section(video ? t("Sound and file") : t("Sound"), true, this.sound.nodes, line(t("Profile"), this.profile, profiles.length > 1), this.smart.node),
    ];
    parts.find(({hidden}) => !hidden)?.firstElementChild?.append(this.reset);
    this.node = h("div", {class: "look"}, parts);
    for (const control of this.controls) control.addEventListener("input", () => this.changed(this.optionsOf(control)));
    this.draw();
  }

  get controls() {
    return [this.aspect, this.fit, this.size.control, this.subtitles, ...this.captions.controls, ...this.drawing.controls, ...this.sound.controls];
  }

  get shape() {
    return this.aspect.value;
  }

  // True if a part of the picture is cut out.
  get crops() {
    return this.shape !== "" && this.fit.value === "crop";
  }

  /** @returns {import("./points.js").Path} what moves: the box in use, or else the crop, or else any box */
  get path() {
    return this.drawing.path(!this.place.moves) ?? this.place;
  }

  get canCaption() {
    return this.languages.length > 0;
  }

  get captioned() {
    return this.subtitles.value.startsWith("burn ");
  }

  // True if clips differ from the recording's look.
  get isChanged() {
    return this.drawing.boxes.length > 0 || this.controls.some((control) => control.value !== this.plain(control));
  }

  /** @param {HTMLInputElement | HTMLSelectElement} control */
  plain(control) {
    if (control === this.fit) return this.shape ? "crop" : this.fit.value;
    if (control === this.subtitles) return "keep";
    return [this.captions, this.sound].find(({controls}) => controls.includes(/** @type {any} */ (control)))?.plain(/** @type {any} */ (control)) ?? "";
  }

  /** @param {string} aspect */
  setShape(aspect) {
    this.aspect.value = aspect;
    this.changed(this.optionsOf(this.aspect));
  }

  toggleCaptions() {
    if (this.canCaption) this.subtitles.value = this.captioned ? "keep" : `burn ${this.languages[0]}`;
    this.changed(this.optionsOf(this.subtitles));
  }

  /**
   * Return the names of the options that a control sets, and of those that are not allowed with its value.
   *
   * @param {HTMLInputElement | HTMLSelectElement} control
   */
  optionsOf(control) {
    if (control === this.aspect) return ["aspect", "size", "fit", ...(this.shape ? [] : ["focus"])];
    if (control === this.size.control) return ["size"];
    if (control === this.fit) return ["fit", ...(this.crops ? [] : ["focus"])];
    const part = [this.sound, this.drawing].find(({controls}) => controls.includes(/** @type {any} */ (control)));
    return part ? part.optionsOf(control) : ["subtitles"];
  }

  /** @param {string[]} options that were edited */
  changed(options) {
    for (const name of options) this.edited.add(name);
    this.draw();
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new Event("edit"));
  }

  /** @returns {StoredLook} */
  get stored() {
    const made = Object.entries(this.output(ALL_SECONDS, this.sound.possibleBytes)).filter(([name]) => this.edited.has(name));
    const output = {...this.unedited, ...Object.fromEntries(made)};
    const subtitles = this.edited.has("subtitles") ? this.texts : this.keptTexts;
    return /** @type {any} */ ({output: Object.keys(output).length ? output : null, subtitles, ...this.removal});
  }

  get unedited() {
    return Object.fromEntries(Object.entries(this.kept).filter(([name]) => !this.edited.has(name)));
  }

  /**
   * Show a stored look. Options and values that the page does not have stay stored, and are not part of new clips.
   *
   * @param {StoredLook} look
   */
  restore(look) {
    const output = /** @type {ClipOutput} */ (look.output ?? {});
    this.kept = {...output};
    this.keptTexts = look.subtitles;
    this.edited.clear();
    const {mode = "keep", language, style} = look.subtitles ?? {};
    this.captions.restore(style);
    this.keptRanges = (look.keep_ranges ?? []).map(({start_seconds: start, end_seconds: end}) => ({start, end}));
    this.place.restore(output);
    /** @type {[HTMLInputElement | HTMLSelectElement, string][]} */
    const values = [
      [this.aspect, String(output.aspect ?? "")],
      [this.fit, output.fit ?? "crop"],
      [this.size.control, this.size.valueOf(output)],
      [this.subtitles, language ? `${mode} ${language}` : mode],
      ...this.drawing.restore(output),
      ...this.sound.valuesOf(output, look.without ?? []),
    ];
    for (const [control, value] of values) {
      const possible = !(control instanceof HTMLSelectElement) || [...control.options].some((option) => option.value === value);
      control.value = possible ? value : this.plain(control);
    }
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  draw() {
    this.fitLine.hidden = !this.shape;
    this.place.draw(this.crops);
    this.reset.hidden = !this.isChanged;
    this.size.draw(this.shape);
    this.captions.draw(this.captioned);
    this.drawing.draw();
  }

  clear() {
    const before = this.stored;
    this.undo.add(this, () => {
      this.restore(before);
      this.dispatchEvent(new Event("edit"));
    });
    this.place.clear();
    this.fit.value = "crop";
    this.captions.clear();
    this.drawing.clear();
    for (const control of this.controls) control.value = this.plain(control);
    this.changed(SHOWN);
    this.controls.find((control) => control.checkVisibility())?.focus();
  }

  /** @returns {ClipOutput} of the crop alone */
  get crop() {
    if (!this.shape) return {};
    return {
      aspect: this.shape,
      ...this.size.output(this.shape),
      fit: /** @type {ClipOutput["fit"]} */ (this.fit.value),
      ...(this.crops ? this.place.output : {}),
    };
  }

  /**
   * Return the settings of a request for a clip of so many seconds of the recording. Throws an Error if an option cannot be
   * used.
   *
   * @param {number} seconds
   * @returns {Pick<ClipRequest, "profile" | "render" | "output" | "subtitles" | "without" | "keep_ranges">}
   */
  settings(seconds) {
    const output = this.output(seconds, this.maxBytes());
    const subtitles = this.texts;
    return {
      profile: this.profile.value,
      ...this.smart.render(),
      ...(Object.keys(output).length ? {output} : {}),
      ...(subtitles ? {subtitles} : {}),
      ...this.removal,
    };
  }

  /**
   * Return the output options of a clip of so many seconds of the recording.
   *
   * @param {number} seconds
   * @param {number | null} bytes
   * @returns {ClipOutput}
   */
  output(seconds, bytes) {
    return {...this.crop, ...this.drawing.output, ...this.sound.output(seconds, bytes)};
  }

  /** @returns {Pick<ClipRequest, "without" | "keep_ranges">} what is removed from a clip */
  get removal() {
    const {without} = this.sound;
    if (!without.length) return {};
    const ranges = this.keptRanges.map(({start, end}) => ({start_seconds: start, end_seconds: end}));
    return {without, ...(ranges.length ? {keep_ranges: ranges} : {})};
  }

  /** @returns {ClipRequest["subtitles"] | null} null to keep them */
  get texts() {
    const [mode, language] = /** @type {[SubtitleMode, string?]} */ (this.subtitles.value.split(" "));
    return mode === "keep" ? null : {mode, ...(language ? {language} : {}), ...(mode === "burn" ? {style: this.captions.value} : {})};
  }

  // What decides how the captions look: a request for their pictures, without its range. Null if none are drawn.
  get caption() {
    const language = this.texts?.mode === "burn" ? this.texts.language : null;
    if (!language) return null;
    const {focus, ...output} = this.drawn; // it moves the captions with the picture
    return {language, style: this.captions.value, output};
  }

  get tempo() {
    return this.drawn.speed ?? 1;
  }

  /** @returns {ClipOutput} the options that clips have: those chosen here, or else all of the profile */
  get drawn() {
    const own = this.output(ALL_SECONDS, this.sound.bytes || null);
    return Object.keys(own).length ? own : /** @type {ClipOutput} */ (this.chosenProfile?.output ?? {});
  }

  /** @returns {ClipOutput} those of them that are drawn in the player */
  get framed() {
    return Object.fromEntries(Object.entries(this.drawn).filter(([name]) => FRAMED.includes(name)));
  }

  maxBytes() {
    const wrong = this.sound.problem;
    if (wrong) {
      this.onproblem();
      this.sound.size.focus();
      throw new Error(t("Largest size: {problem}.", {problem: wrong}));
    }
    return this.sound.bytes;
  }
}
