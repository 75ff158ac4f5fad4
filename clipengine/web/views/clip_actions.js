// Actions of a clip: play, download, share, copy as a request, cancel, retry, delete.

import {post} from "../lib/api.js";
import {copyText, saveFile} from "../lib/copying.js";
import {confirmDialog, openDialog} from "../lib/dialogs.js";
import {announce, h, icon} from "../lib/dom.js";
import {serverText} from "../lib/error_views.js";
import {formatBytes, formatTime, rangeOf} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {may} from "../lib/rights.js";
import {plural, t} from "../lib/texts.js";
import {toast} from "../lib/toasts.js";
import {deleteLater} from "./deleting.js";
import {shareClip} from "./share_dialog.js";

/** @param {Clip} clip */
export const clipDownload = (clip) => `/v1/clips/${clip.clip_id}/download`;

/** @import {MenuItem} from "../lib/menus.js" */

const ANIMATIONS = ["gif", "webp"];
const PLAYING = {controls: true, autoplay: true, loop: true};

/**
 * Return the element that plays the clip. Animations are images.
 *
 * @param {ReadyClip} clip
 */
function playerOf(clip) {
  const {result} = clip;
  if (!result.width || !result.height) return h("audio", {src: clipDownload(clip), ...PLAYING, "aria-label": clip.label});
  const player = ANIMATIONS.includes(result.video_codec ?? "")
    ? h("img", {src: clipDownload(clip), alt: clip.label, class: "animation", tabindex: "-1"})
    : h("video", {src: clipDownload(clip), poster: result.poster_path && `/v1/clips/${clip.clip_id}/poster`, ...PLAYING, "aria-label": clip.label});
  player.style.setProperty("--ratio", String(result.width / result.height)); // so that nothing moves when it loads
  return player;
}

/** @param {ReadyClip} clip */
export function playClip(clip) {
  const {result} = clip;
  const player = playerOf(clip);
  const problem = h("p", {class: "notice bad", hidden: true}, t("This browser cannot play this clip's codec. Download it, or make it with another profile."));
  player.addEventListener("error", () => {
    problem.hidden = false;
  });
  const facts = [
    clip.parts && clip.parts.length > 1 ? rangeOf(clip) : `${formatTime(result.actual_start_seconds)} – ${formatTime(result.actual_end_seconds)}`,
    result.width && `${result.width}×${result.height}`,
    [result.video_codec, result.audio_codec].filter(Boolean).join(" + "),
    result.frames && plural(result.frames, "{count} frame", "{count} frames"),
    formatBytes(result.size_bytes),
  ].filter(Boolean);
  const dialog = openDialog(
    clip.label,
    h(
      "div",
      {class: "stack"},
      player,
      problem,
      h("p", {class: "muted small"}, facts.join(" · ")),
      result.warnings.map((warning) => h("p", {class: "notice small"}, serverText(warning))),
    ),
    {
      size: (result.height ?? 0) > (result.width ?? 0) ? "narrow" : "wide",
      footer: [
        may("write", "clips") &&
          h(
            "button",
            {
              type: "button",
              class: "quiet",
              onclick: () => {
                dialog.close();
                shareClip(clip);
              },
            },
            icon("link"),
            t("Share"),
          ),
        h("a", {class: "button", href: clipDownload(clip)}, icon("down"), t("Download")),
      ],
      onclose: () => {
        player.removeAttribute("src");
        if (player instanceof HTMLMediaElement) player.load(); // stops playback and download
      },
    },
  );
  player.focus();
}

/** @param {Clip} clip */
const optionsOf = (clip) => ({
  ...(clip.parts ? {parts: clip.parts} : {}),
  ...(clip.profile === "default" ? {} : {profile: clip.profile}),
  ...(clip.render ? {render: clip.render} : {}),
  ...(clip.output ? {output: clip.output} : {}),
});

/** @param {Clip} clip */
export function asCurl(clip) {
  const {label, start_seconds, end_seconds} = clip;
  const body = JSON.stringify({label, ...(clip.parts ? {} : {start_seconds, end_seconds}), ...optionsOf(clip)}).replaceAll("'", "'\\''");
  return `curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n  -d '${body}' \\\n  ${location.origin}/v1/recordings/${clip.recording_id}/clips`;
}

/** @param {Clip} clip */
export function asPython(clip) {
  const {label, start_seconds: start, end_seconds: end} = clip;
  const range = clip.parts ? "" : `, ${start}, ${end}`;
  const extra = Object.entries(optionsOf(clip))
    .map(([name, value]) => `, ${name}=${JSON.stringify(value)}`)
    .join("");
  return [
    "import os",
    "from clipengine.client import Client",
    "",
    `with Client(${JSON.stringify(location.origin)}, os.environ["KEY"]) as client:`,
    `    clip = client.clips.create(${JSON.stringify(clip.recording_id)}, ${JSON.stringify(label)}${range}${extra}).wait()`,
    "    clip.raise_for_error()",
    '    clip.download("clip.mp4")',
  ].join("\n");
}

/**
 * `rename()` and `retag()` edit the row of the clip. `ondelete()` is called when it is hidden, before it is deleted.
 *
 * @param {Clip} clip
 * @param {{ondelete?: () => void, rename: () => void, retag: () => void, onretry: () => unknown}} actions
 * @returns {MenuItem[]}
 */
export function menuItems(clip, {ondelete = () => {}, rename, retag, onretry}) {
  return [
    clip.status === "complete" && may("write", "clips") && {text: t("Share…"), icon: "link", run: () => shareClip(clip)},
    clip.status === "complete" && {
      text: t("Download"),
      icon: "down",
      run: () => {
        location.href = clipDownload(clip);
      },
    },
    clip.error?.retryable === false && may("write", "clips") && {text: t("Retry anyway"), icon: "retry", run: onretry},
    may("write", "clips") && {text: t("Rename"), icon: "pen", run: rename},
    may("write", "clips") && {text: t("Edit tags"), icon: "tag", run: retag},
    {text: t("Copy as curl"), icon: "copy", run: () => copyText(asCurl(clip), t("curl command"))},
    {text: t("Copy as Python"), icon: "copy", run: () => copyText(asPython(clip), "Python")},
    may("delete", "clips", clip) && {
      text: t("Delete"),
      icon: "trash",
      danger: true,
      run: () => {
        ondelete();
        return deleteClips([clip]);
      },
    },
  ];
}

/** @param {Clip} clip */
export const cancel = (clip) => post(`/v1/clips/${clip.clip_id}/cancel`);
/** @param {Clip} clip */
export const retry = (clip) => post(`/v1/clips/${clip.clip_id}/retry`);

const BATCH = LIMITS.batch;

/**
 * Download the complete ones of the clips as ZIP archives of at most 100 clips.
 *
 * @param {Clip[]} clips
 */
export async function downloadArchive(clips) {
  const ready = clips.filter((clip) => clip.status === "complete");
  if (!ready.length) {
    toast(t("Nothing to download"), t("None of the selected clips is ready."), {bad: true});
    return;
  }
  const left = clips.length - ready.length;
  toast(
    t("Preparing the archive"),
    `${plural(ready.length, "{count} clip", "{count} clips")}, ${formatBytes(ready.reduce((sum, clip) => sum + (clip.result?.size_bytes ?? 0), 0))}${left ? `; ${t("{count} not ready", {count: left})}` : ""}`,
  );
  for (let at = 0; at < ready.length; at += BATCH) {
    const ids = ready.slice(at, at + BATCH).map((clip) => clip.clip_id);
    saveFile(ready.length > BATCH ? `clips-${at / BATCH + 1}.zip` : "clips.zip", await post("/v1/clips/archive", {clip_ids: ids}, {as: "blob"}));
  }
  announce(t("The archive is downloaded"));
}

/**
 * Return how many clips are left out because others have made them.
 *
 * @param {number} count
 */
export const othersStay = (count) => (count ? plural(count, "{count} clip stays: others have made it.", "{count} clips stay: others have made them.") : "");

/**
 * Delete the clips that the caller may delete, which can be undone. More than one are deleted after a confirmation.
 *
 * @param {Clip[]} chosen
 */
export async function deleteClips(chosen) {
  const clips = chosen.filter((clip) => may("delete", "clips", clip));
  const what = plural(clips.length, "{count} clip", "{count} clips");
  const bytes = clips.reduce((sum, {result}) => sum + (result?.size_bytes ?? 0), 0);
  const title = plural(clips.length, "Delete {count} clip?", "Delete {count} clips?");
  const detail = [t("The clips and their files in the store are deleted: {size}.", {size: formatBytes(bytes)}), othersStay(chosen.length - clips.length)];
  if (clips.length > 1 && !(await confirmDialog(title, detail.join(" "), t("Delete")))) return;
  const ids = clips.map((clip) => clip.clip_id);
  deleteLater({
    ids,
    soon: (seconds) => t("Deletion in {seconds} s", {seconds}),
    title: t("Deleted"),
    detail: () => (clips.length > 1 ? what : [h("bdi", {}, clips[0].label)]),
    async send(options) {
      for (let at = 0; at < ids.length; at += BATCH) await post("/v1/clips/delete", {clip_ids: ids.slice(at, at + BATCH)}, options);
      return [];
    },
  });
}
