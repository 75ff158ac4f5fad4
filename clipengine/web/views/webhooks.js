// Webhooks, and the deliveries of each one with their payload and attempts.

import {get, patch, post, query, remove} from "../lib/api.js";
import {h, icon, iconButton} from "../lib/dom.js";
import {formatAge} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {asyncHandler, confirmDialog, copyText, errorState, errorText, menuButton, openDialog, serverText, table, toast, toastError} from "../lib/ui.js";

const EVENTS = ["clip.ready", "clip.failed", "clip.progress", "clip.expired", "recording.complete", "recording.failed", "endpoint.disabled"];
const DEFAULT_EVENTS = ["clip.ready", "clip.failed"];
const FORMATS = [
  ["json", t("JSON, signed")],
  ["slack", t("Slack message")],
  ["discord", t("Discord message")],
];
const STATUS_TEXTS = {delivered: [t("Delivered"), "good"], failed: [t("Failed"), "bad"], pending: [t("Pending"), ""], sending: [t("Sending"), "busy"]};
const REFRESH_MS = 2000;

export async function showWebhooks(main, params, signal) {
  document.title = `${t("Webhooks")} · clipengine`;
  const list = h("ul", {class: "list panel"});
  main.append(
    h(
      "div",
      {class: "head"},
      h("h1", {}, t("Webhooks")),
      h("button", {type: "button", class: "primary", onclick: () => addWebhook(load)}, icon("plus"), t("Add webhook")),
    ),
    list,
  );

  async function load() {
    try {
      const {data} = await get("/v1/webhooks?limit=100", {signal});
      list.replaceChildren(...(data.length ? data.map((webhook) => webhookRow(webhook, load)) : [emptyState()]));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(h("li", {}, errorState(error, load)));
    }
  }
  await load();
}

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

function webhookState(webhook) {
  if (!webhook.enabled) return h("span", {class: "pill bad"}, webhook.disabled_reason ? t("Disabled") : t("Off"));
  return webhook.failing_since ? h("span", {class: "pill bad"}, t("Failing")) : h("span", {class: "pill good"}, t("On"));
}

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
        webhook.origin === "settings" ? ` · ${t("from the settings")}` : "",
        webhook.disabled_reason
          ? [" · ", serverText(webhook.disabled_reason)]
          : webhook.failing_since
            ? ` · ${t("failing since {time}", {time: formatAge(webhook.failing_since)})}`
            : "",
      ),
    ),
    webhookState(webhook),
    webhookMenu(webhook, reload),
  );
}

function webhookMenu(webhook, reload) {
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
    ...(webhook.origin === "api"
      ? [
          {text: t("Edit…"), icon: "pen", run: () => editWebhook(webhook, reload)},
          {
            text: t("Delete…"),
            icon: "trash",
            danger: true,
            run: async () => {
              if (!(await confirmDialog(t("Delete this webhook?"), t("{url} receives no more events.", {url: webhook.url}), t("Delete")))) return;
              await remove(`/v1/webhooks/${webhook.webhook_id}`);
              await reload();
            },
          },
        ]
      : []),
  ]);
}

async function sendTest(webhook) {
  await post(`/v1/webhooks/${webhook.webhook_id}/test`);
  toast(t("Test event queued: clip.ready"), webhook.url);
  if (!location.hash.endsWith(webhook.webhook_id)) location.hash = `#/webhooks/${webhook.webhook_id}`;
}

// The dialog for a webhook's URL, events and format. `save({url, events, format})` resolves with the new secret, if there is one.
function webhookDialog(title, action, {url: currentUrl = "", events: currentEvents, format: currentFormat = "json"}, save, reload, ...more) {
  const url = h("input", {type: "url", required: true, value: currentUrl, placeholder: "https://example.org/hooks", "aria-describedby": "webhook-problem"});
  const checkboxes = EVENTS.map((name) => h("input", {type: "checkbox", name, checked: currentEvents.includes(name)}));
  const format = h(
    "select",
    {},
    FORMATS.map(([value, text]) => h("option", {value, selected: value === currentFormat}, text)),
  );
  const problem = h("p", {id: "webhook-problem", class: "bad small", role: "alert"});
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const {secret} = await save({url: url.value.trim(), events: EVENTS.filter((name, at) => checkboxes[at].checked), format: format.value});
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
          {class: "row wrap"},
          EVENTS.map((name, at) => h("label", {class: "check mono small"}, checkboxes[at], name)),
        ),
      ),
      h("label", {class: "field"}, t("Format"), format),
      more,
      h("div", {class: "row end"}, h("button", {class: "primary"}, action)),
    ),
  );
  url.focus();
}

function addWebhook(reload) {
  webhookDialog(t("Add webhook"), t("Add"), {events: DEFAULT_EVENTS}, (given) => post("/v1/webhooks", given), reload);
}

// Send only what has changed. A new secret is made here, because the API makes none for a PATCH.
function editWebhook(webhook, reload) {
  const newSecretBox = h("input", {type: "checkbox"});
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

// ---- one webhook

export async function showWebhook(main, {id}, signal) {
  document.title = `${t("Webhook")} · clipengine`;
  const head = h("div", {class: "head"});
  const list = h("div", {class: "list panel"});
  const after = h("div", {class: "more"});
  const rows = new Map(); // delivery id -> row
  let cursor = null;
  main.append(head, h("h2", {class: "sub"}, t("Deliveries")), list, after);

  async function drawHead() {
    const webhook = await get(`/v1/webhooks/${id}`, {signal});
    head.replaceChildren(
      h("a", {class: "button quiet square", href: "#/webhooks", title: t("All webhooks"), "aria-label": t("All webhooks")}, icon("back")),
      h("div", {class: "grow"}, h("h1", {class: "clip mono"}, webhook.url), h("p", {class: "muted small"}, webhook.events.join(", "))),
      webhookState(webhook),
      h(
        "button",
        {
          type: "button",
          onclick: asyncHandler(async () => {
            await sendTest(webhook);
            await load();
          }),
        },
        icon("send"),
        t("Send a test"),
      ),
      webhookMenu(webhook, async () => {
        await drawHead().catch(() => {
          location.hash = "#/webhooks";
        });
      }),
    );
  }

  // Reload the newest page while the view is open, because pending deliveries change.
  async function load(more = false) {
    const page = await get(query(`/v1/webhooks/${id}/deliveries`, {limit: 50, cursor: more ? cursor : null}), {signal});
    if (more || !rows.size) cursor = page.next_cursor;
    const fresh = page.data.filter((delivery) => !rows.has(delivery.delivery_id));
    for (const delivery of fresh) rows.set(delivery.delivery_id, deliveryRow(delivery, load));
    for (const delivery of page.data) rows.get(delivery.delivery_id).update(delivery);
    const nodes = fresh.map((delivery) => rows.get(delivery.delivery_id).node);
    if (more) list.append(...nodes);
    else list.prepend(...nodes);
    after.replaceChildren(...(cursor ? [h("button", {type: "button", onclick: asyncHandler(() => load(true))}, t("Show more"))] : []));
    if (!rows.size)
      after.replaceChildren(h("div", {class: "empty"}, h("h2", {}, t("No deliveries yet")), h("p", {}, t("Send a test to see whether it arrives."))));
  }

  const timer = setInterval(() => {
    if (!document.hidden) load().catch(() => {});
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  try {
    await drawHead();
    await load();
  } catch (error) {
    if (error.name === "AbortError") return;
    head.replaceChildren(
      h("a", {class: "button quiet square", href: "#/webhooks", title: t("All webhooks"), "aria-label": t("All webhooks")}, icon("back")),
      h("h1", {}, t("Webhook")),
    );
    list.hidden = true;
    after.replaceChildren(errorState(error, () => location.reload()));
  }
}

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
