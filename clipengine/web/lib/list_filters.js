// The filters of a list: search, status, tag, dates and order. They are kept in the address, and the server applies them.

import {h, icon, setText} from "./dom.js";
import {LIMITS} from "./limits.js";
import {setQuery} from "./router.js";
import {searchField} from "./search_field.js";
import {typedQuery} from "./search_query.js";
import {t} from "./texts.js";

export const TYPING_MS = 250; // after the last character, until typed text is searched
const NEWEST = "-created_at";

/**
 * Return the start of a day, here, some days after the date of a field. Without a date: an empty text.
 *
 * @param {string} date
 * @param {number} [after]
 */
export function startOfDay(date, after = 0) {
  if (!date) return "";
  const start = new Date(`${date}T00:00`);
  start.setDate(start.getDate() + after);
  return start.toISOString();
}

/**
 * @typedef {object} FilterOptions
 * @property {[value: string, text: string][]} statuses
 * @property {[value: string, text: string][]} sorts
 * @property {Record<string, string>} params
 * @property {string} placeholder
 * @property {string} label
 * @property {string} opens
 * @property {() => Promise<void>} onchange
 * @property {AbortSignal} signal
 */

/**
 * `statuses` and `sorts` are [value, text]; `params` are those of the address; `opens` selects what Enter in the search
 * clicks. `onchange()` loads the list again and resolves when it is shown.
 *
 * @param {FilterOptions} options
 */
export function listFilters({statuses, sorts, params, placeholder, label, opens, onchange, signal}) {
  let status = statuses.some(([value]) => value === params.status) ? params.status : "";
  /** @type {number | undefined} */
  let timer; // until typed text is searched
  /** @type {Promise<void> | null} */
  let loading = null;
  const changed = () => {
    clearTimeout(timer);
    timer = undefined;
    setQuery(state());
    draw();
    loading = onchange();
    return loading;
  };
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(changed, TYPING_MS);
  };
  signal.addEventListener("abort", () => clearTimeout(timer)); // the address is that of another view
  const field = searchField({placeholder, label, opens, onsearch: typed, settled: () => (timer ? changed() : loading)});
  field.input.value = params.q || "";
  const tag = h("input", {maxlength: String(LIMITS.tag), autocomplete: "off", placeholder: t("Any"), value: params.tag || "", oninput: typed});
  const [from, to] = [params.from, params.to].map((value) => h("input", {type: "date", value: value || "", onchange: changed}));
  const sort = h(
    "select",
    {"aria-label": t("Order"), onchange: changed},
    sorts.map(([value, text]) => h("option", {value, selected: value === (params.sort || NEWEST)}, text)),
  );
  const segments = statuses.map(([value, text]) =>
    h(
      "button",
      {
        type: "button",
        onclick: () => {
          status = value;
          changed();
        },
      },
      text,
    ),
  );
  const count = h("span", {});
  const reset = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        for (const input of [tag, from, to]) input.value = "";
        changed();
        tag.focus();
      },
    },
    t("Reset"),
  );
  const details = h(
    "div",
    {class: "filters panel row wrap", hidden: !(params.tag || params.from || params.to)},
    h("label", {class: "field"}, t("Tag"), tag),
    h("label", {class: "field"}, t("Created from"), from),
    h("label", {class: "field"}, t("Created until"), to),
    reset,
  );
  const toggle = h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-expanded": String(!details.hidden),
      onclick: () => {
        details.hidden = !details.hidden;
        toggle.setAttribute("aria-expanded", String(!details.hidden));
        if (!details.hidden) tag.focus();
      },
    },
    icon("filter"),
    t("Filters"),
    count,
  );

  const state = () => ({
    q: field.input.value.trim(),
    status,
    tag: tag.value.trim(),
    from: from.value,
    to: to.value,
    sort: sort.value === NEWEST ? "" : sort.value,
  });

  function draw() {
    for (const [at, button] of segments.entries()) button.setAttribute("aria-pressed", String(statuses[at][0] === status));
    const set = [tag.value.trim(), from.value, to.value].filter(Boolean).length;
    setText(count, set ? `(${set})` : "");
    reset.hidden = !set;
  }
  draw();

  return {
    field,
    details,
    search: h("div", {class: "search"}, icon("search"), field.input, h("kbd", {"aria-hidden": "true"}, "/")),
    /**
     * Return the bar under the head: the box that selects all, the status, the filters and the order.
     *
     * @param {HTMLElement} everything
     */
    bar: (everything) =>
      h("div", {class: "filter-bar"}, everything, h("div", {class: "choice", role: "group", "aria-label": t("Status")}, segments), toggle, sort),
    // True if the rows are in the order of their days.
    get byDay() {
      return sort.value.endsWith("created_at");
    },
    get q() {
      return typedQuery(field.input.value);
    },
    // True if the filters apply to items of events without the server.
    get plain() {
      const {q, tag: tagged, from: after, to: until, sort: order} = state();
      return ![q, tagged, after, until, order].some(Boolean);
    },
    get empty() {
      return this.plain && !status;
    },
    // A test of an item, which stays as it is when the filters change.
    get accepts() {
      const wanted = status;
      return (/** @type {{status: string}} */ item) => !wanted || item.status === wanted;
    },
    values: () => ({
      q: typedQuery(field.input.value),
      status,
      tag: tag.value.trim(),
      created_after: startOfDay(from.value),
      created_before: startOfDay(to.value, 1),
      sort: sort.value,
    }),
    // The filters as they are shown; "" without any.
    text: () =>
      [
        field.input.value.trim() && `“${field.input.value.trim()}”`,
        status && `${t("Status")}: ${statuses.find(([value]) => value === status)?.[1]}`,
        tag.value.trim() && `${t("Tag")}: ${tag.value.trim()}`,
        from.value && `${t("Created from")}: ${from.value}`,
        to.value && `${t("Created until")}: ${to.value}`,
      ]
        .filter(Boolean)
        .join(" · "),
    /** @param {string} text */
    setTag(text) {
      details.hidden = false;
      tag.value = text;
      changed();
    },
  };
}
