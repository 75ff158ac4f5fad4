// The bands of clips, segments and chapters on the timeline, with their texts. Pure.

import {t} from "../../lib/texts.js";

/** @import {Band} from "./bands.js" */
/** @import {Segment} from "../../store/doc.js" */
/** @typedef {Clip | Segment} Shown */
/** @typedef {Media["chapters"][number]} Chapter */

/**
 * Return a band for each part of a clip that is of this recording.
 *
 * @param {Clip} clip
 * @returns {Band<Shown>[]}
 */
export function clipBands(clip) {
  const parts = clip.parts || [clip];
  return parts.flatMap(({recording_id: id, start_seconds: start, end_seconds: end}, at) => {
    if (id && id !== clip.recording_id) return [];
    const text = parts.length > 1 ? `${clip.label} ${at + 1}/${parts.length}` : clip.label;
    const label = [
      t("Clip: {label}", {label: clip.label}),
      parts.length > 1 && t("part {number} of {count}", {number: at + 1, count: parts.length}),
      clip.status === "processing" && t("in progress"),
    ]
      .filter(Boolean)
      .join(", ");
    return {key: `${clip.clip_id}/${at}`, start, end, text, label, kind: clip.status, item: {...clip, start_seconds: start, end_seconds: end}};
  });
}

/**
 * @param {Segment} item
 * @param {number} index
 * @returns {Band<Shown>}
 */
export function segmentBand(item, index) {
  const name = t("Segment {number}", {number: index + 1});
  const label = item.label ? `${name}: ${item.label}` : name;
  return {key: item, start: item.start, end: item.end, text: item.label || name, label, kind: "draft", item};
}

/**
 * @param {Chapter} chapter
 * @param {number} index
 * @returns {Band<Chapter>}
 */
export function chapterBand(chapter, index) {
  const title = chapter.title || t("Chapter {number}", {number: index + 1});
  const {start_seconds: start, end_seconds: end} = chapter;
  return {key: index, start, end, text: title, label: t("Chapter: {title}", {title}), kind: "chapter", item: chapter};
}
