// Signals about all clips of a recording, for its timeline and the next default name. The progress of a clip does not change them. No DOM.

import {computed} from "../vendor/signals-core.js";

/** @import {ReadonlySignal} from "../vendor/signals-core.js" */
/** @import {AllQuery} from "./all_query.js" */

/** @param {Clip} clip */
const shownOf = ({label, status, start_seconds: start, end_seconds: end, parts}) => JSON.stringify([label, status, start, end, parts]);

/**
 * Return a value of each clip, which is computed when that clip has changed.
 *
 * @template Value
 * @param {AllQuery<Clip>} all
 * @param {(clip: Clip) => Value} compute
 * @returns {ReadonlySignal<ReadonlySignal<Value>[]>}
 */
function each(all, compute) {
  /** @type {WeakMap<object, ReadonlySignal<Value>>} */
  const values = new WeakMap();
  return computed(() =>
    all.states.value.map((state) => {
      const known = values.get(state) ?? computed(() => compute(state.value));
      values.set(state, known);
      return known;
    }),
  );
}

/**
 * Return the ids of all clips. It changes when a clip is new or deleted, or has changed in what a timeline shows.
 *
 * @param {AllQuery<Clip>} all
 */
export function bandsOf(all) {
  const shown = each(all, shownOf);
  return computed(() => {
    for (const value of shown.value) value.value;
    return all.shown.value;
  });
}

/**
 * Return the number of a label that was given by default, or 0.
 *
 * @param {string} label
 */
export const numberOf = (label) => Number((/^Clip (\d{1,6})$/.exec(label) || [0, 0])[1]);

/**
 * Return the highest number of the default labels.
 *
 * @param {AllQuery<Clip>} all
 */
export function highestNumber(all) {
  const numbers = each(all, (clip) => numberOf(clip.label));
  return computed(() => numbers.value.reduce((highest, number) => Math.max(highest, number.value), 0));
}
