// Links to recordings by id. Their titles are loaded once per view, those of all rows that are drawn at once together.

import {get, query} from "./api.js";
import {h} from "./dom.js";
import {listen} from "./events.js";
import {stripBidi, titleParts} from "./format.js";
import {LIMITS} from "./limits.js";
import {t} from "./texts.js";

const MOST = LIMITS.ids;
const MOST_LINKS = 200; // to a recording, which follow its name: rows that are gone are among them

/** @typedef {Pick<Recording, "name" | "bucket_path">} Titled */

/**
 * Return the address of a recording in the page, and optionally of a time in seconds and a language of its transcripts.
 *
 * @param {string} id
 * @param {number | null} [time]
 * @param {string | null} [language]
 */
export const recordingAddress = (id, time = null, language = null) => query(`#/recordings/${id}`, {t: time, language});

/**
 * Return a function that returns a link for an id, and optionally a time in seconds and a language of the transcript. If a
 * recording has no name: the last two parts of its key, the folder shortened first. A rename changes the links.
 *
 * @param {AbortSignal} signal
 * @returns {(id: string, time?: number | null, language?: string | null) => HTMLAnchorElement}
 */
export function recordingLinks(signal) {
  /** @type {Map<string, Titled | Promise<Titled>>} */
  const known = new Map(); // id -> recording, or a promise of it
  /** @type {Map<string, (recording: Titled) => void>} */
  let wanted = new Map(); // id -> the function that resolves its promise
  /** @type {Map<string, ((recording: Titled) => void)[]>} */
  const links = new Map(); // id -> functions that show its title
  /** @param {Recording} recording */
  const rename = (recording) => {
    const {recording_id: id} = recording;
    if (!links.has(id)) return;
    known.set(id, recording);
    for (const show of links.get(id) ?? []) show(recording);
  };
  listen({recording: rename, resync: () => {}}, signal);

  const load = async () => {
    const asked = wanted;
    wanted = new Map();
    if (!asked.size) return;
    const params = new URLSearchParams({limit: String(MOST)});
    for (const id of asked.keys()) params.append("recording_id", id);
    const {data} = await get(`/v1/recordings?${params}`, {signal}).catch(() => ({data: []}));
    const found = new Map(data.map((recording) => [recording.recording_id, recording]));
    for (const [id, resolve] of asked) resolve(found.get(id) || {name: t("Recording"), bucket_path: ""});
  };

  /**
   * @param {string} id
   * @returns {Promise<Titled>}
   */
  const find = (id) =>
    new Promise((resolve) => {
      if (!wanted.size) queueMicrotask(load);
      wanted.set(id, resolve);
      if (wanted.size === MOST) load();
    }).then((recording) => {
      known.set(id, recording);
      return recording;
    });

  return (id, time = null, language = null) => {
    const folder = h("span", {class: "folder"});
    const file = h("span", {class: "file"}, "…");
    const link = h("a", {href: recordingAddress(id, time, language), class: "path"}, folder, file);
    /** @param {Titled} recording */
    const show = (recording) => {
      [folder.textContent, file.textContent] = titleParts(recording);
      if (recording.bucket_path) link.title = stripBidi(recording.bucket_path);
    };
    links.set(id, [...(links.get(id) ?? []).slice(1 - MOST_LINKS), show]);
    const found = known.get(id) ?? find(id);
    if (found instanceof Promise) {
      known.set(id, found);
      found.then(show);
    } else show(found);
    return link;
  };
}
