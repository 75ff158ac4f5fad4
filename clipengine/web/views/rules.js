// Rules, which make clips without a request, and the log of each one.

import {get, patch, query, remove} from "../lib/api.js";
import {confirmDialog} from "../lib/dialogs.js";
import {h, icon} from "../lib/dom.js";
import {serverText} from "../lib/error_views.js";
import {formatAge} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {plural, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {showLog, showResources} from "./logged_resources.js";
import {addRule, EVENT_TEXTS, editRule, RANGE_TEXTS} from "./rule_dialog.js";
import {tryRule} from "./rule_try.js";

/** @type {Record<Batch["state"], [text: string, kind: string]>} */
const STATES = {waiting: [t("Waiting"), ""], making: [t("In work"), "busy"], complete: [t("Complete"), "good"], cancelled: [t("Cancelled"), ""]};

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} _params
 * @param {AbortSignal} signal
 */
export const showRules = (main, _params, signal) =>
  showResources(main, {
    title: t("Rules"),
    addText: t("Add rule"),
    add: addRule,
    ask: () => get("/v1/rules?limit=100", {signal}),
    row: ruleRow,
    empty: emptyState,
  });

function emptyState() {
  return h(
    "li",
    {class: "empty"},
    icon("loop"),
    h("h2", {}, t("No rules yet")),
    h("p", {}, t("A rule makes clips of each new recording that meets its conditions."), " ", h("a", {href: "/docs/rules"}, t("What rules can do"))),
  );
}

/** @param {Rule} rule */
function ruleState(rule) {
  if (rule.enabled) return h("span", {class: "pill good"}, t("On"));
  return h("span", {class: "pill bad"}, rule.stopped_reason ? t("Disabled") : t("Off"));
}

/** @param {Rule} rule */
const counts = (rule) =>
  [
    plural(rule.made, "{count} clip made", "{count} clips made"),
    plural(rule.skipped, "{count} range skipped", "{count} ranges skipped"),
    plural(rule.failed, "{count} clip failed", "{count} clips failed"),
  ].join(" · ");

/** @param {Rule} rule */
function summary(rule) {
  const parts = [EVENT_TEXTS[rule.when.event ?? "recording.complete"], RANGE_TEXTS[rule.ranges.kind], rule.origin === "settings" ? t("from the settings") : ""];
  return h("p", {class: "muted small"}, parts.filter(Boolean).join(" · "));
}

/**
 * Return why a rule does not act, with the error of its last clip and a button that enables it.
 *
 * @param {Rule} rule
 * @param {() => Promise<void>} reload
 */
function stopped(rule, reload) {
  if (rule.enabled) return null;
  const failed = rule.last_error?.message ? serverText(String(rule.last_error.message)) : "";
  return h(
    "div",
    {class: "row small"},
    h("span", {class: "grow bad"}, rule.stopped_reason ? serverText(rule.stopped_reason) : "", failed ? [": ", failed] : ""),
    h("button", {type: "button", onclick: asyncHandler(() => enable(rule, reload))}, icon("check"), t("Enable")),
  );
}

/**
 * @param {Rule} rule
 * @param {() => Promise<void>} reload
 */
async function enable(rule, reload) {
  await patch(`/v1/rules/${rule.rule_id}`, {enabled: !rule.enabled});
  await reload();
}

/**
 * @param {Rule} rule
 * @param {() => Promise<void>} reload
 */
function ruleRow(rule, reload) {
  return h(
    "li",
    {class: "webhook rule"},
    h(
      "div",
      {class: "stack"},
      h("a", {class: "name clip", href: `#/rules/${rule.rule_id}`}, h("bdi", {}, rule.name)),
      summary(rule),
      h("p", {class: "muted small"}, counts(rule)),
      stopped(rule, reload),
    ),
    ruleState(rule),
    ruleMenu(rule, reload),
  );
}

/**
 * @param {Rule} rule
 * @param {() => Promise<void>} reload
 */
function ruleMenu(rule, reload) {
  const own = rule.origin === "api"; // not from the settings
  return menuButton(t("More actions for {name}", {name: rule.name}), "more", () => [
    {text: t("Try…"), icon: "play", run: () => tryRule(rule)},
    {text: rule.enabled ? t("Disable") : t("Enable"), icon: rule.enabled ? "x" : "check", run: () => enable(rule, reload)},
    own && {text: t("Edit…"), icon: "pen", run: () => editRule(rule, reload)},
    own && {
      text: t("Delete…"),
      icon: "trash",
      danger: true,
      run: async () => {
        if (!(await confirmDialog(t("Delete this rule?"), t("The clips that {name} has made stay.", {name: rule.name}), t("Delete")))) return;
        await remove(`/v1/rules/${rule.rule_id}`);
        await reload();
      },
    },
  ]);
}

// ---- one rule

/**
 * Return the webhooks that get the clips of a rule, with links to them.
 *
 * @param {Rule} rule
 * @param {Webhook[]} webhooks
 */
function receivers(rule, webhooks) {
  const those = webhooks.filter(({enabled, events, wants}) => enabled && events.includes("clip.ready") && (wants?.rules?.includes(rule.rule_id) ?? true));
  return h(
    "p",
    {class: "muted small"},
    those.length ? t("Its clips are sent to:") : t("No webhook gets its clips."),
    those.flatMap((each) => [" ", h("a", {class: "mono", href: `#/webhooks/${each.webhook_id}`}, each.url)]),
    ...(those.length ? [] : [" ", h("a", {href: "#/webhooks"}, t("Webhooks"))]),
  );
}

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showRule(main, {id}, signal) {
  let drawn = "";

  /**
   * @param {HTMLElement} head
   * @param {Node} back
   */
  async function drawHead(head, back) {
    const [rule, {data: webhooks}] = await Promise.all([get(`/v1/rules/${id}`, {signal}), get("/v1/webhooks?limit=100", {signal})]);
    const shown = JSON.stringify([rule, webhooks]);
    if (drawn === shown) return;
    drawn = shown;
    const redraw = () =>
      drawHead(head, back).catch(() => {
        location.hash = "#/rules";
      });
    head.replaceChildren(
      h(
        "div",
        {class: "head"},
        back,
        h("div", {class: "grow"}, h("h1", {class: "clip"}, h("bdi", {}, rule.name)), summary(rule), h("p", {class: "muted small"}, counts(rule))),
        ruleState(rule),
        h("button", {type: "button", onclick: asyncHandler(() => tryRule(rule))}, icon("play"), t("Try…")),
        ruleMenu(rule, redraw),
      ),
      receivers(rule, webhooks),
      ...[stopped(rule, redraw)].filter((each) => each !== null),
    );
  }

  await showLog(main, signal, {
    title: t("Rule"),
    back: {href: "#/rules", text: t("All rules")},
    logTitle: t("Log"),
    drawHead,
    refreshesHead: true,
    ask: (cursor) => get(query(`/v1/rules/${id}/batches`, {limit: 50, cursor}), {signal}),
    idOf: (batch) => batch.batch_id,
    row: batchRow,
    empty: () => h("div", {class: "empty"}, h("h2", {}, t("Nothing made yet")), h("p", {}, t("Try shows what the rule would make of a recording."))),
  });
}

/** @param {Batch} first */
function batchRow(first) {
  const line = h("summary", {});
  const inside = h("ul", {class: "inside small"});
  const node = h("details", {class: "delivery batch"}, line, inside);
  let shown = "";

  /** @param {Batch} batch */
  function update(batch) {
    const text = JSON.stringify(batch);
    if (text === shown) return;
    shown = text;
    const [word, kind] = STATES[batch.state];
    line.replaceChildren(
      h("span", {}, h("span", {class: `pill ${kind}`}, word)),
      h("span", {class: "mono small clip"}, batch.recording_id ?? ""),
      h("span", {class: "small clip"}, batchCounts(batch)),
      h("span", {class: "muted small clip"}, batch.reason && t("waits: {reason}", {reason: batch.reason})),
      h("span", {class: "muted small", title: batch.created_at}, formatAge(batch.created_at)),
    );
    inside.replaceChildren(
      h("li", {}, h("a", {href: `#/recordings/${batch.recording_id}`}, t("Open the recording"))),
      ...batch.items.map((item) =>
        h(
          "li",
          {class: item.code ? "bad" : ""},
          item.clip_id && h("span", {class: "mono"}, item.clip_id),
          item.share_url && [" ", h("a", {href: item.share_url}, t("Shared link"))],
          item.code && [item.clip_id ? " · " : "", serverText(item.message ?? item.code)],
        ),
      ),
    );
  }
  update(first);
  return {node, update};
}

/** @param {Batch} batch */
const batchCounts = (batch) =>
  [
    plural(batch.made, "{count} clip made", "{count} clips made"),
    batch.skipped && plural(batch.skipped, "{count} range skipped", "{count} ranges skipped"),
    batch.failed && plural(batch.failed, "{count} clip failed", "{count} clips failed"),
    batch.left_out && plural(batch.left_out, "{count} range left out", "{count} ranges left out"),
  ]
    .filter(Boolean)
    .join(" · ");
