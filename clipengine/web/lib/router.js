// Hash routes such as `#/recordings/rec_…?t=90.5`. A view gets the main element, its parameters with those of the query,
// and a signal that aborts when the view is left.

import {byId, h} from "./dom.js";
import {cancelPosters} from "./posters.js";
import {t} from "./texts.js";

/**
 * Fills the main element. The parameters are those of the path and of the query.
 *
 * @typedef {(main: HTMLElement, params: Record<string, string>, signal: AbortSignal) => unknown} View
 */

const HOME = ["", "#/"]; // addresses of the first view, besides its own
const SKIP = "#main"; // the skip link, which stays in the view

/** @type {{pattern: RegExp, view: View, offered: () => boolean}[]} */
const routes = [];
const NOT_FOUND = {pattern: /^/, view: showNotFound, offered: () => true};
/** @type {AbortController | null} */
let current = null;
let shown = ""; // address of the current view, without its query

/**
 * @param {string} pattern such as /recordings/:id
 * @param {View} view
 * @param {() => boolean} [offered] whether the caller may open it
 */
export function route(pattern, view, offered = () => true) {
  routes.push({pattern: new RegExp(`^#${pattern.replace(/:(\w+)/g, "(?<$1>[^/]+)")}$`), view, offered});
}

/** @param {string} address */
export function navigate(address) {
  location.hash = address;
}

// The address of the browser, as that of a view and its query.
function place() {
  const hash = location.hash === SKIP ? shown : location.hash;
  const [address, search = ""] = (HOME.includes(hash) ? "#/recordings" : hash).split("?");
  return {address, search};
}

/**
 * Set the query of the address without leaving the view, so that the way back leads to the same state. Once the address
 * is that of another view, it keeps its query: `hashchange` follows later than the change.
 *
 * @param {Record<string, string | number>} values; those that are empty are left out
 */
export function setQuery(values) {
  if (place().address !== shown) return;
  const params = new URLSearchParams(
    Object.entries(values)
      .filter(([, value]) => value)
      .map(([name, value]) => [name, String(value)]),
  );
  history.replaceState(history.state, "", params.size ? `${shown}?${params}` : shown);
}

// Leave the current view and close its dialogs.
export function leaveView() {
  if (current) current.abort();
  current = null;
  cancelPosters();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

export function showCurrent() {
  leaveView();
  const main = byId("main");
  const {address, search} = place();
  shown = address;
  const {view, pattern} = routes.find((each) => each.pattern.test(address) && each.offered()) ?? NOT_FOUND;
  current = new AbortController();
  main.replaceChildren();
  main.className = "";
  main.focus({preventScroll: true}); // tells screen readers that the view has changed
  view(main, {...Object.fromEntries(new URLSearchParams(search)), ...pattern.exec(address)?.groups}, current.signal);
  dispatchEvent(new CustomEvent("routed", {detail: address}));
  scrollTo(0, 0);
}

/** @param {HTMLElement} main */
function showNotFound(main) {
  document.title = `${t("Not found")} · clipengine`;
  main.append(
    h(
      "div",
      {class: "empty", role: "alert"},
      h("h1", {}, t("Not found")),
      h("p", {}, t("There is nothing at this address.")),
      h("a", {class: "button", href: "#/recordings"}, t("All recordings")),
    ),
  );
}

export function start() {
  addEventListener("hashchange", () => {
    if (location.hash !== SKIP && current) showCurrent();
  });
  showCurrent();
}
