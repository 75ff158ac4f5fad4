// Words for places in a recording: frames, or positions if it has no video.

import {t} from "../../lib/texts.js";

/**
 * @typedef {object} Words
 * @property {boolean} pictured
 * @property {string} previous
 * @property {string} next
 * @property {string} start meaning of the in point
 * @property {string} end meaning of the out point
 * @property {string} step meaning of the arrow keys
 * @property {string} setStart
 * @property {string} setEnd
 * @property {[keys: string, text: string]} jump
 */

/** @type {Words} */
const FRAMES = {
  pictured: true,
  previous: t("Previous frame (←)"),
  next: t("Next frame (→)"),
  start: t("In: the clip starts with this frame"),
  end: t("Out: the clip ends before this frame"),
  step: t("step one frame; with Shift, one second"),
  setStart: t("set the in point: the clip starts with the frame on screen"),
  setEnd: t("set the out point: the clip ends before the frame on screen"),
  jump: ["F S D", t("go to the next keyframe, silence or scene; with Shift, to the previous one")],
};
/** @type {Words} */
const POSITIONS = {
  pictured: false,
  previous: t("10 ms back (←)"),
  next: t("10 ms forward (→)"),
  start: t("In: the clip starts here"),
  end: t("Out: the clip ends here"),
  step: t("move by 10 ms; with Shift, by one second"),
  setStart: t("set the in point: the clip starts at this position"),
  setEnd: t("set the out point: the clip ends at this position"),
  jump: ["S", t("go to the next silence; with Shift, to the previous one")],
};

/**
 * @param {Pick<ReadyRecording, "media">} recording
 * @returns {Words}
 */
export const wordsOf = ({media}) => (media.video ? FRAMES : POSITIONS);
