// Webhooks, and the deliveries of each one with their payload and attempts.

import {get, patch, post, query, remove} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {confirmDialog} from "../lib/dialogs.js";
import {h, icon, iconButton, table} from "../lib/dom.js";
import {serverText} from "../lib/error_views.js";
import {formatAge, formatMoment} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {plural, t} from "../lib/texts.js";
import {asyncHandler, toast, toastError} from "../lib/toasts.js";
import {showLog, showResources} from "./logged_resources.js";
import {addWebhook, editWebhook} from "./webhook_dialog.js";

const STATUS_TEXTS = {delivered: [t("Delivered"), "good"], failed: [t("Failed"), "bad"], pending: [t("Pending"), ""], sending: [t("Sending"), "busy"]};

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} _params
 * @param {AbortSignal} signal
 */
export const showWebhooks = (main, _params, signal) =>
  showResources(main, {
    title: t("Webhooks"),
    addText: t("Add webhook"),
    add: addWebhook,
    ask: () => get("/v1/webhooks?limit=100", {signal}),
    row: webhookRow,
    empty: emptyState,
  });

function emptyState() {
  return h(
    "li",
    {class: "empty"},
    icon("send"),
    h("h2", {}, t("No webhooks yet")),
    h(
      "p",
      {},
      t("A webhook is a URL that receives a signed POST when a clip is ready or has failed."),
      " ",
      h("a", {href: "/docs/webhooks"}, t("How to verify the signature")),
    ),
  );
}

/** @param {Webhook} webhook */
function wantsText({wants}) {
  if (!wants) return "";
  const {rules = [], tags = [], series = []} = wants;
  const parts = [
    rules.length && plural(rules.length, "of {count} rule", "of {count} rules"),
    tags.length && t("with the tag {tags}", {tags: tags.join(", ")}),
    series.length && t("of the series {series}", {series: series.join(", ")}),
  ];
  return ` · ${t("only {events}", {events: parts.filter(Boolean).join(", ")})}`;
}

/** @param {Webhook} webhook */
function webhookState(webhook) {
  if (!webhook.enabled) return h("span", {class: "pill bad"}, webhook.disabled_reason ? t("Disabled") : t("Off"));
  return webhook.failing_since ? h("span", {class: "pill bad"}, t("Failing")) : h("span", {class: "pill good"}, t("On"));
}

/**
 * @param {Webhook} webhook
 * @param {() => Promise<void>} reload
 */
function webhookRow(webhook, reload) {
  return h(
    "li",
    {class: "webhook"},
    h(
      "div",
      {class: "clip"},
      h("a", {class: "name clip mono", href: `#/webhooks/${webhook.webhook_id}`}, webhook.url),
      h(
        "p",
        {class: "muted small clip"},
        webhook.events.join(", "),
        wantsText(webhook),
        webhook.origin === "settings" ? ` · ${t("from the settings")}` : "",
        webhook.disabled_reason
          ? [" · ", serverText(webhook.disabled_reason)]
          : webhook.failing_since
            ? ` · ${t("failing since {time}", {time: formatMoment(webhook.failing_since)})}`
            : "",
      ),
    ),
    webhookState(webhook),
    webhookMenu(webhook, reload),
  );
}

/**
 * @param {Webhook} webhook
 * @param {() => Promise<void>} reload
 */
function webhookMenu(webhook, reload) {
  const own = webhook.origin === "api"; // not from the settings
  return menuButton(t("More actions for {name}", {name: webhook.url}), "more", () => [
    {text: t("Send a test"), icon: "send", run: () => sendTest(webhook)},
    {
      text: webhook.enabled ? t("Disable") : t("Enable"),
      icon: webhook.enabled ? "x" : "check",
      run: async () => {
        await patch(`/v1/webhooks/${webhook.webhook_id}`, {enabled: !webhook.enabled});
        await reload();
      },
    },
    own && {text: t("Edit…"), icon: "pen", run: () => editWebhook(webhook, reload)},
    own && {
      text: t("Delete…"),
      icon: "trash",
      danger: true,
      run: async () => {
        if (!(await confirmDialog(t("Delete this webhook?"), t("{url} receives no more events.", {url: webhook.url}), t("Delete")))) return;
        await remove(`/v1/webhooks/${webhook.webhook_id}`);
        await reload();
      },
    },
  ]);
}

/** @param {Webhook} webhook */
async function sendTest(webhook) {
  await post(`/v1/webhooks/${webhook.webhook_id}/test`);
  toast(t("Test event queued: clip.ready"), webhook.url);
  if (!location.hash.endsWith(webhook.webhook_id)) location.hash = `#/webhooks/${webhook.webhook_id}`;
}

// ---- one webhook

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showWebhook(main, {id}, signal) {
  /**
   * @param {HTMLElement} head
   * @param {Node} back
   * @param {() => Promise<void>} reload
   */
  async function drawHead(head, back, reload) {
    const webhook = await get(`/v1/webhooks/${id}`, {signal});
    const test = asyncHandler(async () => {
      await sendTest(webhook);
      await reload();
    });
    const redraw = () =>
      drawHead(head, back, reload).catch(() => {
        location.hash = "#/webhooks";
      });
    head.replaceChildren(
      h(
        "div",
        {class: "head"},
        back,
        h("div", {class: "grow"}, h("h1", {class: "clip mono"}, webhook.url), h("p", {class: "muted small"}, webhook.events.join(", "), wantsText(webhook))),
        webhookState(webhook),
        h("button", {type: "button", onclick: test}, icon("send"), t("Send a test")),
        webhookMenu(webhook, redraw),
      ),
    );
  }

  await showLog(main, signal, {
    title: t("Webhook"),
    back: {href: "#/webhooks", text: t("All webhooks")},
    logTitle: t("Deliveries"),
    drawHead,
    ask: (cursor) => get(query(`/v1/webhooks/${id}/deliveries`, {limit: 50, cursor}), {signal}),
    idOf: (delivery) => delivery.delivery_id,
    row: deliveryRow,
    empty: () => h("div", {class: "empty"}, h("h2", {}, t("No deliveries yet")), h("p", {}, t("Send a test to see whether it arrives."))),
  });
}

/**
 * @param {Delivery} first
 * @param {() => Promise<void>} reload
 */
function deliveryRow(first, reload) {
  const summary = h("summary", {});
  const attempts = h("tbody", {});
  const payload = h("pre", {class: "json", tabindex: "0", "aria-label": t("Payload")}, "…");
  let shown = "";
  let loaded = false;
  const node = h(
    "details",
    {class: "delivery"},
    summary,
    h(
      "div",
      {class: "inside"},
      h(
        "div",
        {class: "row"},
        h("h3", {class: "grow"}, t("Attempts")),
        h(
          "button",
          {
            type: "button",
            onclick: asyncHandler(async () => {
              await post(`/v1/deliveries/${first.delivery_id}/redeliver`);
              toast(t("Delivery queued again"));
              await reload();
            }),
          },
          icon("retry"),
          t("Redeliver"),
        ),
      ),
      table([t("Time"), t("Response"), t("Duration"), ""], attempts),
      h(
        "div",
        {class: "row"},
        h("h3", {class: "grow"}, t("Payload")),
        iconButton("copy", t("Copy the payload"), () => copyText(payload.textContent, t("Payload")).catch(toastError)),
      ),
      payload,
    ),
  );
  node.addEventListener("toggle", async () => {
    if (!node.open || loaded) return;
    loaded = true;
    const found = await get(`/v1/deliveries/${first.delivery_id}`).catch((error) => ({payload: error.message}));
    payload.textContent = JSON.stringify(found.payload, null, 2);
  });

  /** @param {Delivery} delivery */
  function update(delivery) {
    const text = JSON.stringify(delivery);
    if (text === shown) return;
    shown = text;
    const [word, kind] = STATUS_TEXTS[delivery.status];
    const detail = delivery.last_error ? serverText(delivery.last_error) : delivery.last_status_code ? `HTTP ${delivery.last_status_code}` : "";
    const next =
      delivery.status === "pending" && delivery.next_at && delivery.attempt ? ` · ${t("next attempt {time}", {time: formatAge(delivery.next_at)})}` : "";
    summary.replaceChildren(
      h("span", {}, h("span", {class: `pill ${kind}`}, word)),
      h("span", {class: "mono small"}, delivery.event),
      h(
        "span",
        {class: "subject small clip", title: delivery.clip_id || delivery.recording_id},
        delivery.test && h("span", {class: "pill"}, t("Test")),
        h("bdi", {class: "clip"}, delivery.subject || delivery.clip_id || delivery.recording_id || ""),
      ),
      h("span", {class: "muted small clip"}, detail, next),
      h("span", {class: "muted small", title: delivery.created_at}, formatAge(delivery.created_at)),
    );
    attempts.replaceChildren(
      ...delivery.attempts.map((each) =>
        h(
          "tr",
          {},
          h("td", {class: "mono"}, each.at),
          h("td", {}, each.status_code ? `HTTP ${each.status_code}` : "–"),
          h("td", {}, `${each.duration_ms} ms`),
          h("td", {class: "bad"}, each.error && serverText(each.error)),
        ),
      ),
    );
  }
  return {node, update};
}
