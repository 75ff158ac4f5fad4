// The part of the System view that says what fills the store, and what will be removed.

import {get} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {bytesFormat} from "../lib/format.js";
import {locale, plural, t} from "../lib/texts.js";
import {table} from "../lib/ui.js";

const DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

/** @param {AbortSignal} signal */
export async function storageSection(signal) {
  const use = await get("/v1/storage", {signal});
  const most = Math.max(use.recordings.bytes, use.clips.bytes, use.previews.bytes, use.ledger_bytes);
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Storage")),
    figures(use, bytesFormat(most)),
    history(use),
    h("p", {class: "muted small"}, removal(use)),
    largest(use),
  );
}

/**
 * @param {StorageUse} use
 * @param {(bytes: number) => string} size
 */
function figures({recordings, clips, previews, transcripts, ledger_bytes: ledger}, size) {
  /** @type {[name: string, bytes: number, detail: string][]} */
  const shown = [
    [t("Recordings"), recordings.bytes, plural(recordings.count, "{count} recording", "{count} recordings")],
    [t("Clips"), clips.bytes, plural(clips.count, "{count} clip", "{count} clips")],
    [t("Previews and proxies"), previews.bytes, plural(previews.count, "{count} file", "{count} files")],
    [t("Ledger"), ledger, plural(transcripts, "{count} transcript", "{count} transcripts")],
  ];
  return h(
    "dl",
    {class: "figures panel"},
    shown.map(([name, bytes, detail]) =>
      h("div", {}, h("dt", {class: "muted small"}, name), h("dd", {}, h("strong", {}, size(bytes)), h("span", {class: "muted small"}, detail))),
    ),
  );
}

/**
 * Bars of the last 30 days, with an axis in one unit. The figures above are its text for screen readers.
 *
 * @param {StorageUse} use
 */
function history({history: days, recordings, clips}) {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  /** @type {Map<number, {recordings: {bytes: number}, clips: {bytes: number}}>} */
  const byDay = new Map(days.map((day) => [Date.parse(day.at), day]));
  byDay.set(today, {recordings, clips}); // the stored one is up to an hour old
  const most = Math.max(1, ...[...byDay.values()].map((day) => day.recordings.bytes + day.clips.bytes));
  const size = bytesFormat(most);
  const bars = [...Array(DAYS).keys()].map((back) => {
    const at = today - (DAYS - 1 - back) * DAY_MS;
    const day = byDay.get(at);
    const date = new Date(at).toLocaleDateString(locale, {day: "numeric", month: "short", timeZone: "UTC"});
    /**
     * @param {number} bytes
     * @param {string} kind
     */
    const bar = (bytes, kind) => {
      const node = h("i", {class: kind});
      node.style.height = `${(100 * bytes) / most}%`;
      return node;
    };
    const title = day
      ? t("{date}: recordings {recordings}, clips {clips}", {date, recordings: size(day.recordings.bytes), clips: size(day.clips.bytes)})
      : t("{date}: not known", {date});
    return h("div", {class: "hour", title}, day ? [bar(day.clips.bytes, "other"), bar(day.recordings.bytes, "good")] : []);
  });
  return h(
    "div",
    {class: "panel chart storage", "aria-hidden": "true"},
    h("div", {class: "axis muted small"}, h("span", {}, size(most)), h("span", {}, size(most / 2)), h("span", {}, size(0))),
    h("div", {class: "hours"}, bars),
    h(
      "p",
      {class: "row muted small"},
      h("span", {class: "grow"}, t("30 days ago")),
      h("span", {class: "legend good"}, t("Recordings")),
      h("span", {class: "legend other"}, t("Clips")),
      h("span", {class: "grow end"}, t("today")),
    ),
  );
}

/** @param {StorageUse} use */
function removal({removed}) {
  const found = removed.find(({clips, recordings}) => clips.count || recordings.count);
  if (!found) return t("Nothing expires within 30 days.");
  const {within_days: days, clips, recordings} = found;
  return t("Within {days}, {size} expire: {clips} and {recordings}.", {
    days: plural(days, "{count} day", "{count} days"),
    size: bytesFormat(clips.bytes + recordings.bytes)(clips.bytes + recordings.bytes),
    clips: plural(clips.count, "{count} clip", "{count} clips"),
    recordings: plural(recordings.count, "{count} recording", "{count} recordings"),
  });
}

/** @param {StorageUse} use */
function largest({largest_recordings: recordings, largest_clips: clips}) {
  const rows = [
    ...recordings.map((each) => ({kind: t("Recording"), name: each.name || each.recording_id, bytes: each.bytes, href: `#/recordings/${each.recording_id}`})),
    ...clips.map((each) => ({kind: t("Clip"), name: each.label, bytes: each.bytes, href: `#/clips?q=${encodeURIComponent(each.label)}`})),
  ];
  rows.sort((a, b) => b.bytes - a.bytes);
  if (!rows.length) return [];
  const size = bytesFormat(rows[0].bytes);
  return h(
    "div",
    {class: "panel scroll"},
    table(
      [t("The largest"), t("Kind"), t("Size")],
      h(
        "tbody",
        {},
        rows
          .slice(0, 10)
          .map(({kind, name, bytes, href}) => h("tr", {}, h("td", {}, h("a", {href}, h("bdi", {}, name))), h("td", {}, kind), h("td", {}, size(bytes)))),
      ),
    ),
  );
}
