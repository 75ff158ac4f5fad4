// The users in the System view, for callers of scope admin: roles, sessions, and who may sign in.

import {get, patch, query, remove} from "../lib/api.js";
import {confirmDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {formatAge} from "../lib/format.js";
import {growingTable} from "../lib/growing_table.js";
import {LIMITS} from "../lib/limits.js";
import {menuButton} from "../lib/menus.js";
import {isCaller, may} from "../lib/rights.js";
import {ROLES} from "../lib/roles.js";
import {navigate} from "../lib/router.js";
import {rich, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {showSessions} from "./user_sessions.js";

/**
 * Return the section of the users, or null if nobody has signed in: then there are only keys.
 *
 * @param {AbortSignal} signal
 */
export async function usersSection(signal) {
  /** @type {() => Promise<void>} */
  const reload = () => users.load();
  const users = growingTable({
    titles: [t("Name"), t("Role"), t("Signed in by"), t("Created"), t("Last seen"), ""],
    ask: (cursor) => get(query("/v1/users", {limit: LIMITS.page, cursor}), {signal}),
    row: (user) => userRow(user, reload),
  });
  await users.load();
  if (users.empty) return null;
  return h("section", {}, h("h2", {class: "sub"}, t("Users")), users.node);
}

/** @param {Pick<User, "name" | "subject">} user */
export const nameOf = ({name, subject}) => name || subject;

/**
 * @param {User} user
 * @param {() => Promise<void>} reload
 */
function userRow(user, reload) {
  const {user_id, subject, source, created_at: created, last_seen_at: seen, disabled_at: disabled} = user;
  return h(
    "tr",
    {},
    h("td", {title: subject}, h("bdi", {}, nameOf(user)), disabled && [" ", h("span", {class: "pill"}, t("disabled"))]),
    h("td", {}, isCaller(user_id) ? ROLES[user.role] : roleChoice(user, reload)),
    h("td", {}, source),
    h("td", {class: "when", title: created}, formatAge(created)),
    h("td", {class: "when", title: seen}, seen ? formatAge(seen) : t("never")),
    h("td", {}, userMenu(user, reload)),
  );
}

/**
 * @param {User} user
 * @param {() => Promise<void>} reload
 */
function roleChoice(user, reload) {
  const choice = h(
    "select",
    {"aria-label": t("Role of {name}", {name: nameOf(user)})},
    Object.entries(ROLES)
      .filter(([role]) => role !== "none" || user.role === "none")
      .map(([role, text]) => h("option", {value: role, selected: role === user.role}, text)),
  );
  const change = asyncHandler(async () => {
    try {
      await patch(`/v1/users/${user.user_id}`, {role: /** @type {Exclude<Role, "none">} */ (choice.value)});
    } finally {
      await reload();
    }
  });
  choice.addEventListener("change", change);
  return choice;
}

/**
 * @param {User} user
 * @param {() => Promise<void>} reload
 */
function userMenu(user, reload) {
  const {user_id: id, disabled_at: disabled} = user;
  const name = () => h("bdi", {}, nameOf(user));
  const change = async () => {
    await patch(`/v1/users/${id}`, {disabled: !disabled});
    await reload();
  };
  const erase = async () => {
    const detail = t("The sessions end and the keys of the user are revoked. What the user has made stays.");
    if (!(await confirmDialog(rich("Delete the user {name}?", {name: name()}), detail, t("Delete")))) return;
    await remove(`/v1/users/${id}`);
    await reload();
  };
  return menuButton(t("More actions for {name}", {name: nameOf(user)}), "more", () => [
    {text: t("Sessions…"), icon: "keys", run: () => showSessions({user_id: id, title: rich("Sessions of {name}", {name: name()})})},
    may("read", "audit") && {text: t("Audit log"), icon: "document", run: () => navigate(query("#/system", {tab: "audit", actor: id}))},
    !isCaller(id) && may("write", "users") && {text: disabled ? t("Enable") : t("Disable"), icon: disabled ? "play" : "pause", run: change},
    !isCaller(id) && may("delete", "users") && {text: t("Delete…"), icon: "trash", danger: true, run: erase},
  ]);
}
