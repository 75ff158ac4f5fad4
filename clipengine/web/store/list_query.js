// The ids of one page of a list that the server filters, sorts and divides into pages. No DOM.

import {batch, computed, signal} from "../vendor/signals-core.js";
import {stable} from "./entities.js";
import {staying} from "./leaving.js";

/** @template Item @typedef {import("./entities.js").Entities<Item>} Entities */
/** @typedef {Record<string, string | number | null | undefined>} Asked */

/**
 * The filters of a query. `accepts` applies their present values.
 *
 * @typedef {object} Filters
 * @property {boolean} plain true if they apply to items of events without the server
 * @property {(item: {status: string}) => boolean} accepts
 * @property {() => Record<string, string>} values of the query
 */

/**
 * `ask(values, signal)` requests a page; `wants(item)` returns true if an item of an event belongs here.
 *
 * @template {{status: string}} Item
 * @typedef {object} QueryOptions
 * @property {Entities<Item>} store
 * @property {(values: Asked, signal: AbortSignal) => Promise<Page<Item>>} ask
 * @property {Filters | null} [filters]
 * @property {(item: Item) => boolean} [wants]
 * @property {number} [limit]
 * @property {number} [reloadMs] after an event about an item that only the server can place
 * @property {AbortSignal} signal
 */

const all = () => true;

/** @template {{status: string}} Item */
export class ListQuery {
  /** @param {QueryOptions<Item>} options */
  constructor({store, ask, filters = null, wants = all, limit = 50, reloadMs = 1000, signal: ended}) {
    this.store = store;
    this.ask = ask;
    this.filters = filters;
    this.wants = wants;
    this.limit = limit;
    this.reloadMs = reloadMs;
    this.ended = ended;
    /** @type {(string | null)[]} of the pages up to the current one */
    this.cursors = [null];
    /** @type {Asked} the current query */
    this.asked = {};
    this.loading = false;
    this.outdated = false; // true if an item has changed since the page was requested
    /** @type {string[]} ids that have arrived since then, the newest first */
    this.waiting = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {import("./entities.js").Signal<"first" | "ready" | "changed" | "failed">} `changed`: the rows are of the query before */
    this.state = signal(/** @type {"first" | "ready" | "changed" | "failed"} */ ("first"));
    /** @type {import("./entities.js").Signal<any>} why it has failed */
    this.error = signal(null);
    this.ids = signal(/** @type {string[]} */ ([]));
    this.number = signal(1); // of the page
    this.next = signal(/** @type {string | null} */ (null)); // cursor of the next page
    this.accepts = signal(/** @type {Filters["accepts"]} */ (all)); // of the query whose page is shown
    this.fresh = signal(""); // id of the item that an action here has made last
    /** @type {(ids: string[]) => string[]} */
    const same = stable();
    this.shown = computed(() => same([...staying(this.ids.value)].filter((id) => this.shows(store.get(id)))));
    store.watch(this, ended);
    ended.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** @param {Item | undefined} item */
  shows(item) {
    return item !== undefined && this.wants(item) && this.accepts.value(item);
  }

  get items() {
    return this.shown.value.map((id) => this.store.stateOf(id).value);
  }

  get plain() {
    return this.cursors.length === 1 && (!this.filters || this.filters.plain);
  }

  /**
   * Load the current page. The rows stay until it has arrived.
   *
   * @returns {Promise<void>}
   */
  async load() {
    clearTimeout(this.timer);
    const {store, filters} = this;
    const asked = {limit: this.limit, cursor: this.cursors.at(-1), ...(filters ? filters.values() : {})};
    const accepts = filters?.accepts ?? all;
    const {epoch} = store;
    this.asked = asked;
    this.loading = true;
    this.outdated = false;
    this.waiting = [];
    store.reading += 1;
    try {
      const page = await this.ask(asked, this.ended);
      if (this.asked !== asked) return; // the filters or the page have changed meanwhile
      batch(() => {
        const ids = store.apply(page.data, {epoch});
        const early = this.waiting.filter((id) => !ids.includes(id) && store.has(id));
        this.accepts.value = accepts;
        this.ids.value = [...early, ...ids];
        this.number.value = this.cursors.length;
        this.next.value = page.next_cursor;
        this.state.value = "ready";
      });
      if (!page.data.length && this.cursors.length > 1) this.turn(-1); // all of its items were deleted
    } catch (error) {
      if (error.name === "AbortError" || this.asked !== asked) return;
      batch(() => {
        this.error.value = error;
        this.state.value = "failed";
      });
    } finally {
      store.reading -= 1;
      if (this.asked === asked) this.loading = false;
    }
    if (this.outdated && !this.loading) this.reloadSoon(); // the page may be older than an event that has arrived meanwhile
  }

  reloadSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ended.aborted || this.load(), this.reloadMs);
  }

  // Load the current page again, as events may have been missed.
  resync() {
    if (this.loading) this.outdated = true;
    else this.load();
  }

  // Load the first page of a changed query.
  reload() {
    this.cursors = [null];
    if (this.state.peek() !== "first") this.state.value = "changed";
    return this.load();
  }

  /**
   * Go to the next (1) or the previous (-1) page.
   *
   * @param {1 | -1} direction
   */
  turn(direction) {
    if (direction > 0) this.cursors.push(this.next.peek());
    else this.cursors.pop();
    return this.load();
  }

  /**
   * Place an item of an event, or, if it is `fresh`, of an action here.
   *
   * @param {Item} item
   * @param {boolean} fresh
   */
  arrived(item, fresh) {
    const id = this.store.idOf(item);
    const ids = this.ids.peek();
    if (!ids.includes(id) && !fresh && !this.wants(item)) return false;
    this.outdated = true;
    if (fresh) this.fresh.value = id;
    const first = this.cursors.length === 1;
    if (ids.includes(id)) {
      if (this.next.peek() && !this.accepts.peek()(item)) this.reloadSoon(); // its row goes, and another one moves up
    } else if (fresh || (this.plain && this.state.peek() === "ready")) this.ids.value = [id, ...ids];
    else if (this.filters && first && !this.plain) {
      this.reloadSoon();
      return false;
    }
    if (this.loading && first && (fresh || this.plain)) this.waiting = [id, ...this.waiting.filter((each) => each !== id)];
    return true;
  }

  /** @param {string} id */
  gone(id) {
    const ids = this.ids.peek();
    this.outdated = true;
    this.waiting = this.waiting.filter((each) => each !== id);
    if (!ids.includes(id)) return;
    this.ids.value = ids.filter((each) => each !== id);
    if (!this.ids.peek().length && (this.next.peek() || this.cursors.length > 1)) this.load();
  }
}
