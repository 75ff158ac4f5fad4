// The switch for smart render beside the profile, with what it saves for the selection.

import {post} from "../../lib/api.js";
import {h} from "../../lib/dom.js";
import {serverText} from "../../lib/error_views.js";
import {formatNumber, rich, t} from "../../lib/texts.js";

/**
 * Codecs of which packets are copied, and the containers into which they are.
 *
 * @type {Record<string, string[]>}
 */
const COPIED = {h264: ["mp4", "mkv"], hevc: ["mp4", "mkv"], vp8: ["webm", "mkv"], vp9: ["webm", "mkv"]};
/** @import {Selection} from "../segments/selection.js" */

const PAUSE_MS = 400; // after the last change of the selection

/**
 * `show(profile)` adapts the switch to a profile of the API. `render()` returns the value for a request.
 *
 * @param {{recording: ReadyRecording, selection: Selection, signal: AbortSignal}} options
 */
export function smartSwitch({recording, selection, signal}) {
  const box = h("input", {type: "checkbox"});
  const saving = h("span", {class: "muted small", role: "status"});
  const node = h(
    "div",
    {class: "field smart", hidden: true},
    h("label", {class: "check", title: t("Copies whole groups of pictures of the recording, and encodes only the frames at the cuts")}, box, t("Smart render")),
    saving,
  );
  /** @type {Profile | null} */
  let profile = null;
  /** @type {number | undefined} */
  let timer;
  /** @type {AbortController | null} */
  let running = null;

  const possible = () => {
    const codec = recording.media?.video?.codec;
    return Boolean(codec && profile?.video === codec && COPIED[codec]?.includes(profile.container));
  };

  /** The value with which what can be copied is copied. */
  const copying = () => (profile?.render === "auto" ? "auto" : "smart");

  /** @param {Profile} chosen */
  function show(chosen) {
    profile = chosen;
    node.hidden = !possible();
    box.checked = chosen.render !== "encode";
    plan();
  }

  function plan() {
    clearTimeout(timer);
    running?.abort();
    saving.textContent = "";
    if (node.hidden || !box.checked || selection.empty) return;
    timer = setTimeout(ask, PAUSE_MS);
  }

  async function ask() {
    const {range} = selection;
    if (!range || !profile) return;
    running = new AbortController();
    const stop = AbortSignal.any([running.signal, signal]);
    const body = {label: "plan", start_seconds: Number(range.start.toFixed(6)), end_seconds: Number(range.end.toFixed(6)), profile: profile.name};
    const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/clips/plan`);
    try {
      const smart = await post(path, {...body, render: copying()}, {signal: stop});
      const whole = await post(path, {...body, render: "encode"}, {signal: stop});
      if (!stop.aborted) saving.replaceChildren(...describe(smart, whole));
    } catch {
      // The plan is a hint: the clip itself reports what is wrong.
    }
  }

  box.addEventListener("change", plan);
  selection.addEventListener("change", plan);
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    node,
    show,
    /** @returns {{render?: Profile["render"]}} of a request */
    render: () => (possible() ? {render: box.checked ? copying() : "encode"} : {}),
  };
}

/**
 * @param {ClipPlan} smart
 * @param {ClipPlan} whole
 */
function describe(smart, whole) {
  const copied = smart.segments.filter((each) => each.kind === "copy").reduce((sum, each) => sum + each.end_seconds - each.start_seconds, 0);
  if (!copied) return rich("Everything is encoded: {reason}.", {reason: serverText(smart.segments[0].reason ?? "")});
  const length = smart.actual_end_seconds - smart.actual_start_seconds;
  const percent = Math.round(100 * (1 - smart.estimated_seconds / whole.estimated_seconds));
  return rich("Copies {part} of {whole} s, and saves about {percent} % of the time.", {
    part: formatNumber(copied, 1),
    whole: formatNumber(length, 1),
    percent: Math.max(0, percent),
  });
}
