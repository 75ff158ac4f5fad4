// The audit log in the System view, for callers who may read it. The filters are kept in the address.

import {get, query} from "../lib/api.js";
import {debounce, h, icon} from "../lib/dom.js";
import {errorState} from "../lib/error_views.js";
import {growingTable} from "../lib/growing_table.js";
import {LIMITS} from "../lib/limits.js";
import {startOfDay, TYPING_MS} from "../lib/list_filters.js";
import {recordingLinks} from "../lib/recording_link.js";
import {setQuery} from "../lib/router.js";
import {locale, rich, t} from "../lib/texts.js";
import {auditRow} from "./audit_row.js";
import {ACTIONS} from "./audit_words.js";
import {nameOf} from "./system_users.js";

const MOST_USER_PAGES = 10; // whose names are loaded; other users are shown by their ids
const MOST_CHARACTERS = "200"; // of an id in a filter

/**
 * Return the section, and the function that is called when its tab is shown: it loads the newest entries.
 *
 * @param {Record<string, string>} params of the address
 * @param {AbortSignal} signal
 */
export function auditSection(params, signal) {
  /** @type {Map<string, string>} */
  const names = new Map(); // of users and keys, by id
  let named = false; // the names are loaded anew when the tab is shown: a key may have been added
  const table = growingTable({
    titles: [t("Time"), t("Who"), t("Action"), t("Object"), t("Outcome"), t("Address"), ""],
    ask: (cursor) => get(query("/v1/audit", {...values(), limit: LIMITS.page, cursor}), {signal}),
    row: (entry) => auditRow(entry, {names, linkToRecording, filter, signal}),
    empty: () => h("div", {class: "empty"}, icon("search"), h("h2", {}, t("No entries"))),
  });
  const linkToRecording = recordingLinks(signal);
  const problem = h("div", {});
  const actor = h("select", {onchange: changed});
  const action = h("select", {onchange: changed}, h("option", {value: ""}, t("Any")), options(Object.entries(ACTIONS)));
  const object = h("input", {
    value: params.object,
    maxlength: MOST_CHARACTERS,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: t("Any"),
    oninput: debounce(TYPING_MS, changed),
  });
  const [from, to] = [params.from, params.to].map((value) => h("input", {type: "date", value: value || "", onchange: changed}));
  const reset = h("button", {type: "button", class: "quiet", onclick: () => filter({actor: "", action: "", object: "", from: "", to: ""})}, t("Reset"));
  action.value = params.action in ACTIONS ? params.action : "";
  offerActors([], []);
  chooseActor(params.actor ?? "");

  const state = () => ({actor: actor.value, action: action.value, object: object.value.trim(), from: from.value, to: to.value});

  function values() {
    const {from: first, to: last, ...wanted} = state();
    return {...wanted, after: startOfDay(first), before: startOfDay(last, 1)};
  }

  async function changed() {
    if (signal.aborted) return; // typed just before the view was left
    showFilters();
    await load();
    table.announceRows();
  }

  function showFilters() {
    setQuery({tab: "audit", ...state()});
    reset.disabled = !Object.values(state()).some(Boolean);
  }

  function show() {
    named = false;
    showFilters();
    return load();
  }

  /**
   * Set filters. The focus moves to the filters, because the menu of a row goes with it.
   *
   * @param {Partial<ReturnType<typeof state>>} wanted
   */
  async function filter({actor: id, ...fields}) {
    if (id !== undefined) chooseActor(id);
    for (const [name, field] of Object.entries({action, object, from, to})) {
      const value = fields[/** @type {keyof typeof fields} */ (name)];
      if (value !== undefined) field.value = value;
    }
    const loaded = changed();
    (reset.disabled ? actor : reset).focus();
    await loaded;
  }

  /**
   * Offer the users and keys, and keep the one that is chosen.
   *
   * @param {User[]} users
   * @param {Key[]} keys
   */
  function offerActors(users, keys) {
    const chosen = actor.value;
    const userOptions = options(users.map((user) => [user.user_id, nameOf(user)]));
    const keyOptions = options(keys.map((key) => [key.key_id, key.name]));
    actor.replaceChildren(
      h("option", {value: ""}, t("Anyone")),
      ...(users.length ? [h("optgroup", {label: t("Users")}, userOptions)] : []),
      ...(keys.length ? [h("optgroup", {label: t("Keys")}, keyOptions)] : []),
    );
    chooseActor(chosen);
  }

  /** @param {string} id which may also be that of a link, a source or a user who was deleted */
  function chooseActor(id) {
    actor.value = id;
    if (actor.value === id) return;
    actor.append(h("option", {value: id}, names.get(id) ?? id));
    actor.value = id;
  }

  async function loadNames() {
    const [users, {data: keys}] = await Promise.all([firstUsers(signal), get("/v1/keys", {signal})]);
    for (const user of users) names.set(user.user_id, nameOf(user));
    for (const key of keys) names.set(key.key_id, key.name);
    offerActors(
      users,
      keys.filter((key) => key.user_id === null),
    );
    named = true;
  }

  async function load() {
    try {
      if (!named) await loadNames();
      await table.load();
      problem.replaceChildren();
      table.node.hidden = false;
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.replaceChildren(errorState(error, load));
      table.node.hidden = true;
    }
  }

  const node = h(
    "section",
    {class: "audit"},
    h("div", {class: "row sub"}, h("h2", {class: "grow"}, t("Audit log")), h("a", {href: "/docs/audit"}, t("What is recorded"))),
    h(
      "div",
      {class: "filters panel row wrap"},
      h("label", {class: "field"}, t("Who"), actor),
      h("label", {class: "field"}, t("Action"), action),
      h("label", {class: "field"}, t("Id of the object"), object),
      h("label", {class: "field"}, t("From"), from),
      h("label", {class: "field"}, t("Until"), to),
      reset,
    ),
    problem,
    table.node,
    h("p", {class: "muted small"}, rich("{command} on the server writes the whole log as JSON lines.", {command: h("code", {}, "clipengine audit export")})),
  );
  return {node, show};
}

/**
 * Return the options of a filter in alphabetical order.
 *
 * @param {[value: string, text: string][]} entries
 */
const options = (entries) => entries.sort(([, one], [, other]) => one.localeCompare(other, locale)).map(([value, text]) => h("option", {value}, text));

/** @param {AbortSignal} signal */
async function firstUsers(signal) {
  /** @type {User[]} */
  const users = [];
  /** @type {string | null} */
  let cursor = null;
  for (let page = 0; page < MOST_USER_PAGES; page += 1) {
    /** @type {Page<User>} */
    const {data, next_cursor} = await get(query("/v1/users", {limit: LIMITS.page, cursor}), {signal});
    users.push(...data);
    cursor = next_cursor;
    if (!cursor) break;
  }
  return users;
}
