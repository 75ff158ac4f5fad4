// The message that a clip of this view is ready, with its link.

import {get, post, query} from "../lib/api.js";
import {debounce, h} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatBytes, formatTime, formatUntil} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {copyText, toast, toastError} from "../lib/ui.js";

const LINK_MS = 7 * 24 * 3600 * 1000; // as the dialog offers it
const LOOK_MS = 300; // after the last of several clips

/**
 * Return `watch(clip)`: when such a clip of the recording is ready, a message says so and offers to copy a link to it.
 *
 * @param {string} recordingId
 * @param {AbortSignal} signal
 */
export function announceReady(recordingId, signal) {
  /** @type {Set<string>} */
  const watched = new Set();
  const found = (/** @type {Clip} */ clip) => {
    if (clip.status === "complete" && clip.result && watched.delete(clip.clip_id)) show(/** @type {ReadyClip} */ (clip));
  };
  // The event of a clip may be sent before the stream is open, and may arrive before the response with the clip's id.
  const look = async () => {
    if (!watched.size || signal.aborted) return;
    const request = get(query(`/v1/recordings/${recordingId}/clips`, {limit: 100}), {signal});
    const page = /** @type {Page<Clip> | null} */ (await request.catch(() => null)); // the next `resync` looks again
    page?.data.forEach(found);
  };
  listen({resync: look, clip: found}, signal);
  const lookSoon = debounce(LOOK_MS, look);
  return {
    watch: (/** @type {Clip} */ clip) => {
      watched.add(clip.clip_id);
      lookSoon();
    },
  };
}

/** @param {ReadyClip} clip */
function show(clip) {
  const {result} = clip;
  const facts = t("Ready, {length} · {size}", {length: formatTime(result.duration_seconds, 0), size: formatBytes(result.size_bytes)});
  const poster = result.poster_path ? h("span", {class: "poster"}, h("img", {src: `/v1/clips/${clip.clip_id}/poster`, alt: ""})) : null;
  const copy = async () => {
    const expires = new Date(Date.now() + LINK_MS).toISOString();
    const share = await post(`/v1/clips/${clip.clip_id}/shares`, {expires_at: expires});
    await copyText(share.url, t("Link"), t("It opens the clip until {time}.", {time: formatUntil(expires)}));
  };
  toast(clip.label, facts, {poster, action: {text: t("Copy link"), icon: "link", run: () => copy().catch(toastError)}});
}
