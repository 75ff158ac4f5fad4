// A row of the audit log.

import {copyText} from "../lib/copying.js";
import {h} from "../lib/dom.js";
import {formatStamp} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {formatNumber, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {ACTIONS, KINDS, MEANS} from "./audit_words.js";
import {showClip} from "./system_work.js";

// Ids in addresses of refused requests may be any text: only these are links.
const LINKED = /^(clip|rec|rul|whk)_\w+$/;

/**
 * `names` are those of users and keys by id; `filter` shows only the rows with an actor or an object.
 *
 * @typedef {object} AuditRowOptions
 * @property {Map<string, string>} names
 * @property {ReturnType<typeof import("../lib/recording_link.js").recordingLinks>} linkToRecording
 * @property {(wanted: {actor?: string, object?: string}) => unknown} filter
 * @property {AbortSignal} signal
 */

/**
 * @param {AuditEntry} entry
 * @param {AuditRowOptions} options
 */
export function auditRow(entry, options) {
  const {at, action, outcome, count, peer} = entry;
  const refused = outcome === "refused";
  return h(
    "tr",
    {},
    h("td", {class: "when", title: at}, formatStamp(at)),
    h("td", {class: "who"}, h("bdi", {title: entry.actor_id}, actorName(entry, options.names)), h("p", {class: "muted small"}, byWhat(entry, options.names))),
    h("td", {class: "what"}, ACTIONS[action] ?? action),
    h("td", {class: "object"}, objectsOf(entry, options)),
    h(
      "td",
      {class: "outcome"},
      h("span", {class: refused ? "pill bad" : "pill good"}, refused ? t("refused") : t("done")),
      count > 1 && ` ×\u00a0${formatNumber(count)}`,
    ),
    h("td", {class: "peer"}, peer ?? "–"),
    h("td", {class: "menus"}, rowMenu(entry, options)),
  );
}

/**
 * @param {AuditEntry} entry
 * @param {Map<string, string>} names
 */
function actorName({actor_kind: kind, actor_id: id}, names) {
  if (id === null) return KINDS[kind];
  return kind === "machine" ? t("user id {id}", {id}) : (names.get(id) ?? id);
}

/**
 * Return the kind of the actor, and the credential: a key by its name if it is not the actor.
 *
 * @param {AuditEntry} entry
 * @param {Map<string, string>} names
 */
function byWhat({actor_kind: kind, actor_id: actor, means, means_id: id}, names) {
  const known = id !== null && id !== actor ? names.get(id) : undefined;
  const credential = known ? [t("by the key"), " ", h("bdi", {title: id}, known)] : means && kind !== means ? [MEANS[means]] : [];
  const kinds = actor === null ? [] : [KINDS[kind]];
  return [...kinds, ...(kinds.length && credential.length ? [" · "] : []), ...credential];
}

/**
 * Return the object, and below it the one that contains it.
 *
 * @param {AuditEntry} entry
 * @param {AuditRowOptions} options
 */
function objectsOf({action, outcome, object_id: id, within_id: within}, options) {
  if (id === null) return "–";
  const deleted = outcome === "done" && /^(clip|recording|rule|webhook)\.delete$/.test(action);
  const object = h("div", {title: id}, deleted ? h("bdi", {class: "mono"}, id) : objectLink(id, options));
  return within ? [object, h("div", {class: "small", title: within}, objectLink(within, options))] : object;
}

/**
 * Return a link to an object, or its name or id if the page cannot open it.
 *
 * @param {string} id
 * @param {AuditRowOptions} options
 */
function objectLink(id, {names, linkToRecording, signal}) {
  const kind = LINKED.exec(id)?.[1];
  if (kind === "rec") return linkToRecording(id);
  if (kind === "clip") return h("button", {type: "button", class: "link mono", onclick: asyncHandler(() => showClip(id, signal))}, id);
  if (kind) return h("a", {class: "mono", href: `#/${kind === "rul" ? "rules" : "webhooks"}/${id}`}, id);
  const name = names.get(id);
  return name ? h("bdi", {}, name) : h("bdi", {class: "mono"}, id);
}

/**
 * @param {AuditEntry} entry
 * @param {AuditRowOptions} options
 */
function rowMenu(entry, {names, filter}) {
  const {actor_id: actor, object_id: object, request_id: request} = entry;
  if (!actor && !object && !request) return null;
  return menuButton(t("More actions for {name}", {name: `${ACTIONS[entry.action] ?? entry.action}, ${formatStamp(entry.at)}`}), "more", () => [
    actor !== null && {text: t("Only by {name}", {name: actorName(entry, names)}), icon: "filter", run: () => filter({actor})},
    object !== null && {text: t("Only with this object"), icon: "filter", run: () => filter({object})},
    object !== null && {text: t("Copy the id of the object"), icon: "copy", run: () => copyText(object, t("Id"))},
    request !== null && {text: t("Copy the request id"), icon: "copy", run: () => copyText(request, t("Request id"))},
  ]);
}
