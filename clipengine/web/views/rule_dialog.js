// The dialogs that add and edit a rule. Options that the form lacks are kept.

import {get, patch, post} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {tryRule} from "./rule_try.js";

/** @typedef {Record<string, any>} Values */
/** @typedef {{name: string, when: Values, ranges: Values, clip: Values, max_clips: number}} RuleForm */
/** @typedef {[value: string, text: string]} Choice */
/**
 * A field of the form. `list` has values between commas; `of` are the kinds of ranges, or the events, that have it.
 *
 * @typedef {{name: string, text: string, type: "text" | "number" | "list", of?: string[]}} Field
 */

/** @type {Record<string, string>} */
export const EVENT_TEXTS = {
  "recording.complete": t("A recording is complete"),
  "transcript.ready": t("A recording has a transcript"),
  "marker.added": t("A marker is added"),
};
/** @type {Record<string, string>} */
export const RANGE_TEXTS = {
  all: t("The whole recording"),
  first: t("The first seconds"),
  last: t("The last seconds"),
  chapters: t("Each chapter"),
  hours: t("Each hour of the day"),
  markers: t("Each marker"),
  suggestions: t("The best moments of the transcript"),
  words: t("Sentences with certain words"),
};
/** @type {Field[]} */
const CONDITIONS = [
  {name: "series", text: t("Series"), type: "text"},
  {name: "tag", text: t("Tag"), type: "text"},
  {name: "prefix", text: t("Beginning of the object key"), type: "text"},
  {name: "source", text: t("Source, such as livekit"), type: "text"},
  {name: "min_seconds", text: t("Least length in seconds"), type: "number"},
  {name: "language", text: t("Language of the transcript"), type: "text", of: ["transcript.ready"]},
];
/** @type {Field[]} */
const PARAMETERS = [
  {name: "seconds", text: t("Seconds"), type: "number", of: ["first", "last"]},
  {name: "title_words", text: t("Words in titles, with commas"), type: "list", of: ["chapters"]},
  {name: "timezone", text: t("Time zone"), type: "text", of: ["hours"]},
  {name: "from_hour", text: t("From hour"), type: "number", of: ["hours"]},
  {name: "to_hour", text: t("To hour"), type: "number", of: ["hours"]},
  {name: "limit", text: t("Number of moments"), type: "number", of: ["suggestions"]},
  {name: "words", text: t("Words, with commas"), type: "list", of: ["words"]},
  {name: "labels", text: t("Words in labels, with commas"), type: "list", of: ["markers"]},
  {name: "before", text: t("Seconds before"), type: "number", of: ["markers", "words"]},
  {name: "after", text: t("Seconds after"), type: "number", of: ["markers", "words"]},
];
/** @type {Field[]} */
const CLIP = [
  {name: "label", text: t("Label, such as $name $number"), type: "text"},
  {name: "tags", text: t("Tags, with commas"), type: "list"},
  {name: "expires_in_days", text: t("Delete after days"), type: "number"},
];

/** @type {RuleForm} */
const NEW = {name: "", when: {}, ranges: {kind: "all"}, clip: {}, max_clips: 20};

/**
 * @param {string} label
 * @param {Choice[]} options
 * @param {string} value
 * @param {() => void} [onchange]
 */
function choice(label, options, value, onchange) {
  const select = h(
    "select",
    {onchange},
    options.map(([name, text]) => h("option", {value: name, selected: name === value}, text)),
  );
  return {select, node: h("label", {class: "field"}, label, select)};
}

/**
 * Return the inputs of fields, and `read`, which returns their values over the current ones.
 *
 * @param {Field[]} fields
 * @param {Values} current
 */
function inputs(fields, current) {
  const made = fields.map((field) => {
    const value = current[field.name] ?? "";
    const input = h("input", {
      type: field.type === "number" ? "number" : "text",
      step: field.type === "number" ? "any" : null,
      value: Array.isArray(value) ? value.join(", ") : value,
    });
    return {field, input, node: h("label", {class: "field"}, field.text, input)};
  });
  /** @param {string} kind */
  const show = (kind) => {
    for (const {field, node} of made) node.hidden = Boolean(field.of && !field.of.includes(kind));
  };
  const read = () => {
    const values = {...current};
    for (const {field, input, node} of made) {
      delete values[field.name];
      const text = input.value.trim();
      if (text && !node.hidden) values[field.name] = parsed(field, text);
    }
    return values;
  };
  return {nodes: made.map(({node}) => node), read, show};
}

/**
 * @param {Field} field
 * @param {string} text
 */
function parsed({type}, text) {
  if (type === "number") return Number(text);
  if (type === "text") return text;
  return text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
}

/**
 * @param {string} title
 * @param {string} action
 * @param {RuleForm} current
 * @param {(rule: any) => Promise<unknown>} save
 * @param {() => Promise<void>} reload
 */
async function ruleDialog(title, action, current, save, reload) {
  const {data: profiles} = await get("/v1/profiles");
  const name = h("input", {type: "text", required: true, value: current.name, "aria-describedby": "rule-problem"});
  const event = choice(t("When"), Object.entries(EVENT_TEXTS), current.when.event ?? "recording.complete", fit);
  const kind = choice(t("Ranges"), Object.entries(RANGE_TEXTS), current.ranges.kind, fit);
  const has = choice(
    t("Only recordings with"),
    [
      ["", t("Anything")],
      ["video", t("Video")],
      ["audio", t("Audio")],
    ],
    current.when.has ?? "",
  );
  const names = profiles.map((profile) => /** @type {Choice} */ ([profile.name, profile.name]));
  const profile = choice(t("Profile"), [["", t("As in the settings")], ...names], current.clip.profile ?? "");
  const shared = h("input", {type: "checkbox", checked: Boolean(current.clip.share)});
  const most = h("input", {type: "number", min: 1, max: 200, required: true, value: current.max_clips});
  const [conditions, parameters, clip] = [inputs(CONDITIONS, current.when), inputs(PARAMETERS, current.ranges), inputs(CLIP, current.clip)];
  const problem = h("p", {id: "rule-problem", class: "bad small", role: "alert"});

  function fit() {
    conditions.show(event.select.value);
    parameters.show(kind.select.value);
  }

  /** @returns {any} the rule without its name; the server checks it */
  function options() {
    const {has: _has, ...when} = conditions.read();
    const {profile: _profile, share, ...look} = clip.read();
    return {
      when: {...when, event: event.select.value, ...(has.select.value ? {has: has.select.value} : {})},
      ranges: {...parameters.read(), kind: kind.select.value},
      clip: {...look, ...(profile.select.value ? {profile: profile.select.value} : {}), ...(shared.checked ? {share: share ?? {}} : {})},
      max_clips: Number(most.value),
    };
  }

  /** @param {SubmitEvent} submitted */
  async function submit(submitted) {
    submitted.preventDefault();
    problem.textContent = "";
    try {
      await save({name: name.value.trim(), ...options()});
      dialog.close();
      await reload();
    } catch (error) {
      problem.replaceChildren(errorText(error));
      name.setAttribute("aria-invalid", "true");
    }
  }

  fit();
  const dialog = openDialog(
    title,
    h(
      "form",
      {class: "stack", onsubmit: submit},
      h("label", {class: "field"}, t("Name"), name),
      h("fieldset", {class: "stack"}, event.node, conditions.nodes, has.node),
      h("fieldset", {class: "stack"}, kind.node, parameters.nodes),
      h(
        "fieldset",
        {class: "stack"},
        h("legend", {}, t("Clips")),
        clip.nodes,
        profile.node,
        h("label", {class: "check"}, shared, t("Share each clip")),
        h("label", {class: "field"}, t("At most clips of a recording"), most),
      ),
      problem,
      h(
        "div",
        {class: "row end"},
        h("button", {type: "button", onclick: asyncHandler(() => tryRule(options()))}, t("Try…")),
        h("button", {class: "primary"}, action),
      ),
    ),
  );
  name.focus();
}

/** @param {() => Promise<void>} reload */
export const addRule = (reload) => ruleDialog(t("Add rule"), t("Add"), NEW, (rule) => post("/v1/rules", rule), reload);

/**
 * Send only what has changed, so that the server does not judge the rest again.
 *
 * @param {Rule} rule
 * @param {() => Promise<void>} reload
 */
export function editRule(rule, reload) {
  const before = /** @type {Values} */ (rule);
  const save = (/** @type {Values} */ after) => {
    const changed = Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
    return patch(`/v1/rules/${rule.rule_id}`, Object.fromEntries(changed));
  };
  return ruleDialog(t("Edit rule"), t("Save"), /** @type {any} */ (rule), save, reload);
}
