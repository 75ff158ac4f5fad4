// Text fields for the in and out point. An unusable value stays as typed, is marked and gets a reason; no other value is
// changed to make it fit. Valid values apply when both ends are consistent.

import {h} from "../../lib/dom.js";
import {parseTime} from "../../lib/format.js";
import {t} from "../../lib/texts.js";

/** @import {Player} from "../media/player.js" */
/** @import {Selection} from "./selection.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */

/**
 * @typedef {object} TimeFieldsOptions
 * @property {import("../timeline/words.js").Words} words
 * @property {Selection} selection
 * @property {Player} player
 * @property {ShownTimes} times
 * @property {() => void} onvalidated
 * @property {() => void} onapplied
 */

/**
 * @typedef {object} TimeField
 * @property {HTMLElement} node
 * @property {HTMLElement} problem
 * @property {number | null} shown the time that it shows
 * @property {string} text
 * @property {boolean} typed true if the user has changed the text
 * @property {boolean} invalid
 * @property {() => void} focus
 * @property {(time: number | null) => void} show
 * @property {(why: string) => void} setProblem
 */

const LONG_TEXT = 11; // characters that the usual width has room for
const DISPLAY_ERROR = 0.001; // seconds by which a displayed time may differ from the exact one

/**
 * `onvalidated()` is called when a field has become valid or invalid, and `onapplied()` when a typed range is selected.
 *
 * @param {TimeFieldsOptions} options
 */
export function timeFields({words, selection, player, times, onvalidated, onapplied}) {
  const start = timeField({id: "in", key: "I", name: t("In"), label: t("In point"), set: t("Set the in point here"), meaning: words.start}, times, edit, () =>
    selection.setStart(player.shown),
  );
  const end = timeField({id: "out", key: "O", name: t("Out"), label: t("Out point"), set: t("Set the out point here"), meaning: words.end}, times, edit, () =>
    selection.setEnd(player.shown),
  );

  let applying = false;

  /** @param {TimeField} field */
  function edit(field) {
    apply(field);
    if (!field.invalid && !selection.empty) onapplied();
  }

  /** @param {TimeField} changed */
  function apply(changed) {
    applying = true;
    start.setProblem("");
    end.setProblem("");
    const from = read(start, selection.start, null);
    const to = read(end, selection.end, from);
    const valid = !start.invalid && !end.invalid;
    if (valid && to !== null && to <= (from || 0)) {
      changed.setProblem(
        changed === end
          ? t("must be after the in point, {time}", {time: times.format(from || 0)})
          : t("must be before the out point, {time}", {time: times.format(to)}),
      );
    } else if (valid) {
      if (from !== null && to !== null) selection.set(from, to);
      else if (from !== null) selection.setStart(from);
      else if (to !== null) selection.setEnd(to);
      show();
    }
    applying = false;
    onvalidated();
  }

  /**
   * Return the time in a field, or null if it was emptied or is invalid.
   *
   * @param {TimeField} field
   * @param {number | null} current
   * @param {number | null} from
   */
  function read(field, current, from) {
    const {text} = field;
    if (!field.typed) return current;
    if (text === "") return null;
    const relative = field === end && text.startsWith("+");
    const time = relative ? parseTime(text.slice(1)) : times.parse(text, current ?? player.time);
    if (time === null) {
      if (times.known && times.ofDay) field.setProblem(t("“{text}” is not a time of day: write 14:30 or 14:30:05.500, or +10 in the out point", {text}));
      else
        field.setProblem(
          field === end
            ? t("“{text}” is not a time: write 90.5 or 1:02.500, or +10 for ten seconds after the in point", {text})
            : t("“{text}” is not a time: write 90.5 or 1:02.500", {text}),
        );
    } else if (relative && from === null) field.setProblem(t("set the in point first"));
    else {
      const at = relative ? (from ?? 0) + time : time;
      const {limit} = selection;
      if (at >= -DISPLAY_ERROR && (field === end ? at <= limit + DISPLAY_ERROR : at < limit)) return Math.min(Math.max(0, at), limit);
      field.setProblem(
        at < 0
          ? t("the recording begins at {time}", {time: times.format(0)})
          : selection.growing
            ? t("at most {hours} hours that are not recorded yet can be selected", {hours: Math.round((limit - selection.duration) / 3600)})
            : t("the recording ends at {time}", {time: times.format(limit)}),
      );
    }
    return null;
  }

  function show() {
    start.show(selection.start);
    end.show(selection.end);
  }

  times.addEventListener("change", show);

  // After a change elsewhere, an end that did not move keeps its typed text, which may be valid now.
  selection.addEventListener("change", () => {
    if (selection.empty) show();
    else {
      if (selection.start !== start.shown) start.show(selection.start);
      if (selection.end !== end.shown) end.show(selection.end);
    }
    const invalid = firstInvalid();
    if (!applying && invalid) apply(invalid);
  });

  function firstInvalid() {
    return [start, end].find((field) => field.invalid);
  }

  return {fields: [start.node, end.node], firstInvalid};
}

/**
 * A field for `90.5`, `1:02.500` and, in the out point, `+10` after the in point.
 *
 * @param {{id: string, key: string, name: string, label: string, set: string, meaning: string}} texts
 * @param {ShownTimes} times
 * @param {(field: TimeField) => void} onedit
 * @param {() => void} onset
 * @returns {TimeField}
 */
function timeField({id, key, name, label, set, meaning}, times, onedit, onset) {
  const problem = h("p", {class: "why", id: `${id}-problem`, role: "alert"});
  const input = h("input", {
    class: "time",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "–:––.–––",
    title: meaning,
    "aria-label": label,
    "aria-describedby": problem.id,
  });
  const here = h("button", {type: "button", class: "here", title: `${set} (${key})`, "aria-label": set, onclick: onset}, name);
  let displayed = ""; // text set by the page, rounded
  /** @type {TimeField} */
  const field = {
    node: h("div", {class: "labelled"}, input, here, problem),
    problem,
    shown: null,
    get text() {
      return input.value.trim();
    },
    get typed() {
      return input.value !== displayed;
    },
    get invalid() {
      return problem.textContent !== "";
    },
    focus: () => input.focus(),
    /** @param {number | null} time */
    show(time) {
      field.shown = time;
      displayed = time === null ? "" : times.format(time);
      input.value = displayed;
      input.classList.toggle("long", displayed.length > LONG_TEXT);
      field.setProblem("");
    },
    /** @param {string} why */
    setProblem(why) {
      if (why) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
      problem.textContent = why && `${name}: ${why}.`;
    },
  };
  input.addEventListener("focus", () => input.select());
  input.addEventListener("change", () => onedit(field));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      onedit(field);
    }
  });
  return field;
}
