// Merge lists of segments that two tabs or programs have changed. Nothing of either is lost: a segment that both have changed is
// in the list twice.

/** @import {Segment} from "./doc.js" */

/**
 * Return a list with the changes of both lists since `base`, in the order of `theirs` unless only `mine` has changed.
 *
 * @param {readonly Segment[]} base
 * @param {readonly Segment[]} mine
 * @param {readonly Segment[]} theirs
 * @returns {Segment[]}
 */
export function mergedItems(base, mine, theirs) {
  if (alike(base, theirs)) return [...mine];
  const known = new Map(mine.map((item) => [key(item), item])); // the tab's own objects stay those that it has selected
  const kept = without(theirs, without(base, mine)).map((item) => known.get(key(item)) ?? item);
  return [...kept, ...without(without(mine, base), without(theirs, base))];
}

/**
 * Return what is kept of a value that two lists have: the changed one, or mine with `asks` if both have changed it.
 *
 * @template T
 * @param {T} base
 * @param {T} mine
 * @param {T} theirs
 */
export function mergedValue(base, mine, theirs) {
  const [before, here, there] = [base, mine, theirs].map((value) => JSON.stringify(canonical(value)));
  return {value: here === before ? theirs : mine, asks: here !== before && there !== before && here !== there};
}

/**
 * Return a value in one form: the server sorts names, rounds nothing, and leaves out what is null or empty, or adds it.
 *
 * @param {any} value
 * @returns {any} undefined for what is empty
 */
function canonical(value) {
  if (value === null || typeof value !== "object") return value === "" || value === null ? undefined : value;
  if (Array.isArray(value)) return value.length ? value.map((each) => canonical(each) ?? null) : undefined;
  const entries = Object.keys(value)
    .sort()
    .map((name) => [name, canonical(value[name])])
    .filter(([, each]) => each !== undefined);
  return entries.length ? Object.fromEntries(entries) : undefined;
}

/**
 * @param {readonly Segment[]} items
 * @param {readonly Segment[]} others
 */
function alike(items, others) {
  return items.length === others.length && items.every((item, at) => key(item) === key(others[at]));
}

/**
 * Return the items of a list that another one does not have, each as often.
 *
 * @param {readonly Segment[]} items
 * @param {readonly Segment[]} others
 */
function without(items, others) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const other of others) counts.set(key(other), (counts.get(key(other)) ?? 0) + 1);
  return items.filter((item) => {
    const count = counts.get(key(item)) ?? 0;
    counts.set(key(item), count - 1);
    return count <= 0;
  });
}

/** @param {Segment} item */
const key = ({label, start, end}) => JSON.stringify([label, seconds(start), seconds(end)]);

/** @param {number} time */
export const seconds = (time) => Number(time.toFixed(6)); // as it is stored
