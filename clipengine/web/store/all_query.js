// The ids of all items of a list, page after page, such as the clips of a recording for its timeline. No DOM.

import {computed, signal} from "../vendor/signals-core.js";
import {staying} from "./leaving.js";

/** @template Item @typedef {import("./entities.js").Entities<Item>} Entities */

/**
 * @template Item
 * @typedef {object} AllOptions
 * @property {Entities<Item>} store
 * @property {(cursor: string, signal: AbortSignal) => Promise<Page<Item>>} ask
 * @property {(item: Item) => boolean} wants returns true if an item of an event belongs here
 * @property {number} [retryMs] after a page that failed
 * @property {AbortSignal} signal
 */

/** @template Item */
export class AllQuery {
  /** @param {AllOptions<Item>} options */
  constructor({store, ask, wants, retryMs = 3000, signal: ended}) {
    this.store = store;
    this.ask = ask;
    this.wants = wants;
    this.retryMs = retryMs;
    this.ended = ended;
    this.loads = 0;
    this.ids = signal(/** @type {ReadonlySet<string>} */ (new Set()));
    this.shown = computed(() => [...staying(this.ids.value)]);
    this.states = computed(() => this.shown.value.map((id) => store.stateOf(id)));
    store.watch(this, ended);
  }

  get items() {
    return this.states.value.map((state) => state.value);
  }

  /**
   * Load the pages after a cursor, or, without one, all of them. A page that fails is requested again.
   *
   * @param {string | null} [cursor]
   */
  async load(cursor = "") {
    this.loads += 1;
    const load = this.loads;
    const {store} = this;
    const unseen = new Set(cursor === "" ? this.ids.peek() : []);
    while (cursor !== null) {
      const page = await this.page(cursor, load);
      if (!page || load !== this.loads) return;
      const ids = store.apply(page.data, {epoch: page.epoch});
      for (const id of ids) unseen.delete(id);
      this.add(ids);
      cursor = page.next_cursor;
    }
    this.drop(unseen);
  }

  /**
   * Return the page after a cursor, or null if it cannot be loaded or the load has ended.
   *
   * @param {string} cursor
   * @param {number} load
   */
  async page(cursor, load) {
    const {store} = this;
    while (load === this.loads && !this.ended.aborted) {
      const {epoch} = store;
      store.reading += 1;
      try {
        return {...(await this.ask(cursor, this.ended)), epoch};
      } catch (error) {
        if (error.name === "AbortError" || error.retryable === false) return null;
      } finally {
        store.reading -= 1;
      }
      await new Promise((resolve) => setTimeout(resolve, this.retryMs));
    }
    return null;
  }

  /** @param {string[]} ids of known items */
  add(ids) {
    if (ids.some((id) => !this.ids.peek().has(id))) this.ids.value = new Set([...this.ids.peek(), ...ids]);
  }

  /** @param {Iterable<string>} ids */
  drop(ids) {
    const left = new Set(this.ids.peek());
    const gone = [...ids].filter((id) => left.delete(id));
    if (gone.length) this.ids.value = left;
  }

  /** @param {Item} item */
  arrived(item) {
    const wanted = this.wants(item);
    if (wanted) this.add([this.store.idOf(item)]);
    return wanted;
  }

  /** @param {string} id */
  gone(id) {
    this.drop([id]);
  }
}
