// Hash routes such as `#/recordings/rec_…?t=90.5`. A view gets the main element, its parameters with those of the query,
// and a signal that aborts when the view is left.

import {h} from "./dom.js";
import {cancelPosters} from "./posters.js";
import {t} from "./texts.js";

const HOME = ["", "#/", "#main"]; // addresses of the first view, besides its own; "#main" is that of the skip link

const routes = [];
let current = null;

export function route(pattern, view) {
  routes.push({pattern: new RegExp(`^#${pattern.replace(/:(\w+)/g, "(?<$1>[^/]+)")}$`), view});
}

export function navigate(address) {
  location.hash = address;
}

// Set the query of the address without leaving the view, so that the way back leads to the same state.
export function setQuery(values) {
  const params = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  const [path] = (location.hash || "#/recordings").split("?");
  history.replaceState(history.state, "", params.size ? `${path}?${params}` : path);
}

// Leave the current view and close its dialogs.
export function leaveView() {
  if (current) current.abort();
  current = null;
  cancelPosters();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
}

export function showCurrent() {
  leaveView();
  const main = document.getElementById("main");
  const [address, search = ""] = (HOME.includes(location.hash) ? "#/recordings" : location.hash).split("?");
  const {view, match} = routes.map((each) => ({...each, match: each.pattern.exec(address)})).find(({match}) => match) || {view: showNotFound, match: {}};
  current = new AbortController();
  main.replaceChildren();
  main.className = "";
  main.focus({preventScroll: true}); // tells screen readers that the view has changed
  view(main, {...Object.fromEntries(new URLSearchParams(search)), ...match.groups}, current.signal);
  dispatchEvent(new CustomEvent("routed", {detail: address}));
  scrollTo(0, 0);
}

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
    if (location.hash !== "#main" && current) showCurrent();
  });
  showCurrent();
}
