// A table that the server divides into pages: "Show more" adds the rows of the next one.

import {announce, find, h, setChildren, table} from "./dom.js";
import {plural, t} from "./texts.js";
import {asyncHandler} from "./toasts.js";

/**
 * `titles` are those of the columns, `ask` loads the page after a cursor, and `row` makes the row of an item. `load()`
 * replaces the rows with the first page. An answer that arrives after a later `load()` is not shown. `empty` makes what
 * stands in place of a table without rows.
 *
 * @template Item
 * @param {object} options
 * @param {string[]} options.titles
 * @param {(cursor: string | null) => Promise<Page<Item>>} options.ask
 * @param {(item: Item) => HTMLTableRowElement} options.row
 * @param {() => HTMLElement} [options.empty]
 */
export function growingTable({titles, ask, row, empty}) {
  const rows = h("tbody", {});
  const shown = table(titles, rows);
  const frame = h("div", {class: "panel scroll"}, shown);
  const footer = h("div", {class: "more"});
  const more = h("button", {type: "button", onclick: asyncHandler(showMore)}, t("Show more"));
  /** @type {string | null} */
  let next = null;
  let loads = 0;

  /**
   * Load a page and return its rows, or null if the table was loaded again meanwhile.
   *
   * @param {string | null} cursor
   */
  async function page(cursor) {
    const number = loads;
    const {data, next_cursor} = await ask(cursor);
    if (number !== loads) return null;
    next = next_cursor;
    setChildren(footer, next ? [more] : []);
    return data.map(row);
  }

  async function load() {
    loads += 1;
    const number = loads;
    setChildren(footer, []); // its cursor belongs to the rows that go
    shown.setAttribute("aria-busy", "true");
    try {
      const first = await page(null);
      if (!first) return;
      rows.replaceChildren(...first);
      frame.hidden = Boolean(empty) && !first.length;
      if (empty && !first.length) setChildren(footer, [empty()]);
    } catch (error) {
      if (number === loads) throw error;
    } finally {
      if (number === loads) shown.removeAttribute("aria-busy");
    }
  }

  // The focus moves to the first new row: the button goes with the last page.
  async function showMore() {
    const added = await page(next);
    if (!added) return;
    rows.append(...added);
    announceRows();
    if (added.length) find(added[0], "a, button, select")?.focus();
  }

  const announceRows = () => announce(plural(rows.childElementCount, "{count} row", "{count} rows"));

  return {
    node: h("div", {}, frame, footer),
    load,
    announceRows,
    get empty() {
      return !rows.childElementCount;
    },
  };
}
