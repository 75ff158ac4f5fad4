// The form of the selected clip in one row: times, name, shape, captions, and the buttons that use them.

import {post} from "../lib/api.js";
import {announce, h, icon, iconButton, setText} from "../lib/dom.js";
import {formatMoment, formatTime} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {t} from "../lib/texts.js";
import {errorText} from "../lib/ui.js";
import {MAX_SEGMENTS} from "./segments.js";
import {shapeChoice} from "./shapes.js";
import {timeFields} from "./time_fields.js";
import {wordsOf} from "./words.js";

/** @import {Look} from "./look.js" */
/** @import {Player} from "./player.js" */
/** @import {Segments} from "./segments.js" */
/** @import {Selection} from "./selection.js" */
/** @import {Timeline} from "./timeline.js" */

/**
 * @typedef {object} FormOptions
 * @property {ReadyRecording} recording
 * @property {Look} look
 * @property {import("./removal.js").Removal} removal
 * @property {Selection} selection
 * @property {Segments} segments
 * @property {Player} player
 * @property {import("./shown_times.js").ShownTimes} times
 * @property {HTMLElement | null} live the button that selects the last seconds of a recording that is still written
 * @property {Timeline} timeline
 * @property {() => void} onlook shows the options of the look
 * @property {(clip: Clip) => void} oncreated
 * @property {(pending: Iterable<string>) => string} nextLabel
 */

/** @typedef {ReturnType<typeof clipForm>} ClipForm */

/**
 * `oncreated(clip)` is called when the server has accepted the clip. `nextLabel(pending)` returns the default label, where
 * `pending` are labels of requests without a response.
 *
 * @param {FormOptions} options
 */
export function clipForm({recording, look, removal, selection, segments, player, times: shown, live, timeline, onlook, oncreated, nextLabel}) {
  const times = timeFields({
    words: wordsOf(recording),
    selection,
    player,
    times: shown,
    onvalidated: () => draw(),
    onapplied: () => timeline.revealSelection(),
  });
  const length = h("output", {class: "time length", title: t("Length"), "aria-label": t("Length")}, "–");
  const label = h("input", {id: "label", maxlength: String(LIMITS.label), autocomplete: "off"});
  const shapes = shapeChoice(look, onlook);
  const captions = iconButton("captions", t("Captions in the picture (Shift+C)"), () => look.toggleCaptions(), {class: "quiet square captions"});
  const options = iconButton("sliders", t("Look: crop, captions, sound, size"), onlook, {class: "quiet square options"});
  const make = h("button", {class: "primary make", disabled: true}, t("Make clip"), h("kbd", {"aria-hidden": "true"}, "⏎"));
  const addText = h("span", {class: "words"}, t("Add segment"));
  const add = h(
    "button",
    {type: "button", class: "add", title: t("Add the selection to the segments (A)"), disabled: true, onclick: () => addSegment()},
    icon("plus"),
    addText,
    h("kbd", {"aria-hidden": "true"}, "A"),
  );
  const clear = iconButton("x", t("Clear the selection (X)"), () => selection.clear(), {class: "quiet square clear", hidden: true});
  const problem = h("p", {class: "why", role: "alert"});
  const waits = h("p", {class: "waits", role: "status"});

  /** @type {Set<string>} */
  const pending = new Set(); // labels of requests without a response
  let suggested = ""; // the name that the transcript has given

  function draw() {
    const invalid = Boolean(times.firstInvalid());
    drawLength();
    make.disabled = selection.empty || invalid;
    add.disabled = make.disabled;
    setText(addText, segments.current ? t("Update segment {number}", {number: segments.items.indexOf(segments.current) + 1}) : t("Add segment"));
    drawWait();
    clear.hidden = selection.empty && !invalid;
    if (selection.empty) suggest("");
    rename();
    problem.textContent = "";
  }
  function drawLength() {
    setText(length, selection.empty || times.firstInvalid() ? "–" : formatTime(selection.length - removal.seconds));
    length.title = removal.removed.length ? t("Length, without what is removed") : t("Length");
  }
  // A clip whose end is not recorded yet waits. The text changes by the minute, so that it is not read out all the time.
  function drawWait() {
    const {lacking} = selection;
    const until = new Date(Date.now() + lacking * 1000);
    setText(waits, lacking ? t("Not recorded yet. The clip waits for it, until about {time}.", {time: formatMoment(until.toISOString())}) : "");
  }
  function rename() {
    label.placeholder = selection.empty ? t("Drag on the timeline, or I and O") : nextLabel(pending);
  }
  function drawLook() {
    captions.hidden = !look.canCaption;
    captions.setAttribute("aria-pressed", String(look.captioned));
    shapes.draw();
    problem.textContent = "";
  }
  selection.addEventListener("change", draw);
  segments.addEventListener("change", draw);
  look.addEventListener("change", drawLook);
  removal.addEventListener("change", drawLength);

  /**
   * Name the clip after what is said in it, unless a name was typed.
   *
   * @param {string} text
   */
  function suggest(text) {
    if (label.value !== suggested) return;
    suggested = text;
    label.value = text;
  }

  // Return true if a range is selected and both times are valid. Otherwise tell what is missing.
  function usable() {
    const invalid = times.firstInvalid();
    if (invalid) {
      invalid.focus();
      announce(invalid.problem.textContent);
    } else if (selection.empty) announce(t("Nothing is selected"));
    return !invalid && !selection.empty;
  }

  function addSegment() {
    if (!usable()) return;
    const known = segments.items.some((item) => item === segments.current);
    if (!known && !segments.room) {
      problem.textContent = t("The list is full: it has {count} segments.", {count: MAX_SEGMENTS});
      return;
    }
    const item = segments.put(label.value.trim());
    const number = segments.items.findIndex((each) => each === item) + 1;
    announce(known ? t("Segment {number} was updated", {number}) : t("Segment {number} was added", {number}));
    label.value = "";
    label.blur(); // make shortcuts work again
  }

  async function submit() {
    const {range} = selection;
    if (!usable() || !range) return;
    let chosen;
    try {
      chosen = look.settings(selection.length);
    } catch (error) {
      problem.textContent = error.message;
      return;
    }
    const body = {
      label: label.value.trim() || nextLabel(pending),
      start_seconds: Number(range.start.toFixed(6)),
      end_seconds: Number(range.end.toFixed(6)),
      ...chosen,
    };
    // Clear the form before the response, so that the next clip can be selected at once.
    const typed = label.value;
    selection.clear();
    label.value = "";
    label.blur(); // make shortcuts work again
    pending.add(body.label);
    rename();
    try {
      oncreated(await post(`/v1/recordings/${recording.recording_id}/clips`, body));
      announce(t("{label} is queued", {label: body.label}));
    } catch (error) {
      if (selection.empty) {
        selection.set(range.start, range.end);
        label.value = typed;
      }
      problem.replaceChildren(errorText(error));
    } finally {
      pending.delete(body.label);
    }
    rename();
  }

  const node = h(
    "form",
    {
      class: "picker",
      "data-floor": "", // menus stand above it where it is fixed
      "aria-label": t("Clip"),
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    times.fields,
    length,
    clear,
    h("div", {class: "labelled name-field"}, h("label", {class: "caption", for: "label"}, t("Name")), label),
    shapes.node,
    captions,
    options,
    h("span", {class: "rule"}),
    add,
    live,
    h("div", {class: "send"}, waits, problem, make),
  );
  drawLook();
  draw();
  return {
    node,
    submit,
    addSegment,
    suggest,
    rename,
    focusLabel: () => label.focus(),
  };
}
