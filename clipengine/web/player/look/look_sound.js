// The part of Look about sound, pauses, speed and the size of the file.

import {h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {line, select} from "./look_controls.js";

/** @import {ClipOutput, ClipRequest} from "./look.js" */

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
const PAUSES = [
  ["", t("Keep")],
  ["silence", t("Shorten")],
  ["silence fillers", t("Shorten, without fillers")],
  ["fillers", t("Keep, without fillers")],
];
/**
 * @param {string} value of an option
 * @param {string[]} words
 */
const sameWords = (value, words) => value === ["silence", "fillers"].filter((word) => words.includes(word)).join(" ");
const [MB, LEAST_MB, MOST_MB] = [1e6, 0.01, 1e6];

export class SoundChoice {
  /** @param {{hasAudio: boolean, hasPicture: boolean, hasText: boolean}} options */
  constructor({hasAudio, hasPicture, hasText}) {
    this.sound = select(AUDIO, "");
    this.pauses = select(hasText ? PAUSES : PAUSES.slice(0, 2), "");
    this.speed = select(
      SPEEDS.map((each) => [String(each), `${each}×`]),
      "1",
    );
    this.size = h("input", {inputmode: "decimal", autocomplete: "off", placeholder: t("No limit")});
    this.nodes = [
      line(t("Audio"), this.sound, hasAudio),
      line(t("Pauses"), this.pauses, hasAudio),
      line(t("Speed"), this.speed),
      line(t("Largest size (MB)"), this.size, hasPicture),
    ];
  }

  get controls() {
    return [this.sound, this.pauses, this.speed, this.size];
  }

  /** @param {HTMLInputElement | HTMLSelectElement} control */
  plain(control) {
    return control === this.speed ? "1" : "";
  }

  /**
   * Return the names of the options that a control sets.
   *
   * @param {HTMLInputElement | HTMLSelectElement} control
   */
  optionsOf(control) {
    if (control === this.sound) return ["mute", "loudness_lufs"];
    return control === this.speed ? ["speed"] : control === this.size ? ["max_bytes"] : [];
  }

  /** @returns {NonNullable<ClipRequest["without"]>} */
  get without() {
    return /** @type {NonNullable<ClipRequest["without"]>} */ (this.pauses.value ? this.pauses.value.split(" ") : []);
  }

  /**
   * Return the controls with the values of stored options.
   *
   * @param {ClipOutput} output
   * @param {string[]} without
   * @returns {[HTMLInputElement | HTMLSelectElement, string][]}
   */
  valuesOf(output, without) {
    return [
      [this.pauses, PAUSES.map(([value]) => value).find((value) => sameWords(value, without)) ?? ""],
      [this.speed, String(output.speed ?? 1)],
      [this.sound, output.mute ? "mute" : String(output.loudness_lufs ?? "")],
      [this.size, output.max_bytes ? String(output.max_bytes / MB) : ""],
    ];
  }

  /**
   * Return the options of a clip of so many seconds of the recording.
   *
   * @param {number} seconds
   * @param {number | null} bytes
   * @returns {ClipOutput}
   */
  output(seconds, bytes) {
    const tempo = Number(this.speed.value);
    const sound = this.sound.value;
    return {
      ...(tempo === 1 ? {} : {speed: tempo}),
      ...(sound === "mute" ? {mute: [[0, Math.ceil(seconds / tempo) + 1]]} : sound ? {loudness_lufs: Number(sound)} : {}),
      ...(bytes ? {max_bytes: bytes} : {}),
    };
  }

  // The largest size in bytes; NaN if it is not a number.
  get bytes() {
    return Math.round(Number(this.size.value.trim().replace(",", ".")) * MB);
  }

  // The same, null if it is not possible.
  get possibleBytes() {
    return this.bytes >= LEAST_MB * MB && this.bytes <= MOST_MB * MB ? this.bytes : null;
  }

  // What is wrong with the largest size, or "".
  get problem() {
    const limit = this.size.value.trim();
    if (Number.isNaN(this.bytes)) return t("“{text}” is not a number", {text: limit});
    return limit && this.possibleBytes === null ? t("it must be between {least} and {most} MB", {least: LEAST_MB, most: MOST_MB}) : "";
  }
}
