// The form of the selected clip: times, label, profile, and the button that makes it.

import {post} from "../lib/api.js";
import {announce, h, iconButton, setText} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {rich, t} from "../lib/texts.js";
import {errorText} from "../lib/ui.js";
import {outputOptions} from "./output_options.js";
import {MAX_SEGMENTS} from "./segments.js";
import {smartSwitch} from "./smart_switch.js";
import {timeFields} from "./time_fields.js";
import {wordsOf} from "./words.js";

/** @import {Player} from "./player.js" */
/** @import {Segments} from "./segments.js" */
/** @import {Selection} from "./selection.js" */
/** @import {Timeline} from "./timeline.js" */

/**
 * @typedef {object} FormOptions
 * @property {ReadyRecording} recording
 * @property {TranscriptObject[]} transcripts
 * @property {Profile[]} profiles
 * @property {Selection} selection
 * @property {Segments} segments
 * @property {Player} player
 * @property {Timeline} timeline
 * @property {(clip: Clip) => void} oncreated
 * @property {(pending: Iterable<string>) => string} nextLabel
 * @property {AbortSignal} signal
 */

/** @typedef {ReturnType<typeof clipForm>} ClipForm */

/**
 * `oncreated(clip)` is called when the server has accepted the clip. `nextLabel(pending)` returns the default label, where
 * `pending` are labels of requests without a response.
 *
 * @param {FormOptions} options
 */
export function clipForm({recording, transcripts, profiles, selection, segments, player, timeline, oncreated, nextLabel, signal}) {
  const times = timeFields({words: wordsOf(recording), selection, player, onvalidated: () => draw(), onapplied: () => timeline.revealSelection()});
  const length = h("output", {class: "time length"}, "–");
  const label = h("input", {id: "label", maxlength: String(LIMITS.label), autocomplete: "off", placeholder: nextLabel([])});
  const profile = h(
    "select",
    {"aria-label": t("Profile")},
    profiles.map((each) => h("option", {value: each.name}, describe(each))),
  );
  const profileField = h("label", {class: "field", hidden: profiles.length < 2}, t("Profile"), profile);
  const smart = smartSwitch({recording, selection, signal});
  const make = h("button", {class: "primary make", disabled: true}, t("Make clip"), h("kbd", {"aria-hidden": "true"}, "⏎"));
  const addText = h("span", {}, t("Add to list"));
  const add = h(
    "button",
    {type: "button", class: "add", title: t("Add the selection to the segments (A)"), disabled: true, onclick: () => addSegment()},
    addText,
    h("kbd", {"aria-hidden": "true"}, "A"),
  );
  const options = outputOptions(recording, transcripts);
  const clear = iconButton("x", t("Clear the selection (X)"), () => selection.clear(), {disabled: true});
  const problem = h("p", {class: "bad small", role: "alert"});
  const hint = h("p", {class: "muted small hint"}, hintText(recording));

  const choose = () => {
    const chosen = profiles.find((each) => each.name === profile.value);
    if (chosen) smart.show(chosen);
  };
  profile.addEventListener("change", choose);
  choose();

  /** @type {Set<string>} */
  const pending = new Set(); // labels of requests without a response

  function draw() {
    const invalid = Boolean(times.firstInvalid());
    setText(length, selection.empty || invalid ? "–" : formatTime(selection.length));
    make.disabled = selection.empty || invalid;
    add.disabled = make.disabled;
    setText(addText, segments.current ? t("Update segment {number}", {number: segments.items.indexOf(segments.current) + 1}) : t("Add to list"));
    clear.disabled = selection.empty && !invalid;
    rename();
    problem.textContent = "";
  }
  function rename() {
    label.placeholder = nextLabel(pending);
  }
  selection.addEventListener("change", draw);
  segments.addEventListener("change", draw);

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

  /**
   * Return the settings of a request for a clip of so many seconds. Throws an Error if an option cannot be used.
   *
   * @param {number} seconds
   */
  const settings = (seconds) => ({profile: profile.value, ...smart.render(), ...options.values(seconds)});

  async function submit() {
    const {range} = selection;
    if (!usable() || !range) return;
    let chosen;
    try {
      chosen = settings(selection.length);
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
      class: "picker panel",
      "aria-label": t("Clip"),
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    times.fields,
    h("div", {class: "field"}, h("span", {class: "caption"}, t("Length")), length),
    h("label", {class: "field grow label-field"}, t("Label"), label),
    profileField,
    h("div", {class: "row buttons"}, clear, add, make),
    h("div", {class: "row wrap extras"}, options.node, smart.node),
    times.problems,
    problem,
    hint,
  );
  return {
    node,
    submit,
    addSegment,
    settings,
    get label() {
      return label.value.trim() || nextLabel(pending);
    },
    clearLabel() {
      label.value = "";
    },
    rename,
    focusLabel: () => label.focus(),
  };
}

/** @param {ReadyRecording} recording */
function hintText({media}) {
  const keys = {in: h("kbd", {}, "I"), out: h("kbd", {}, "O"), help: h("kbd", {}, "?")};
  return media.video
    ? rich("Drag across the timeline, or press {in} on the first frame of the clip and {out} on the first frame after it. {help} lists all shortcuts.", keys)
    : rich("Drag across the waveform, or press {in} where the clip starts and {out} where it ends. {help} lists all shortcuts.", keys);
}

/** @param {Profile} profile */
function describe(profile) {
  const parts = [profile.name];
  if (profile.container !== "mp4") parts.push(profile.container);
  if (profile.video !== "h264" && profile.video !== "none") parts.push(profile.video);
  if (profile.max_height) parts.push(`${profile.max_height}p`);
  return [...new Set(parts)].join(" · ");
}
