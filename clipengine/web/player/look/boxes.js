// Blurred boxes as the API has them: one that stays, or one that moves between points at times of the recording. Those that
// move at times of the clip, which other programs store, are not edited here.

import {formatNumber, t} from "../../lib/texts.js";
import {placeAt} from "./drawn_effects.js";

/** @import {ClipOutput} from "./look.js" */
/** @typedef {NonNullable<ClipOutput["blur"]>[number]} AnyBox */
/** @typedef {Extract<AnyBox, {x: number}>} Box that does not move */
/** @typedef {Exclude<AnyBox, Box>} MovingBox */
/** @typedef {{x: number, y: number, width: number, height: number}} BoxPlace in fractions of the picture */
/** @typedef {BoxPlace & {recording_seconds: number}} BoxPoint */

/** @param {AnyBox} box @returns {box is Box} */
export const isStill = (box) => "x" in box;

/** @param {AnyBox} box */
export const isEdited = (box) => isStill(box) || pathOf(box).length > 0;

/**
 * Return the points of a box at times of the recording; none if it moves at times of the clip.
 *
 * @param {MovingBox} box
 * @returns {BoxPoint[]}
 */
export const pathOf = ({box: path}) => path.flatMap((point) => ("recording_seconds" in point ? [point] : []));

/**
 * Return where an edited box is at a time of the recording.
 *
 * @param {AnyBox} box
 * @param {number} time
 * @returns {BoxPlace}
 */
export function placeOfBox(box, time) {
  const {x, y, width, height} = isStill(box)
    ? box
    : placeAt(
        pathOf(box).map(({recording_seconds: at, ...place}) => ({at_seconds: at, ...place})),
        time,
      );
  return {x, y, width, height};
}

/** @param {BoxPlace} place */
export function placeWords({x, y, width, height}) {
  const [left, top, wide, high] = [x, y, width, height].map((each) => formatNumber(Math.round(each * 100)));
  return t("{left} % from the left, {top} % from the top, {wide} × {high} % of the picture", {left, top, wide, high});
}

/** @param {BoxPlace} place */
export function shortPlaceWords({x, y}) {
  const [left, top] = [x, y].map((each) => formatNumber(Math.round(each * 100)));
  return t("{left} % across, {top} % down", {left, top});
}
