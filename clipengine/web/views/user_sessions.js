// The dialog "Sessions": sessions of a user, and the end of each.

import {get, query, remove} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h, icon, setChildren} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatAge, formatUntil} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {asyncHandler, toast} from "../lib/toasts.js";

/**
 * Show the sessions of a user, or those of the caller.
 *
 * @param {{user_id?: string, title: Children}} options
 */
export function showSessions({user_id, title}) {
  const list = h("ul", {class: "shares", "aria-label": t("Sessions")});
  /** @param {SessionObject} session */
  const row = ({session_id: id, created_at: created, expires_at: expires}) => {
    const end = asyncHandler(async () => {
      await remove(`/v1/sessions/${id}`);
      toast(t("Session ended"), t("Its next request is refused."));
      await load();
    });
    const began = t("Began {time}", {time: formatAge(created)});
    return h(
      "li",
      {class: "row"},
      h(
        "div",
        {class: "grow", title: created},
        h("p", {class: "name"}, began),
        h("p", {class: "muted small"}, t("Until {time}", {time: formatUntil(expires)})),
      ),
      h("button", {type: "button", class: "quiet", onclick: end}, icon("x"), t("End")),
    );
  };
  const load = async () => {
    try {
      const {data} = await get(query("/v1/sessions", {user_id, limit: 100}));
      setChildren(list, data.length ? data.map(row) : [h("li", {}, h("p", {class: "muted small"}, t("No sessions")))]);
    } catch (error) {
      setChildren(list, [h("li", {}, h("p", {class: "bad"}, errorText(error)))]);
    }
  };
  openDialog(title, h("div", {class: "stack"}, list), {size: "narrow"});
  return load();
}
