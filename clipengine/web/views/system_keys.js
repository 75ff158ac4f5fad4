// The API keys and the settings in the System view, for keys of scope admin.

import {get, post, remove} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {confirmDialog, openDialog} from "../lib/dialogs.js";
import {h, icon, iconButton, table} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatAge} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {asyncHandler, toastError} from "../lib/toasts.js";

/** @type {Scope[]} */
const SCOPES = ["read", "write", "admin"];

/** @param {AbortSignal} signal */
export function settingsSection(signal) {
  const settings = h("pre", {class: "json", tabindex: "0", "aria-label": t("Settings")}, "…");
  const details = h("details", {class: "panel"}, h("summary", {}, t("Show the effective settings")), settings);
  details.addEventListener("toggle", async () => {
    if (details.open) settings.textContent = JSON.stringify(await get("/v1/settings", {signal}).catch((error) => error.message), null, 2);
  });
  return h("section", {}, h("h2", {class: "sub"}, t("Settings")), details);
}

/** @param {AbortSignal} signal */
export async function keysSection(signal) {
  const rows = h("tbody", {});

  async function load() {
    const {data} = await get("/v1/keys", {signal});
    rows.replaceChildren(...data.filter((key) => !key.revoked_at).map((key) => keyRow(key, load)));
  }
  await load();
  return h(
    "section",
    {},
    h(
      "div",
      {class: "row sub"},
      h("h2", {class: "grow"}, t("API keys")),
      h("button", {type: "button", onclick: () => addKey(load)}, icon("plus"), t("Create key")),
    ),
    h("div", {class: "panel scroll"}, table([t("Name"), t("Scopes"), t("Created"), t("Last used"), ""], rows)),
  );
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
    h("td", {class: "when", title: key.created_at}, formatAge(key.created_at)),
    h("td", {class: "when", title: key.last_used_at}, key.last_used_at ? formatAge(key.last_used_at) : t("never")),
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
