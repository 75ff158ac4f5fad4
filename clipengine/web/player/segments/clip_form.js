// The form of the selected clip in one row: times, name, shape, captions, and the buttons that use them.

import {post} from "../../lib/api.js";
import {announce, h, icon, iconButton, setText} from "../../lib/dom.js";
import {errorText} from "../../lib/error_views.js";
import {formatMoment, formatTime} from "../../lib/format.js";
import {LIMITS} from "../../lib/limits.js";
import {bind, within} from "../../lib/reactive.js";
import {mayEdit} from "../../lib/rights.js";
import {t} from "../../lib/texts.js";
import {shapeChoice} from "../look/shapes.js";
import {wordsOf} from "../timeline/words.js";
import {MAX_SEGMENTS} from "./segments.js";
import {timeFields} from "./time_fields.js";

/** @import {Look} from "../look/look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Segments} from "./segments.js" */
/** @import {Selection} from "./selection.js" */
/** @import {Timeline} from "../timeline/timeline.js" */

/**
 * @typedef {object} FormOptions
 * @property {ReadyRecording} recording
 * @property {Look} look
 * @property {import("./removal.js").Removal} removal
 * @property {Selection} selection
 * @property {Segments} segments
 * @property {Player} player
 * @property {import("../timeline/shown_times.js").ShownTimes} times
 * @property {HTMLElement | null} live the button that selects the last seconds of a recording that is still written
 * @property {Timeline} timeline
 * @property {() => void} onlook shows the options of the look
 * @property {(clip: Clip) => void} oncreated
 * @property {(pending: Iterable<string>) => string} nextLabel
 * @property {AbortSignal} signal
 */

/** @param {Segments} segments */
function addWords({doc, current}) {
  const index = current.value && doc.places.value.get(current.value.id)?.index;
  return typeof index === "number" ? t("Update segment {number}", {number: index + 1}) : t("Add segment");
}

export class ClipForm {
  /**
   * `oncreated(clip)` is called when the server has accepted the clip. `nextLabel(pending)` returns the default label, where
   * `pending` are labels of requests without a response.
   *
   * @param {FormOptions} options
   */
  constructor(options) {
    const {recording, look, removal, selection, segments, player, times, timeline, onlook, signal} = options;
    this.options = options;
    this.times = timeFields({
      words: wordsOf(recording),
      selection,
      player,
      times,
      onvalidated: () => this.draw(),
      onapplied: () => timeline.revealSelection(),
    });
    this.length = h("output", {class: "time length", title: t("Length"), "aria-label": t("Length")}, "–");
    this.label = h("input", {id: "label", maxlength: String(LIMITS.label), autocomplete: "off"});
    this.shapes = shapeChoice(look, onlook);
    this.captions = iconButton("captions", t("Captions in the picture (Shift+C)"), () => look.toggleCaptions(), {class: "quiet square captions"});
    this.make = h("button", {class: "primary make", disabled: true}, t("Make clip"), h("kbd", {"aria-hidden": "true"}, "⏎"));
    this.add = h(
      "button",
      {type: "button", class: "add", title: t("Add the selection to the segments (A)"), disabled: true, onclick: () => this.addSegment()},
      icon("plus"),
      within(signal, () => h("span", {class: "words"}, () => addWords(segments))),
      h("kbd", {"aria-hidden": "true"}, "A"),
    );
    this.clear = iconButton("x", t("Clear the selection (X)"), () => selection.clear(), {class: "quiet square clear", hidden: true});
    this.problem = h("p", {class: "why", role: "alert"});
    this.waits = h("p", {class: "waits", role: "status"});
    /** @type {Set<string>} */
    this.pending = new Set(); // labels of requests without a response
    this.suggested = ""; // the name that the transcript has given
    this.node = this.form(options);
    within(signal, () =>
      bind(() => {
        segments.doc.segments.value;
        this.problem.textContent = "";
      }),
    );
    selection.addEventListener("change", () => this.draw());
    look.addEventListener("change", () => this.drawLook());
    removal.addEventListener("change", () => this.drawLength());
    this.drawLook();
    this.draw();
  }

  /** @param {FormOptions} options */
  form({live, onlook}) {
    /** @param {SubmitEvent} event */
    const onsubmit = (event) => {
      event.preventDefault();
      if (mayEdit()) this.submit();
    };
    return h(
      "form",
      {
        class: "picker",
        "data-floor": "", // menus stand above it where it is fixed
        "aria-label": t("Clip"),
        novalidate: true,
        onsubmit,
      },
      this.times.fields,
      this.length,
      this.clear,
      mayEdit() && [
        h("div", {class: "labelled name-field"}, h("label", {class: "caption", for: "label"}, t("Name")), this.label),
        this.shapes.node,
        this.captions,
        iconButton("sliders", t("Look: crop, captions, sound, size"), onlook, {class: "quiet square options"}),
        h("span", {class: "rule"}),
        this.add,
        live,
        h("div", {class: "send"}, this.waits, this.problem, this.make),
      ],
    );
  }

  focusLabel() {
    this.label.focus();
  }

  draw() {
    const {selection} = this.options;
    const invalid = Boolean(this.times.firstInvalid());
    this.drawLength();
    this.make.disabled = selection.empty || invalid;
    this.add.disabled = this.make.disabled;
    this.drawWait();
    this.clear.hidden = selection.empty && !invalid;
    if (selection.empty) this.suggest("");
    this.rename();
    this.problem.textContent = "";
  }

  drawLength() {
    const {selection, removal} = this.options;
    setText(this.length, selection.empty || this.times.firstInvalid() ? "–" : formatTime(selection.length - removal.seconds));
    this.length.title = removal.removed.length ? t("Length, without what is removed") : t("Length");
  }

  // A clip whose end is not recorded yet waits. The text changes by the minute, so that it is not read out all the time.
  drawWait() {
    const {lacking} = this.options.selection;
    const until = new Date(Date.now() + lacking * 1000);
    setText(this.waits, lacking ? t("Not recorded yet. The clip waits for it, until about {time}.", {time: formatMoment(until.toISOString())}) : "");
  }

  drawLook() {
    const {look} = this.options;
    this.captions.hidden = !look.canCaption;
    this.captions.setAttribute("aria-pressed", String(look.captioned));
    this.shapes.draw();
    this.problem.textContent = "";
  }

  rename() {
    const {selection, nextLabel} = this.options;
    this.label.placeholder = selection.empty ? t("Drag on the timeline, or I and O") : nextLabel(this.pending);
  }

  /**
   * Name the clip after what is said in it, unless a name was typed.
   *
   * @param {string} text
   */
  suggest(text) {
    if (this.label.value !== this.suggested) return;
    this.suggested = text;
    this.label.value = text;
  }

  // Return true if a range is selected and both times are valid. Otherwise announce what is missing.
  usable() {
    const invalid = this.times.firstInvalid();
    const {empty} = this.options.selection;
    if (invalid) {
      invalid.focus();
      announce(invalid.problem.textContent);
    } else if (empty) announce(t("Nothing is selected"));
    return !invalid && !empty;
  }

  // Empty the field of the name and leave it, so that shortcuts work again.
  emptyLabel() {
    this.label.value = "";
    this.label.blur();
  }

  addSegment() {
    if (!this.usable()) return;
    const {segments} = this.options;
    const known = segments.current.peek() !== null;
    if (!known && !segments.doc.room) {
      this.problem.textContent = t("The list is full: it has {count} segments.", {count: MAX_SEGMENTS});
      return;
    }
    const number = segments.put(this.label.value.trim());
    announce(known ? t("Segment {number} was updated", {number}) : t("Segment {number} was added", {number}));
    this.emptyLabel();
  }

  async submit() {
    const {look, selection, nextLabel} = this.options;
    const {range} = selection;
    if (!this.usable() || !range) return;
    let chosen;
    try {
      chosen = look.settings(selection.length);
    } catch (error) {
      this.problem.textContent = error.message;
      return;
    }
    await this.send({
      label: this.label.value.trim() || nextLabel(this.pending),
      start_seconds: Number(range.start.toFixed(6)),
      end_seconds: Number(range.end.toFixed(6)),
      ...chosen,
    });
  }

  /**
   * Request the clip. The form is empty before the response, so that the next clip can be selected at once.
   *
   * @param {Sent<"post", `/v1/recordings/${string}/clips`> & {label: string}} body
   */
  async send(body) {
    const {recording, selection, oncreated} = this.options;
    const {range} = selection;
    const typed = this.label.value;
    selection.clear();
    this.emptyLabel();
    this.pending.add(body.label);
    this.rename();
    try {
      oncreated(await post(`/v1/recordings/${recording.recording_id}/clips`, body));
      announce(t("{label} is queued", {label: body.label}));
    } catch (error) {
      if (selection.empty && range) {
        selection.set(range.start, range.end);
        this.label.value = typed;
      }
      this.problem.replaceChildren(errorText(error));
    } finally {
      this.pending.delete(body.label);
    }
    this.rename();
  }
}
