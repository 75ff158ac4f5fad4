// The dialog "Share": create a link to a clip, copy it, and list and revoke those that exist.

import {get, post, query, remove} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {openDialog} from "../lib/dialogs.js";
import {h, icon, iconButton, setChildren} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatAge, formatUntil} from "../lib/format.js";
import {may} from "../lib/rights.js";
import {plural, rich, t} from "../lib/texts.js";
import {asyncHandler, toast, toastError} from "../lib/toasts.js";

const DAY_MS = 24 * 3600 * 1000;
/** @type {[days: string, text: string][]} */
const LIFETIMES = [
  ["7", t("In 7 days")],
  ["1", t("In a day")],
  ["30", t("In 30 days")],
  ["", t("Never")],
];

/** @param {Clip} clip */
export function shareClip(clip) {
  const path = /** @type {const} */ (`/v1/clips/${clip.clip_id}/shares`);
  const lifetime = h(
    "select",
    {},
    LIFETIMES.map(([days, text]) => h("option", {value: days}, text)),
  );
  const download = h("input", {type: "checkbox", class: "toggle", checked: true});
  const embed = h("input", {type: "checkbox", class: "toggle", checked: true});
  const link = h("div", {class: "stack link", hidden: true});
  const shares = h("ul", {class: "shares", "aria-label": t("Links to this clip")});

  const create = asyncHandler(async () => {
    const days = Number(lifetime.value);
    const expires = days ? {expires_at: new Date(Date.now() + days * DAY_MS).toISOString()} : {};
    const made = await post(path, {...expires, download: download.checked, embed: embed.checked});
    showLink(made);
    await load();
  });
  const creating = h("button", {type: "button", class: "primary", onclick: create}, icon("link"), t("Create link"));

  /** @param {ShareLink} share */
  function showLink(share) {
    const {url} = share;
    link.hidden = false;
    creating.classList.toggle("primary", !url); // one filled button: to copy what is there
    if (!url) {
      link.replaceChildren(h("p", {class: "small"}, t("This link was made with another key of the server and cannot be shown again. Create a new one.")));
      return;
    }
    const field = h("input", {readonly: true, value: url, "aria-label": t("Link")});
    field.addEventListener("focus", () => field.select());
    const copy = h(
      "button",
      {type: "button", class: "primary", onclick: () => copyText(field.value, t("Link")).catch(toastError)},
      icon("copy"),
      t("Copy link"),
    );
    const start = h("input", {inputmode: "decimal", autocomplete: "off", value: "0"});
    const code = h("img", {class: "qr", alt: t("QR code of the link")});
    const chosenStart = () => {
      const typed = Number(start.value.replace(",", "."));
      return typed > 0 && typed < (clip.result?.duration_seconds ?? 0) ? `?t=${typed}` : "";
    };
    const draw = () => {
      field.value = url + chosenStart();
      code.src = query(`${path}/${share.share_id}/qr.svg`, {start_seconds: chosenStart().slice(3)});
    };
    start.addEventListener("change", draw);
    draw();
    const {embed_url: player, embed_code: embedCode} = share;
    const copyCode = () => copyText(embedCode?.replace(player ?? "", player + chosenStart()) ?? "", t("Embed code")).catch(toastError);
    link.replaceChildren(
      share.note
        ? h(
            "p",
            {class: "notice warn"},
            icon("alert"),
            h(
              "span",
              {},
              rich("Only this computer can open the link: set {setting} to an address that others can reach.", {setting: h("code", {}, "server.public_url")}),
            ),
          )
        : "",
      h("div", {class: "row"}, field, copy),
      h(
        "div",
        {class: "about"},
        share.note ? h("p", {class: "qr tiny muted"}, t("The QR code appears when others can reach this server.")) : code,
        h(
          "div",
          {},
          h("label", {class: "line"}, t("Starts at (seconds)"), start),
          embedCode
            ? h("div", {class: "line"}, t("Embed in a page"), h("button", {type: "button", class: "quiet", onclick: copyCode}, icon("copy"), t("Copy code")))
            : "",
          h(
            "p",
            {class: "muted small"},
            share.expires_at
              ? t("Anyone with the link can open the clip until {time}.", {time: formatUntil(share.expires_at)})
              : t("Anyone with the link can open the clip until the link is revoked."),
          ),
        ),
      ),
    );
    copy.focus();
  }

  /** @param {Share} share */
  function shareRow(share) {
    const revoke = asyncHandler(async () => {
      await remove(`${path}/${share.share_id}`);
      toast(t("Link revoked"), t("It no longer opens the clip."));
      link.hidden = true;
      creating.classList.add("primary");
      await load();
    });
    const show = asyncHandler(async () => showLink(await get(`${path}/${share.share_id}`)));
    const gone = share.expires_at && Date.parse(share.expires_at) <= Date.now();
    const facts = [
      plural(share.views, "{count} view", "{count} views"),
      share.webhook_hosts && t("for webhooks ({hosts})", {hosts: share.webhook_hosts.join(", ")}),
      share.expires_at && (gone ? t("expired") : t("expires {time}", {time: formatAge(share.expires_at)})),
    ].filter(Boolean);
    const created = t("Created {time}", {time: formatAge(share.created_at)});
    return h(
      "li",
      {class: "row"},
      h("div", {class: "grow", title: share.expires_at || ""}, h("p", {class: "name"}, created), h("p", {class: "muted small"}, facts.join(" · "))),
      gone ? null : h("button", {type: "button", class: "quiet", onclick: show}, t("Show link")),
      may("delete", "clips", share) && iconButton("trash", t("Revoke link"), revoke),
    );
  }

  async function load() {
    try {
      const page = await get(`${path}?limit=100`);
      setChildren(shares, page.data.map(shareRow));
    } catch (error) {
      shares.replaceChildren(h("li", {}, h("p", {class: "bad"}, errorText(error))));
    }
  }

  openDialog(
    rich("Share “{label}”", {label: h("bdi", {}, clip.label)}),
    h(
      "div",
      {class: "stack share"},
      link,
      h(
        "section",
        {},
        h("p", {class: "muted small"}, t("A link opens this clip in any browser, without a key. It gives access to nothing else.")),
        h("label", {class: "line"}, t("Expires"), lifetime),
        h("label", {class: "line"}, t("Offer the file for download"), download),
        h("label", {class: "line"}, t("Let other sites show the player"), embed),
        h("div", {class: "row end"}, creating),
      ),
      shares,
    ),
    {size: "narrow"},
  );
  lifetime.focus();
  load();
}
