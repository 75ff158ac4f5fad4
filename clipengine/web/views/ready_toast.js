// The message that a clip of this view is ready, with its link.

import {post} from "../lib/api.js";
import {copyText} from "../lib/copying.js";
import {h} from "../lib/dom.js";
import {formatBytes, formatLength, formatUntil, lengthOf} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {toast, toastError} from "../lib/toasts.js";
import {signal} from "../vendor/signals-core.js";

/** @import {Entities} from "../store/entities.js" */

const LINK_MS = 7 * 24 * 3600 * 1000; // as the dialog offers it

/**
 * Return `watch(id)` and `look()`, which follows the watched clips: a message announces each that is ready, and offers a link to it.
 *
 * @param {Entities<Clip>} store
 */
export function announceReady(store) {
  const watched = signal(/** @type {string[]} */ ([]));
  return {
    watch: (/** @type {string} */ id) => {
      watched.value = [...watched.peek(), id];
    },
    look: () => {
      const clips = watched.value.map((id) => store.get(id));
      const ready = clips.filter((clip) => clip?.status === "complete" && clip.result);
      if (!ready.length) return;
      watched.value = watched.value.filter((_, at) => !ready.includes(clips[at]));
      for (const clip of ready) show(/** @type {ReadyClip} */ (clip));
    },
  };
}

/** @param {ReadyClip} clip */
function show(clip) {
  const {result} = clip;
  const facts = t("Ready, {length} · {size}", {length: formatLength(lengthOf(clip)), size: formatBytes(result.size_bytes)});
  const poster = result.poster_path ? h("span", {class: "poster"}, h("img", {src: `/v1/clips/${clip.clip_id}/poster`, alt: ""})) : null;
  const copy = async () => {
    const expires = new Date(Date.now() + LINK_MS).toISOString();
    const share = await post(`/v1/clips/${clip.clip_id}/shares`, {expires_at: expires});
    await copyText(share.url, t("Link"), t("It opens the clip until {time}.", {time: formatUntil(expires)}));
  };
  toast(clip.label, facts, {poster, action: {text: t("Copy link"), icon: "link", run: () => copy().catch(toastError)}});
}
