// The dialogs that add and edit a webhook.

import {get, patch, post} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {openDialog} from "../lib/dialogs.js";
import {h, icon} from "../lib/dom.js";
import {splitTags} from "../lib/edit_in_place.js";
import {errorText} from "../lib/error_views.js";
import {LIMITS} from "../lib/limits.js";
import {t} from "../lib/texts.js";
import {toastError} from "../lib/toasts.js";

/** @typedef {Webhook["events"][number]} EventName */
/** @typedef {Webhook["format"]} Format */
/** @typedef {{tags?: string[], rules?: string[], series?: string[]}} Wants */
/** @typedef {(given: {url: string, events: EventName[], format: Format, wants: Wants}) => Promise<{secret: string | null}>} Save */

/** @type {[value: Format, text: string][]} */
const FORMATS = [
  ["json", t("JSON, signed")],
  ["slack", t("Slack message")],
  ["discord", t("Discord message")],
];

/**
 * Return the series in a text, one on each line: a series may contain commas.
 *
 * @param {string} text
 */
const splitLines = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

/**
 * @param {Wants} given
 * @param {Wants | null} current
 */
const sameWants = (given, current) => JSON.stringify(given) === JSON.stringify(current ?? {});

/**
 * Fields that limit the events of clips and recordings by rule, tag and series.
 *
 * @param {Wants} current
 * @param {Rule[]} rules
 */
function wantsFields(current, rules) {
  const ids = new Set(rules.map((rule) => rule.rule_id));
  const deleted = (current.rules ?? []).filter((id) => !ids.has(id)); // shown, so that only a click removes them
  const named = [...rules.map(({rule_id: id, name}) => ({id, name})), ...deleted.map((id) => ({id, name: id}))];
  const boxes = named.map(({id}) => h("input", {type: "checkbox", checked: current.rules?.includes(id) ?? false}));
  const tags = h("input", {value: current.tags?.join(", ") ?? "", autocomplete: "off"});
  const series = h("textarea", {value: current.series?.join("\n") ?? ""});
  const node = h(
    "details",
    {},
    h("summary", {}, t("Only some clips and recordings")),
    h(
      "div",
      {class: "stack"},
      named.length
        ? h(
            "fieldset",
            {},
            h("legend", {}, t("Clips of these rules")),
            h(
              "div",
              {class: "events"},
              named.map(({name}, at) => h("label", {class: "check small"}, boxes[at], h("bdi", {}, name))),
            ),
          )
        : "",
      h("label", {class: "field"}, t("One of these tags, separated by commas"), tags),
      h("label", {class: "field"}, t("One of these series, one on each line"), series),
    ),
  );
  node.open = Object.keys(current).length > 0;
  /** @returns {Wants} */
  const value = () => {
    const lists = {
      tags: splitTags(tags.value),
      rules: named.filter((_, at) => boxes[at].checked).map(({id}) => id),
      series: splitLines(series.value),
    };
    return Object.fromEntries(Object.entries(lists).filter(([, values]) => values.length));
  };
  return {node, value};
}

/**
 * The dialog for a webhook's URL, events and format. `save({url, events, format, wants})` resolves with the new secret, if there is one.
 *
 * @param {string} title
 * @param {string} action
 * @param {{url?: string, events: EventName[], format?: Format, wants?: Wants | null}} current
 * @param {Save} save
 * @param {() => Promise<void>} reload
 * @param {HTMLElement[]} more
 */
async function webhookDialog(
  title,
  action,
  {url: currentUrl = "", events: currentEvents, format: currentFormat = "json", wants: currentWants},
  save,
  reload,
  ...more
) {
  const {data: rules} = await get("/v1/rules?limit=100");
  const wants = wantsFields(currentWants ?? {}, rules);
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
        wants: wants.value(),
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
      wants.node,
      more,
      h("div", {class: "row end"}, h("button", {class: "primary"}, action)),
    ),
  );
  url.focus();
}

/** @param {() => Promise<void>} reload */
export function addWebhook(reload) {
  return webhookDialog(t("Add webhook"), t("Add"), {events: LIMITS.default_events}, (given) => post("/v1/webhooks", given), reload);
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
  const save = async ({url, events, format, wants}) => {
    const secret = newSecretBox.checked ? newSecret() : null;
    await patch(`/v1/webhooks/${webhook.webhook_id}`, {
      events,
      format,
      ...(sameWants(wants, webhook.wants) ? {} : {wants}),
      ...(url === webhook.url ? {} : {url}),
      ...(secret ? {secret} : {}),
    });
    return {secret};
  };
  return webhookDialog(
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
