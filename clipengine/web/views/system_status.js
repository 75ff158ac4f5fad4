// What the System view shows of the work: queues and encoders, the last 24 hours, failures, engines and checks.

import {h, table} from "../lib/dom.js";
import {serverText} from "../lib/error_views.js";
import {formatBytes, formatClock, formatTime} from "../lib/format.js";
import {formatNumber, plural, rich, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {showClip} from "./system_work.js";

const HOUR_MS = 3600000;
const HOURS = 24;

/** @param {Status} status */
export function figures({queue, engines, disk, store, watch, webhooks, version}) {
  const busy = engines.reduce((sum, engine) => sum + engine.encoders_busy, 0);
  const encoders = engines.reduce((sum, engine) => sum + (engine.encoders || 0), 0);
  const wait = queue.oldest_queued_seconds ? t("longest wait {time}", {time: formatTime(queue.oldest_queued_seconds, 0)}) : t("none is waiting");
  const pending = webhooks.deliveries_pending ? t("oldest {time}", {time: formatTime(webhooks.oldest_delivery_seconds, 0)}) : t("none is waiting");
  const unread = watch.left_out ? plural(watch.left_out, "{count} file left out, see the log", "{count} files left out, see the log") : "";
  /** @type {[name: string, value: string | number, detail: string][]} */
  const shown = [
    [t("Clips queued"), queue.clips_queued, wait],
    [t("Encoders busy"), t("{part} of {whole}", {part: busy, whole: encoders}), plural(engines.length, "{count} engine", "{count} engines")],
    [t("Recordings to probe"), queue.recordings_processing, unread],
    [t("Objects to delete"), queue.removals_pending, ""],
    [t("Webhooks pending"), webhooks.deliveries_pending, pending],
    [
      t("Disk free"),
      disk.free_bytes === null ? t("unknown") : formatBytes(disk.free_bytes),
      t("{size} are kept free", {size: formatBytes(disk.min_free_bytes)}),
    ],
    [t("Store"), store.bucket || t("folder"), store.free_bytes === null ? "" : t("{size} free", {size: formatBytes(store.free_bytes)})],
    [t("Version"), version, ""],
  ];
  return h(
    "dl",
    {class: "figures panel"},
    shown.map(([name, value, detail]) =>
      h(
        "div",
        {},
        h("dt", {class: "muted small"}, name),
        h("dd", {}, h("strong", {}, typeof value === "number" ? formatNumber(value) : value), h("span", {class: "muted small"}, detail)),
      ),
    ),
  );
}

/**
 * Bars of the last 24 hours, with the same figures as a text for screen readers.
 *
 * @param {Status["last_day"]} day
 */
export function hours({hours: found, clips_ready: ready, clips_failed: failed}) {
  const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const byHour = new Map(found.map((hour) => [Date.parse(hour.at), hour]));
  const most = Math.max(1, ...found.map((hour) => hour.clips_ready + hour.clips_failed));
  const bars = [...Array(HOURS).keys()].map((back) => {
    const at = now - (HOURS - 1 - back) * HOUR_MS;
    const {clips_ready: good = 0, clips_failed: bad = 0} = byHour.get(at) || {};
    const time = formatClock(at);
    /**
     * @param {number} count
     * @param {string} kind
     */
    const bar = (count, kind) => {
      const node = h("i", {class: kind});
      node.style.height = `${(100 * count) / most}%`;
      return node;
    };
    return h("div", {class: "hour", title: t("{time}: {good} ready, {bad} failed", {time, good, bad})}, bar(bad, "bad"), bar(good, "good"));
  });
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Last 24 hours")),
    h(
      "div",
      {class: "panel chart"},
      h(
        "p",
        {},
        rich("{ready} clips ready, {failed} failed", {
          ready: h("strong", {}, formatNumber(ready)),
          failed: h("strong", {class: failed ? "bad" : ""}, formatNumber(failed)),
        }),
      ),
      h("div", {class: "hours", "aria-hidden": "true"}, bars),
      h("p", {class: "row muted small", "aria-hidden": "true"}, h("span", {class: "grow"}, t("24 hours ago")), t("now")),
    ),
  );
}

/**
 * @param {Status["last_day"]} day
 * @param {AbortSignal} signal
 */
export function failures({failures: found}, signal) {
  if (!found.length) return [];
  const all = h("a", {href: "#/clips?status=failed"}, t("All failed clips"));
  return tableSection(
    h("div", {class: "row sub"}, h("h2", {class: "grow"}, t("Failures")), all),
    [t("Code"), t("Clips"), ""],
    found.map((each) =>
      h(
        "tr",
        {},
        h("td", {}, h("a", {class: "mono", href: `/docs/errors#${each.code}`}, each.code)),
        h("td", {}, String(each.clips)),
        h("td", {}, h("button", {type: "button", class: "quiet", onclick: asyncHandler(() => showClip(each.last_clip_id, signal))}, t("Show the last clip"))),
      ),
    ),
  );
}

/** @param {Status["engines"]} found */
export function engines(found) {
  return tableSection(
    h("h2", {class: "sub"}, t("Engines")),
    [t("Host"), t("Version"), t("Encoders"), t("State")],
    found.map((engine) =>
      h(
        "tr",
        {},
        h("td", {title: engine.engine_id}, engine.host),
        h("td", {}, engine.version || t("unknown")),
        h(
          "td",
          {},
          h("progress", {max: String(engine.encoders || 1), value: engine.encoders_busy, "aria-hidden": "true"}),
          t("{part} of {whole} busy", {part: engine.encoders_busy, whole: engine.encoders ?? "?"}),
        ),
        h("td", {}, engine.stopping ? t("Stopping") : t("Running")),
      ),
    ),
  );
}

/** @param {Status["checks"]} found */
export function checks(found) {
  return tableSection(
    h("h2", {class: "sub"}, t("Checks")),
    [t("Check"), t("State"), t("Detail")],
    found.map((check) =>
      h(
        "tr",
        {},
        h("td", {}, check.name),
        h("td", {}, h("span", {class: check.ok ? "pill good" : "pill bad"}, check.ok ? t("Good") : t("Failing"))),
        h("td", {class: "muted"}, serverText(check.detail ?? "")),
      ),
    ),
  );
}

/**
 * @param {HTMLElement} heading
 * @param {string[]} titles of the columns
 * @param {HTMLElement[]} rows
 */
function tableSection(heading, titles, rows) {
  return h("section", {}, heading, h("div", {class: "panel scroll"}, table(titles, h("tbody", {}, rows))));
}
