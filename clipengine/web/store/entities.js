// Objects of the API by id, as signals. Answers and events may arrive in any order: of two states of an object, the store keeps
// the newer one. Lists of ids (list_query.js, all_query.js) say which of them a view shows. No DOM.

import {batch, signal} from "../vendor/signals-core.js";

/** @template Item @typedef {import("../vendor/signals-core.js").Signal<Item>} Signal */

/**
 * A list that follows new and deleted objects. `arrived` returns true if it takes an object that was unknown.
 *
 * @template Item
 * @typedef {{arrived: (item: Item, fresh: boolean) => boolean, gone: (id: string) => void}} Watcher
 */

/**
 * Return a function that returns the previous list if the next one has the same items, so that its readers do not run again.
 *
 * @template T
 * @returns {(next: T[]) => T[]}
 */
export function stable() {
  /** @type {T[]} */
  let before = [];
  return (next) => {
    if (next.length !== before.length || next.some((each, at) => each !== before[at])) before = next;
    return before;
  };
}

/** @template Item */
export class Entities {
  /**
   * `isOlder(item, known)` compares two states of an object; `merged(item, known)` returns the newer one with the
   * values that only the older one has.
   *
   * @param {{idOf: (item: Item) => string, isOlder: (item: Item, known: Item) => boolean, merged?: (item: Item, known: Item) => Item}} options
   */
  constructor({idOf, isOlder, merged = (item) => item}) {
    this.idOf = idOf;
    this.isOlder = isOlder;
    this.merged = merged;
    /** @type {Map<string, {state: Signal<Item>, epoch: number}>} by id */
    this.known = new Map();
    /** @type {Set<string>} ids, so that a late page does not bring them back */
    this.deleted = new Set();
    /** @type {Set<Watcher<Item>>} */
    this.watchers = new Set();
    this.epoch = 0; // number of the connection; states of an earlier one are not compared
    this.reading = 0; // requests for pages, whose answers may be older than events
  }

  // The connection is new: the server may have lost its last changes, such as after a power cut.
  restart() {
    this.epoch += 1;
  }

  /** @param {string} id */
  has(id) {
    return this.known.has(id);
  }

  /**
   * Return the state of a known object. It keeps its last value when the object is deleted.
   *
   * @param {string} id
   */
  stateOf(id) {
    const found = this.known.get(id);
    if (!found) throw new TypeError(`unknown: ${id}`);
    return found.state;
  }

  /** @param {string} id */
  get(id) {
    return this.known.get(id)?.state.value;
  }

  /** @param {string} id */
  peek(id) {
    return this.known.get(id)?.state.peek();
  }

  /**
   * Store objects of a response or of an event, and return the ids of those that are not deleted. An unknown object of an event
   * is kept if a list takes it or a page is being requested. A `fresh` object is the result of an action here.
   *
   * @param {Item[]} items
   * @param {{event?: boolean, fresh?: boolean, epoch?: number}} [options] with `epoch` as it was when the request was sent
   */
  apply(items, {event = false, fresh = false, epoch = this.epoch} = {}) {
    return batch(() => items.filter((item) => this.take(item, event || fresh, fresh, epoch)).map(this.idOf));
  }

  /**
   * @param {Item} item
   * @param {boolean} notify the lists, which have not requested it
   * @param {boolean} fresh
   * @param {number} epoch
   */
  take(item, notify, fresh, epoch) {
    const id = this.idOf(item);
    if (this.deleted.has(id)) return false;
    const found = this.known.get(id);
    if (found) {
      const before = found.state.peek();
      const late = epoch < found.epoch || (epoch === found.epoch && this.isOlder(item, before));
      if (!late) {
        const next = this.merged(item, before);
        if (JSON.stringify(next) !== JSON.stringify(before)) found.state.value = next; // an equal object draws nothing again
        found.epoch = epoch;
      }
    } else this.known.set(id, {state: signal(item), epoch});
    if (!notify) return true;
    const takers = [...this.watchers].filter((watcher) => watcher.arrived(item, fresh));
    if (!found && !takers.length && !this.reading) this.known.delete(id);
    return true;
  }

  /** @param {string} id */
  delete(id) {
    this.deleted.add(id);
    batch(() => {
      for (const watcher of this.watchers) watcher.gone(id);
    });
  }

  /**
   * @param {Watcher<Item>} watcher
   * @param {AbortSignal} signal
   */
  watch(watcher, signal) {
    this.watchers.add(watcher);
    signal.addEventListener("abort", () => this.watchers.delete(watcher));
  }
}
