// The dialogs that add and edit a webhook.

import {patch, post} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {openDialog} from "../lib/dialogs.js";
import {h, icon} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {LIMITS} from "../lib/limits.js";
import {t} from "../lib/texts.js";
import {toastError} from "../lib/toasts.js";

/** @typedef {Webhook["events"][number]} EventName */
/** @typedef {Webhook["format"]} Format */
/** @typedef {(given: {url: string, events: EventName[], format: Format}) => Promise<{secret: string | null}>} Save */

/** @type {[value: Format, text: string][]} */
const FORMATS = [
  ["json", t("JSON, signed")],
  ["slack", t("Slack message")],
  ["discord", t("Discord message")],
];

/**
 * The dialog for a webhook's URL, events and format. `save({url, events, format})` resolves with the new secret, if there is one.
 *
 * @param {string} title
 * @param {string} action
 * @param {{url?: string, events: EventName[], format?: Format}} current
 * @param {Save} save
 * @param {() => Promise<void>} reload
 * @param {HTMLElement[]} more
 */
function webhookDialog(title, action, {url: currentUrl = "", events: currentEvents, format: currentFormat = "json"}, save, reload, ...more) {
  const url = h("input", {type: "url", required: true, value: currentUrl, placeholder: "https://example.org/hooks", "aria-describedby": "webhook-problem"});
  const checkboxes = LIMITS.events.map((name) => h("input", {type: "checkbox", name, checked: currentEvents.includes(name)}));
  const format = h(
    "select",
    {},
    FORMATS.map(([value, text]) => h("option", {value, selected: value === currentFormat}, text)),
  );
  const problem = h("p", {id: "webhook-problem", class: "bad small", role: "alert"});
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const {secret} = await save({
        url: url.value.trim(),
        events: LIMITS.events.filter((_, at) => checkboxes[at].checked),
        format: /** @type {Format} */ (format.value),
      });
      dialog.close();
      if (secret) showSecret(secret);
      await reload();
    } catch (error) {
      problem.replaceChildren(errorText(error));
      url.setAttribute("aria-invalid", "true");
    }
  };
  const dialog = openDialog(
    title,
    h(
      "form",
      {class: "stack", onsubmit: submit},
      h("label", {class: "field"}, t("URL"), url),
      problem,
      h(
        "fieldset",
        {},
        h("legend", {}, t("Events")),
        h(
          "div",
          {class: "events"},
          LIMITS.events.map((name, at) => h("label", {class: "check mono small"}, checkboxes[at], name)),
        ),
      ),
      h("label", {class: "field"}, t("Format"), format),
      more,
      h("div", {class: "row end"}, h("button", {class: "primary"}, action)),
    ),
  );
  url.focus();
}

/** @param {() => Promise<void>} reload */
export function addWebhook(reload) {
  webhookDialog(t("Add webhook"), t("Add"), {events: LIMITS.default_events}, (given) => post("/v1/webhooks", given), reload);
}

/**
 * Send only what has changed. A new secret is made here, because the API makes none for a PATCH.
 *
 * @param {Webhook} webhook
 * @param {() => Promise<void>} reload
 */
export function editWebhook(webhook, reload) {
  const newSecretBox = h("input", {type: "checkbox"});
  /** @type {Save} */
  const save = async ({url, events, format}) => {
    const secret = newSecretBox.checked ? newSecret() : null;
    await patch(`/v1/webhooks/${webhook.webhook_id}`, {events, format, ...(url === webhook.url ? {} : {url}), ...(secret ? {secret} : {})});
    return {secret};
  };
  webhookDialog(
    t("Edit webhook"),
    t("Save"),
    webhook,
    save,
    reload,
    h("label", {class: "check"}, newSecretBox, t("Generate a new signing secret")),
    h("p", {class: "muted small"}, t("For 24 hours, webhook-signature is signed with both secrets. X-Relay-Signature is signed with the new one only.")),
  );
}

const newSecret = () => `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;

/** @param {string} secret */
function showSecret(secret) {
  openDialog(
    t("Signing secret"),
    h(
      "div",
      {class: "stack"},
      h("p", {}, t("It is shown only once. The receiver needs it to verify signatures.")),
      h("pre", {class: "json"}, secret),
      h("p", {class: "small"}, h("a", {href: "/docs/webhooks"}, t("Verify in Python, Node and Go"))),
    ),
    {footer: [h("button", {type: "button", class: "primary", onclick: () => copyText(secret, t("Secret")).catch(toastError)}, icon("copy"), t("Copy"))]},
  );
}
