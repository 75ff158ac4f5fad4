// Editing of a sentence of a transcript, in its place.

import {ApiError, get, query, request} from "../../lib/api.js";
import {setText} from "../../lib/dom.js";
import {editInPlace} from "../../lib/edit_in_place.js";
import {t} from "../../lib/texts.js";

const MAX_TEXT = 2000; // characters of a sentence
const TRIES = 3; // to store a sentence while others edit the transcript

/**
 * @param {HTMLElement | null} row of the sentence
 * @param {Cue | null | undefined} cue
 * @param {{path: `/v1/recordings/${string}/transcripts/${string}`, onsaved: () => void}} options
 */
export function editSentence(row, cue, {path, onsaved}) {
  const text = row?.querySelector("p");
  const restore = row?.querySelector("button");
  if (!cue || !text || !restore) return;
  /** @param {string} changed */
  const save = async (changed) => {
    await saveText(path, cue, changed);
    setText(text, changed);
    cue.words = [];
    onsaved();
  };
  editInPlace(text, {value: cue.text.replaceAll("\n", " "), label: t("Text of the sentence"), maxlength: MAX_TEXT, restore, save});
}

/**
 * Store the new text of a sentence in the transcript as it is now, with the changes of others. The times of its words
 * are not those of the new ones.
 *
 * @param {`/v1/recordings/${string}/transcripts/${string}`} path
 * @param {Cue} cue
 * @param {string} text
 * @param {number} [tries]
 */
async function saveText(path, cue, text, tries = TRIES) {
  if (!text) throw new ApiError(400, {code: "empty_text"});
  const list = /** @type {`/v1/recordings/${string}/transcripts`} */ (path.slice(0, path.lastIndexOf("/")));
  const {data} = await get(list); // before the cues, so that they are of this version or a later one
  const version = data.find(({language}) => path.endsWith(`/${language}`))?.version;
  const cues = /** @type {Cue[]} */ (await get(query(path, {format: "json"})));
  const at = cues.findIndex((each) => each.start_seconds === cue.start_seconds && each.end_seconds === cue.end_seconds && each.text === cue.text);
  if (at < 0) throw new ApiError(409, {code: "transcript_changed"});
  const body = cues.map((each, number) => (number === at ? {...each, text, words: []} : each));
  try {
    await request("PUT", path, {body, version});
  } catch (error) {
    if (error.code !== "transcript_changed" || tries <= 1) throw error;
    await saveText(path, cue, text, tries - 1);
  }
  cue.text = text;
}
