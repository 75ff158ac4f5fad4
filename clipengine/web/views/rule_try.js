// The dialog that shows what a rule would make of a recording, without making it.

import {get, post, query} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {errorText, serverText} from "../lib/error_views.js";
import {formatTime, titleOf} from "../lib/format.js";
import {plural, t} from "../lib/texts.js";

const OFFERED = 100; // recordings, newest first

/** @typedef {Sent<"post", "/v1/rules/try">} RuleTrial */

/** @param {Rule | Omit<RuleTrial, "recording_id">} rule a stored rule or a new one */
export async function tryRule(rule) {
  const {data: recordings} = await get(query("/v1/recordings", {status: "complete", limit: OFFERED}));
  const choice = h(
    "select",
    {onchange: () => show()},
    recordings.map((recording) => h("option", {value: recording.recording_id}, titleOf(recording))),
  );
  const result = h("div", {class: "stack", role: "status"});
  let asked = 0;

  // An answer for a recording that was chosen before is ignored.
  async function show() {
    const number = ++asked;
    const recording_id = choice.value;
    try {
      const tried = "rule_id" in rule ? await post(`/v1/rules/${rule.rule_id}/try`, {recording_id}) : await post("/v1/rules/try", {...rule, recording_id});
      if (number === asked) result.replaceChildren(...outcome(tried));
    } catch (error) {
      if (number === asked) result.replaceChildren(h("p", {class: "bad"}, errorText(error)));
    }
  }

  openDialog(
    t("What the rule would make"),
    h(
      "div",
      {class: "stack"},
      recordings.length ? h("label", {class: "field"}, t("Recording"), choice) : h("p", {}, t("There is no complete recording.")),
      result,
    ),
  );
  if (recordings.length) await show();
}

/** @param {TriedRule} tried */
function outcome(tried) {
  return [
    h("p", {}, plural(tried.data.length, "{count} clip would be made", "{count} clips would be made")),
    tried.matches ? null : h("p", {class: "bad"}, t("This recording does not meet the conditions.")),
    h(
      "ul",
      {class: "tried small"},
      tried.data.map(({body, error}) =>
        h(
          "li",
          {},
          h("span", {class: "mono"}, `${formatTime(Number(body.start_seconds))} – ${formatTime(Number(body.end_seconds))}`),
          " ",
          h("bdi", {}, String(body.label)),
          error && h("span", {class: "bad"}, " · ", serverText(String(error.message))),
        ),
      ),
      tried.skipped.map((each) => h("li", {class: "muted"}, serverText(each.message))),
    ),
    tried.left_out ? h("p", {class: "muted"}, plural(tried.left_out, "{count} range left out", "{count} ranges left out")) : null,
  ].filter((each) => each !== null);
}
