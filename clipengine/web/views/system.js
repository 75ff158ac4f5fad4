// State of the installation for operators: storage, work, keys, users, the audit log and settings, one tab each.

import {get} from "../lib/api.js";
import {debounce, h, icon} from "../lib/dom.js";
import {errorState, serverText} from "../lib/error_views.js";
import {listen} from "../lib/events.js";
import {recordingLinks} from "../lib/recording_link.js";
import {may} from "../lib/rights.js";
import {setQuery} from "../lib/router.js";
import {tabList} from "../lib/tabs.js";
import {plural, t} from "../lib/texts.js";
import {auditSection} from "./audit_log.js";
import {keysSection, settingsSection} from "./system_keys.js";
import {checks, engines, failures, figures, hours} from "./system_status.js";
import {storageSection} from "./system_storage.js";
import {clipsInProgress, profileSection} from "./system_work.js";
import {usersSection} from "./system_users.js";
import {transcriptionsInProgress} from "./transcribing.js";

const REFRESH_MS = 5000;
const EVENT_MS = 500; // after an event

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showSystem(main, params, signal) {
  document.title = `${t("System")} · clipengine`;
  const state = h("p", {class: "state row small muted"});
  const top = h("div", {});
  const others = {transcriptions: h("div", {}), hours: h("div", {}), failures: h("div", {}), engines: h("div", {}), checks: h("div", {})};
  const linkTo = recordingLinks(signal);
  const panel = (/** @type {HTMLElement[]} */ ...parts) => h("div", {class: "system"}, parts);
  const places = {
    storage: panel(),
    work: panel(top, clipsInProgress(signal), ...Object.values(others)),
    keys: panel(),
    users: panel(),
    audit: panel(),
    settings: panel(),
  };
  const problem = h("div", {});
  const body = h("div", {});
  main.append(h("div", {class: "head"}, h("h1", {}, t("System")), state), problem, body);

  async function load() {
    const [found, {data}] = await Promise.all([get("/v1/status", {signal}), get("/v1/transcriptions?status=processing&limit=100", {signal})]);
    const failing = found.checks.filter((check) => !check.ok);
    redraw(state, summary, [failing.length, found.checks.length, found.engines.length, found.version]);
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
    return found;
  }

  try {
    await load();
    const [storage, profiles] = await Promise.all([storageSection(signal), profileSection(signal)]);
    places.storage.append(storage);
    places.settings.append(profiles, ...(may("read", "settings") ? [settingsSection(signal)] : []));
    if (may("read", "keys")) places.keys.append(await keysSection(signal));
    const users = may("read", "users") ? await usersSection(signal) : null;
    if (users) places.users.append(users);
    const audit = may("read", "audit") ? auditSection(params, signal) : null;
    if (audit) places.audit.append(audit.node);
    body.replaceChildren(...tabs(places, params.tab, audit ? {audit: audit.show} : {}));
  } catch (error) {
    if (error.name !== "AbortError") body.replaceChildren(errorState(error, () => location.reload()));
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

/**
 * Return the tabs of the panels with content. The address has the tab that is shown. A panel with a function in `show`
 * sets the address itself, when it is shown.
 *
 * @param {Record<"storage" | "work" | "keys" | "users" | "audit" | "settings", HTMLElement>} places
 * @param {string | undefined} shown
 * @param {Record<string, () => unknown>} show
 */
function tabs(places, shown, show) {
  let ready = false;
  /** @type {[id: keyof typeof places, text: string][]} */
  const all = [
    ["storage", t("Storage")],
    ["work", t("Work")],
    ["keys", t("Keys")],
    ["users", t("Users")],
    ["audit", t("Audit")],
    ["settings", t("Settings")],
  ];
  const offered = all.filter(([id]) => places[id].hasChildNodes());
  const onshow = (/** @type {string} */ id) => (show[id] ? show[id]() : ready && setQuery({tab: id === "storage" ? "" : id}));
  const list = tabList(
    t("System"),
    offered.map(([id, text]) => ({id, text, node: places[id], onshow: () => onshow(id)})),
  );
  list.node.classList.add("choice");
  if (offered.some(([id]) => id === shown)) list.select(shown ?? "");
  ready = true;
  return [list.node, ...list.panels];
}

/** @param {[failing: number, checks: number, engines: number, version: string]} counts */
function summary([failing, count, engineCount, version]) {
  if (failing) return h("span", {class: "pill bad"}, t("Failing"));
  const passed = plural(count, "{count} check passed", "{count} checks passed");
  const facts = [passed, plural(engineCount, "{count} engine", "{count} engines"), version].join(", ");
  return [icon("check"), h("span", {}, t("Everything works: {facts}", {facts}))];
}

/** @type {WeakMap<HTMLElement, string>} values as JSON, by place */
const drawn = new WeakMap();

/**
 * Draw only what has changed, so that a control keeps the focus.
 *
 * @template Value
 * @param {HTMLElement} place
 * @param {(value: Value) => Element | Element[]} draw
 * @param {Value} value
 */
function redraw(place, draw, value) {
  const text = JSON.stringify(value);
  if (drawn.get(place) === text) return;
  drawn.set(place, text);
  place.replaceChildren(...[draw(value)].flat());
}
