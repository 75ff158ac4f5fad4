// State of the installation for operators: checks, queues, engines, the clips of the last day, keys and settings.

import {get, post, remove} from "../lib/api.js";
import {debounce, h, icon, iconButton, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatAge, formatBytes, formatTime} from "../lib/format.js";
import {recordingLinks} from "../lib/recording_link.js";
import {formatNumber, locale, plural, rich, t} from "../lib/texts.js";
import {asyncHandler, confirmDialog, copyText, errorState, errorText, openDialog, serverText, table, toastError} from "../lib/ui.js";
import {storageSection} from "./system_storage.js";
import {clipsInProgress, profileSection, showClip} from "./system_work.js";
import {transcriptionsInProgress} from "./transcribing.js";

const REFRESH_MS = 5000;
const EVENT_MS = 500; // after an event
const HOUR_MS = 3600000;
const HOURS = 24;
/** @type {Scope[]} */
const SCOPES = ["read", "write", "admin"];

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} _params
 * @param {AbortSignal} signal
 */
export async function showSystem(main, _params, signal) {
  document.title = `${t("System")} · clipengine`;
  const state = h("span", {class: "pill"}, "…");
  const top = h("div", {});
  const others = {transcriptions: h("div", {}), hours: h("div", {}), failures: h("div", {}), engines: h("div", {}), checks: h("div", {})};
  const storage = h("div", {});
  const profiles = h("div", {});
  const linkTo = recordingLinks(signal);
  const view = h("div", {class: "system"}, top, clipsInProgress(signal), Object.values(others), storage, profiles);
  const admin = h("div", {class: "system"});
  const problem = h("div", {});
  main.append(h("div", {class: "head"}, h("h1", {}, t("System")), state), problem, view, admin);

  async function load() {
    const [found, {data}] = await Promise.all([get("/v1/status", {signal}), get("/v1/transcriptions?status=processing&limit=100", {signal})]);
    const failing = found.checks.filter((check) => !check.ok);
    state.className = failing.length ? "pill bad" : "pill good";
    setText(state, failing.length ? t("Failing") : t("Ready"));
    problem.replaceChildren(
      ...failing.map((check) =>
        h("div", {class: "notice bad", role: "alert"}, h("div", {}, h("strong", {}, check.name), h("p", {}, serverText(check.detail ?? "")))),
      ),
    );
    redraw(top, figures, found);
    redraw(others.transcriptions, () => transcriptionsInProgress(data, linkTo), data);
    redraw(others.hours, hours, found.last_day);
    redraw(others.failures, (day) => failures(day, signal), found.last_day);
    redraw(others.engines, engines, found.engines);
    redraw(others.checks, checks, found.checks);
  }

  try {
    await load();
    storage.replaceChildren(await storageSection(signal));
    profiles.replaceChildren(await profileSection(signal));
    const {scopes} = await get("/session");
    if (scopes.includes("admin")) await showAdmin(admin, signal);
  } catch (error) {
    if (error.name !== "AbortError") view.replaceChildren(errorState(error, () => location.reload()));
    return;
  }
  const refresh = () => {
    if (!document.hidden && !signal.aborted) load().catch(() => {}); // the bar says when the server is unreachable
  };
  const soon = debounce(EVENT_MS, refresh);
  listen({resync: soon, clip: soon, deleted: soon, recording: soon, transcription: soon}, signal);
  const timer = setInterval(refresh, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** @type {WeakMap<HTMLElement, string>} values as JSON, by place */
const drawn = new WeakMap();

/**
 * Draw only what has changed, so that a control keeps the focus.
 *
 * @template Value
 * @param {HTMLElement} place
 * @param {(value: Value) => HTMLElement | HTMLElement[]} draw
 * @param {Value} value
 */
function redraw(place, draw, value) {
  const text = JSON.stringify(value);
  if (drawn.get(place) === text) return;
  drawn.set(place, text);
  place.replaceChildren(...[draw(value)].flat());
}

/** @param {Status} status */
function figures({queue, engines, disk, store, webhooks, version}) {
  const busy = engines.reduce((sum, engine) => sum + engine.encoders_busy, 0);
  const encoders = engines.reduce((sum, engine) => sum + (engine.encoders || 0), 0);
  const wait = queue.oldest_queued_seconds ? t("longest wait {time}", {time: formatTime(queue.oldest_queued_seconds, 0)}) : t("none is waiting");
  const pending = webhooks.deliveries_pending ? t("oldest {time}", {time: formatTime(webhooks.oldest_delivery_seconds, 0)}) : t("none is waiting");
  /** @type {[name: string, value: string | number, detail: string][]} */
  const shown = [
    [t("Clips queued"), queue.clips_queued, wait],
    [t("Encoders busy"), t("{part} of {whole}", {part: busy, whole: encoders}), plural(engines.length, "{count} engine", "{count} engines")],
    [t("Recordings to probe"), queue.recordings_processing, ""],
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
function hours({hours: found, clips_ready: ready, clips_failed: failed}) {
  const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const byHour = new Map(found.map((hour) => [Date.parse(hour.at), hour]));
  const most = Math.max(1, ...found.map((hour) => hour.clips_ready + hour.clips_failed));
  const bars = [...Array(HOURS).keys()].map((back) => {
    const at = now - (HOURS - 1 - back) * HOUR_MS;
    const {clips_ready: good = 0, clips_failed: bad = 0} = byHour.get(at) || {};
    const time = new Date(at).toLocaleTimeString(locale, {hour: "2-digit", minute: "2-digit", hour12: false});
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
function failures({failures: found}, signal) {
  if (!found.length) return [];
  const all = h("a", {href: "#/clips?status=failed"}, t("All failed clips"));
  return h(
    "section",
    {},
    h("div", {class: "row sub"}, h("h2", {class: "grow"}, t("Failures")), all),
    h(
      "div",
      {class: "panel scroll"},
      table(
        [t("Code"), t("Clips"), ""],
        h(
          "tbody",
          {},
          found.map((each) =>
            h(
              "tr",
              {},
              h("td", {}, h("a", {class: "mono", href: `/docs/errors#${each.code}`}, each.code)),
              h("td", {}, String(each.clips)),
              h(
                "td",
                {},
                h("button", {type: "button", class: "quiet", onclick: asyncHandler(() => showClip(each.last_clip_id, signal))}, t("Show the last clip")),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

/** @param {Status["engines"]} found */
function engines(found) {
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Engines")),
    h(
      "div",
      {class: "panel scroll"},
      table(
        [t("Host"), t("Version"), t("Encoders"), t("State")],
        h(
          "tbody",
          {},
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
        ),
      ),
    ),
  );
}

/** @param {Status["checks"]} found */
function checks(found) {
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Checks")),
    h(
      "div",
      {class: "panel scroll"},
      table(
        [t("Check"), t("State"), t("Detail")],
        h(
          "tbody",
          {},
          found.map((check) =>
            h(
              "tr",
              {},
              h("td", {}, check.name),
              h("td", {}, h("span", {class: check.ok ? "pill good" : "pill bad"}, check.ok ? t("Good") : t("Failing"))),
              h("td", {class: "muted"}, serverText(check.detail ?? "")),
            ),
          ),
        ),
      ),
    ),
  );
}

// ---- keys and settings, for keys of scope admin

/**
 * @param {HTMLElement} node
 * @param {AbortSignal} signal
 */
async function showAdmin(node, signal) {
  const rows = h("tbody", {});
  const settings = h("pre", {class: "json", tabindex: "0", "aria-label": t("Settings")}, "…");
  const details = h("details", {class: "panel"}, h("summary", {}, t("Show the effective settings")), settings);
  details.addEventListener("toggle", async () => {
    if (details.open) settings.textContent = JSON.stringify(await get("/v1/settings", {signal}).catch((error) => error.message), null, 2);
  });

  async function load() {
    const {data} = await get("/v1/keys", {signal});
    rows.replaceChildren(...data.filter((key) => !key.revoked_at).map((key) => keyRow(key, load)));
  }

  node.append(
    h(
      "section",
      {},
      h(
        "div",
        {class: "row sub"},
        h("h2", {class: "grow"}, t("API keys")),
        h("button", {type: "button", onclick: () => addKey(load)}, icon("plus"), t("Create key")),
      ),
      h("div", {class: "panel scroll"}, table([t("Name"), t("Scopes"), t("Created"), t("Last used"), ""], rows)),
    ),
    h("section", {}, h("h2", {class: "sub"}, t("Settings")), details),
  );
  await load();
}

/**
 * @param {Key} key
 * @param {() => Promise<void>} reload
 */
function keyRow(key, reload) {
  const revoke = async () => {
    if (!(await confirmDialog(t("Revoke the key {name}?", {name: key.name}), t("Programs and sessions that use it get 401 from now on."), t("Revoke")))) return;
    await remove(`/v1/keys/${key.key_id}`);
    await reload();
  };
  return h(
    "tr",
    {},
    h("td", {title: key.key_id}, h("bdi", {}, key.name)),
    h("td", {}, key.scopes.join(", ")),
    h("td", {title: key.created_at}, formatAge(key.created_at)),
    h("td", {title: key.last_used_at}, key.last_used_at ? formatAge(key.last_used_at) : t("never")),
    h("td", {}, iconButton("trash", t("Revoke {name}", {name: key.name}), asyncHandler(revoke))),
  );
}

/** @param {() => Promise<void>} reload */
function addKey(reload) {
  const name = h("input", {required: true, maxlength: "100", placeholder: t("laptop"), "aria-describedby": "key-problem"});
  const boxes = SCOPES.map((scope) => h("input", {type: "checkbox", name: scope, checked: scope !== "admin"}));
  const problem = h("p", {id: "key-problem", class: "bad small", role: "alert"});
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const made = await post("/v1/keys", {name: name.value.trim(), scopes: SCOPES.filter((_, at) => boxes[at].checked)});
      dialog.close();
      showKey(made.key);
      await reload();
    } catch (error) {
      problem.replaceChildren(errorText(error));
    }
  };
  const dialog = openDialog(
    t("Create key"),
    h(
      "form",
      {class: "stack", onsubmit: submit},
      h("label", {class: "field"}, t("Name"), name),
      h(
        "fieldset",
        {},
        h("legend", {}, t("Scopes")),
        h(
          "div",
          {class: "row wrap"},
          SCOPES.map((scope, at) => h("label", {class: "check mono small"}, boxes[at], scope)),
        ),
      ),
      problem,
      h("div", {class: "row end"}, h("button", {class: "primary"}, t("Create"))),
    ),
    {size: "narrow"},
  );
  name.focus();
}

/** @param {string} key */
function showKey(key) {
  openDialog(t("API key"), h("div", {class: "stack"}, h("p", {}, t("It is shown only once.")), h("pre", {class: "json"}, key)), {
    footer: [h("button", {type: "button", class: "primary", onclick: () => copyText(key, t("Key")).catch(toastError)}, icon("copy"), t("Copy"))],
  });
}
