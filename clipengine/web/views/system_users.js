// The users in the System view, for callers of scope admin: roles, sessions, and who may sign in.

import {get, patch, remove} from "../lib/api.js";
import {confirmDialog} from "../lib/dialogs.js";
import {h, setChildren, table} from "../lib/dom.js";
import {formatAge} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {isCaller, may} from "../lib/rights.js";
import {ROLES} from "../lib/roles.js";
import {rich, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {showSessions} from "./user_sessions.js";

/**
 * Return the section of the users, or null if nobody has signed in: then there are only keys.
 *
 * @param {AbortSignal} signal
 */
export async function usersSection(signal) {
  const rows = h("tbody", {});
  const more = h("div", {class: "more"});
  /** @type {string | null} */
  let next = "";

  /** @param {string} cursor */
  async function add(cursor) {
    const {data, next_cursor} = await get(`/v1/users?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, {signal});
    next = next_cursor;
    rows.append(...data.map((user) => userRow(user, load)));
    const button = () => h("button", {type: "button", onclick: asyncHandler(() => add(next ?? ""))}, t("Show more"));
    setChildren(more, next ? [button()] : []);
  }
  async function load() {
    rows.replaceChildren();
    await add("");
  }

  await load();
  if (!rows.childElementCount) return null;
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Users")),
    h("div", {class: "panel scroll"}, table([t("Name"), t("Role"), t("Signed in by"), t("Created"), t("Last seen"), ""], rows)),
    more,
  );
}

/** @param {User} user */
const nameOf = ({name, subject}) => name || subject;

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
    Object.entries(ROLES).map(([role, text]) => h("option", {value: role, selected: role === user.role}, text)),
  );
  const change = asyncHandler(async () => {
    try {
      await patch(`/v1/users/${user.user_id}`, {role: /** @type {Role} */ (choice.value)});
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
    !isCaller(id) && may("write", "users") && {text: disabled ? t("Enable") : t("Disable"), icon: disabled ? "play" : "pause", run: change},
    !isCaller(id) && may("delete", "users") && {text: t("Delete…"), icon: "trash", danger: true, run: erase},
  ]);
}
