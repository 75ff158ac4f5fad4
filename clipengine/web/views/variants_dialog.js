// The dialog that makes variants of the selected clips: the same ranges with another profile, shape or subtitles.

import {get, post} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h, setText} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatBytes} from "../lib/format.js";
import {plural, t} from "../lib/texts.js";
import {followBatch} from "./batches.js";

const SHAPES = ["9:16", "1:1", "4:5", "16:9"];

/**
 * @param {string} label
 * @param {[value: string, text: string][]} options the first is the one without a change
 * @param {() => void} onchange
 */
function choice(label, options, onchange) {
  const select = h(
    "select",
    {onchange},
    options.map(([value, text]) => h("option", {value}, text)),
  );
  return {select, field: h("label", {class: "field"}, label, select)};
}

/** @param {Clip[]} clips */
export async function makeVariants(clips) {
  const {data: profiles} = await get("/v1/profiles");
  const same = /** @type {[string, string]} */ (["", t("As in each clip")]);
  const profile = choice(t("Profile"), [same, ...profiles.map(({name}) => /** @type {[string, string]} */ ([name, name]))], tryOut);
  const shape = choice(t("Aspect ratio"), [same, ...SHAPES.map((each) => /** @type {[string, string]} */ ([each, each]))], tryOut);
  const subtitles = choice(t("Subtitles"), [same, ["burn", t("Draw into the picture")], ["keep", t("Keep")], ["none", t("Leave out")]], tryOut);
  const status = h("p", {class: "muted small", role: "status"});
  const make = h("button", {class: "primary", disabled: true}, t("Make variants"));
  let asked = 0;
  let selection = "";

  const request = () => ({
    clip_ids: clips.map((clip) => clip.clip_id),
    changes: {
      ...(profile.select.value ? {profile: profile.select.value} : {}),
      ...(shape.select.value ? {output: {aspect: shape.select.value}} : {}),
      ...(subtitles.select.value ? {subtitles: {mode: /** @type {"burn"} */ (subtitles.select.value)}} : {}),
    },
  });

  // Show what would be made. An answer to former choices is ignored.
  async function tryOut() {
    const number = ++asked;
    make.disabled = true;
    const body = request();
    if (!Object.keys(body.changes).length) {
      setText(status, t("Choose what differs."));
      return;
    }
    try {
      const tried = await post("/v1/clips/variants", {...body, dry_run: true});
      if (number !== asked || !("selection" in tried)) return;
      selection = tried.selection;
      make.disabled = !tried.count;
      const left = tried.skipped + tried.refused;
      const reason = tried.data.find(({error}) => error)?.error;
      setText(
        status,
        [
          plural(tried.count, "{count} variant of clips of {size}", "{count} variants of clips of {size}", {size: formatBytes(tried.bytes)}),
          left ? plural(left, "{count} clip is left out", "{count} clips are left out") : "",
          left && reason ? String(reason.message) : "",
        ]
          .filter(Boolean)
          .join(" · "),
      );
    } catch (error) {
      if (number === asked) status.replaceChildren(errorText(error));
    }
  }

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    make.disabled = true;
    try {
      const batch = await post("/v1/clips/variants", {...request(), selection});
      dialog.close();
      if ("total" in batch) followBatch(batch, t("Variants are being made"));
    } catch (error) {
      status.replaceChildren(errorText(error));
      make.disabled = false;
    }
  }

  const dialog = openDialog(
    plural(clips.length, "Variants of {count} clip", "Variants of {count} clips"),
    h("form", {class: "stack", onsubmit: submit}, profile.field, shape.field, subtitles.field, status, h("div", {class: "row end"}, make)),
    {size: "narrow"},
  );
  tryOut();
  profile.select.focus();
}
