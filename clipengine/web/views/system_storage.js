// The part of the System view that says what fills the store, and what will be removed.

import {get, remove} from "../lib/api.js";
import {debounce, h, iconButton, table} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {bytesFormat, formatAge, formatBytes} from "../lib/format.js";
import {may} from "../lib/rights.js";
import {formatNumber, locale, plural, rich, t} from "../lib/texts.js";
import {asyncHandler, toast} from "../lib/toasts.js";

const DAYS = 30;
const LEAST_DAYS = 7; // of history for a forecast
const MOST_WEEKS = 104; // that a forecast looks ahead
const DAY_MS = 24 * 3600 * 1000;
const EVENT_MS = 1000; // after an event

/**
 * Return the section, which follows clips and recordings that appear, end and are deleted.
 *
 * @param {AbortSignal} signal
 */
export async function storageSection(signal) {
  const links = h("section", {class: "panel largest", hidden: true});
  const section = h("div", {class: "storage"});
  async function draw() {
    const [use, {store}] = await Promise.all([get("/v1/storage", {signal}), get("/v1/status", {signal}), drawEndlessLinks(links, signal)]);
    section.replaceChildren(...[space(use, store), history(use), largest(use), links].flat());
  }
  await draw();
  const soon = debounce(EVENT_MS, () => signal.aborted || draw().catch(() => {})); // the bar says when the server is unreachable
  const drawIfEnded = (/** @type {{status: string}} */ {status}) => status === "processing" || soon();
  listen({resync: soon, clip: drawIfEnded, deleted: soon, recording: drawIfEnded}, signal);
  return section;
}

/**
 * Draw the links to clips that never expire, and hide the section without any.
 *
 * @param {HTMLElement} section
 * @param {AbortSignal} signal
 */
async function drawEndlessLinks(section, signal) {
  const {data, next_cursor: more} = await get("/v1/shares?expires=never&limit=100", {signal});
  section.hidden = !data.length;
  const revoke = (/** @type {ListedShare} */ share) =>
    asyncHandler(async () => {
      await remove(`/v1/clips/${share.clip_id}/shares/${share.share_id}`);
      toast(t("Link revoked"), t("It no longer opens the clip."));
      await drawEndlessLinks(section, signal);
    });
  section.replaceChildren(
    h("h2", {}, t("Links without an end")),
    h(
      "ol",
      {},
      data.map((share) =>
        h(
          "li",
          {},
          h("a", {href: `#/clips?q=${encodeURIComponent(share.label)}`, class: "clip"}, h("bdi", {}, share.label)),
          h(
            "span",
            {class: "muted small"},
            [
              t("Created {time}", {time: formatAge(share.created_at)}),
              plural(share.views, "{count} view", "{count} views"),
              share.webhook_hosts && t("for webhooks ({hosts})", {hosts: share.webhook_hosts.join(", ")}),
            ]
              .filter(Boolean)
              .join(" · "),
          ),
          may("delete", "clips", share) && iconButton("trash", t("Revoke link"), revoke(share)),
        ),
      ),
    ),
    more ? h("p", {class: "muted small"}, rich("There are more: {command} lists all.", {command: h("code", {}, "clipengine clips shares --without-end")})) : "",
  );
}

/**
 * Return the free space, what fills the rest, and what of it expires.
 *
 * @param {StorageUse} use
 * @param {Status["store"]} store
 */
function space(use, {free_bytes: free, total_bytes: whole}) {
  const {recordings, clips, previews, transcripts, ledger_bytes: ledger} = use;
  const [soon] = use.removed.slice(-1);
  /** @type {[name: string, bytes: number, count: string, expires: string][]} */
  const rows = [
    [t("Recordings"), recordings.bytes, formatNumber(recordings.count), expiring(soon?.recordings)],
    [t("Clips"), clips.bytes, formatNumber(clips.count), expiring(soon?.clips)],
    [t("Previews and proxies"), previews.bytes, formatNumber(previews.count), t("the oldest first")],
    [t("Ledger"), ledger, plural(transcripts, "{count} transcript", "{count} transcripts"), ""],
  ];
  const total = rows.reduce((sum, [, bytes]) => sum + bytes, 0);
  const size = bytesFormat(Math.max(...rows.map(([, bytes]) => bytes)));
  const others = Math.max(0, (use.used_bytes ?? 0) - total); // without blocks that are reserved for root
  /** @param {"i" | "span"} kind @param {number} bytes */
  const part = (kind, bytes) => {
    const node = h(kind, {});
    node.style.flexGrow = String(bytes / (total + others + (free ?? 0) || 1));
    node.hidden = !bytes;
    return node;
  };
  const parts = [...rows.map(([, bytes]) => part("i", bytes)), part("i", others), part("span", free ?? 0)];
  /** @param {string} name @param {string} bytes @param {string} [count] @param {string} [expires] */
  const row = (name, bytes, count = "", expires = "") =>
    h("tr", {}, h("td", {}, h("i", {class: "key"}), name), h("td", {}, bytes), h("td", {}, count), h("td", {class: "muted"}, expires));
  return h(
    "section",
    {class: "panel space"},
    h(
      "p",
      {class: "row wrap"},
      h("strong", {}, free === null ? t("{size} used", {size: formatBytes(total)}) : t("{size} free", {size: formatBytes(free)})),
      whole === null ? "" : h("span", {}, t("of {size}", {size: formatBytes(whole)})),
      h("span", {class: "muted"}, pace(use, free)),
    ),
    limitOfClips(use),
    h("div", {class: "parts", "aria-hidden": "true"}, parts),
    h(
      "div",
      {class: "scroll"},
      table(
        [t("What"), t("Size"), t("Count"), soon ? t("Expire within {days} days", {days: soon.within_days}) : ""],
        h(
          "tbody",
          {},
          rows.map(([name, bytes, count, expires]) => row(name, size(bytes), count, expires)),
          others ? row(t("Other files"), formatBytes(others)) : [],
        ),
      ),
    ),
  );
}

/**
 * Return how much of their limit the clips use, as a warning if it is near or cannot be kept.
 *
 * @param {StorageUse} use
 */
function limitOfClips({clips, clips_limit: limit}) {
  if (!limit) return "";
  const used = t("Clips use {used} of at most {limit}.", {used: formatBytes(clips.bytes), limit: formatBytes(limit.max_bytes)});
  if (limit.state === "ok") return h("p", {class: "muted small"}, used);
  const hint =
    limit.state === "warning"
      ? t("Above the limit, clips that expire soonest and the oldest ones are deleted. The tag “keep” or a share protects a clip.")
      : t("No further clip may be deleted: raise the limit, delete clips, or take the tag “keep” or shares from some of them.");
  return h("div", {class: limit.state === "warning" ? "notice warn" : "notice bad", role: "status"}, h("div", {}, h("strong", {}, used), h("p", {}, hint)));
}

/** @param {{count: number, bytes: number} | undefined} amount */
const expiring = (amount) => (amount?.count ? t("{count}, {size}", {count: formatNumber(amount.count), size: formatBytes(amount.bytes)}) : t("nothing"));

/**
 * Return when the store will be full if it goes on to grow as in the last 30 days; "" if that is far or not known.
 *
 * @param {StorageUse} use
 * @param {number | null} free
 */
function pace({history: days, recordings, clips}, free) {
  const [first] = days;
  const passed = first ? (Date.now() - Date.parse(first.at)) / DAY_MS : 0;
  if (free === null || passed < LEAST_DAYS) return "";
  const grown = recordings.bytes + clips.bytes - first.recordings.bytes - first.clips.bytes;
  const weeks = grown > 0 ? Math.round(free / (grown / passed) / 7) : Infinity;
  return weeks <= MOST_WEEKS
    ? plural(weeks, "At the pace of the last 30 days it is full in about {count} week.", "At the pace of the last 30 days it is full in about {count} weeks.")
    : "";
}

/**
 * Bars of the last 30 days, with an axis in one unit; none if nothing was stored. The figures above are its text for screen readers.
 *
 * @param {StorageUse} use
 */
function history({history: days, recordings, clips}) {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  /** @type {Map<number, {recordings: {bytes: number}, clips: {bytes: number}}>} */
  const byDay = new Map(days.map((day) => [Date.parse(day.at), day]));
  byDay.set(today, {recordings, clips}); // the stored one is up to an hour old
  const most = Math.max(...[...byDay.values()].map((day) => day.recordings.bytes + day.clips.bytes));
  if (!most) return [];
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
    return h("div", {class: "hour", title}, day ? [bar(day.clips.bytes, "second"), bar(day.recordings.bytes, "first")] : []);
  });
  return h(
    "section",
    {class: "panel chart storage", "aria-hidden": "true"},
    h("h2", {}, t("Used, last 30 days")),
    h("div", {class: "axis muted small"}, h("span", {}, size(most)), h("span", {}, size(most / 2)), h("span", {}, size(0))),
    h("div", {class: "hours"}, bars),
    h(
      "p",
      {class: "row muted small"},
      h("span", {class: "grow"}, t("30 days ago")),
      h("span", {class: "legend first"}, t("Recordings")),
      h("span", {class: "legend second"}, t("Clips")),
      h("span", {class: "grow end"}, t("today")),
    ),
  );
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
    "section",
    {class: "panel largest"},
    h("h2", {}, t("The largest")),
    h(
      "ol",
      {},
      rows
        .slice(0, 10)
        .map(({kind, name, bytes, href}) =>
          h(
            "li",
            {},
            h("a", {href, class: "clip"}, h("bdi", {}, name)),
            h("span", {class: "muted small"}, kind),
            h("progress", {max: String(rows[0].bytes), value: String(bytes), "aria-hidden": "true"}),
            h("span", {class: "num"}, size(bytes)),
          ),
        ),
    ),
  );
}
