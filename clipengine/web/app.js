// Entry point: the session, the rail beside the views, and the routes.

import {get, request} from "./lib/api.js";
import {announce, byId, h, icon, setText} from "./lib/dom.js";
import {acceptDrops} from "./lib/dropped_files.js";
import {errorState} from "./lib/error_views.js";
import {connect, disconnect} from "./lib/events.js";
import {languageItems} from "./lib/language_menu.js";
import {menuButton} from "./lib/menus.js";
import {may, setCaller} from "./lib/rights.js";
import {ROLES} from "./lib/roles.js";
import {addUploads, loaded, loadUploads, openUploads} from "./lib/late_uploads.js";
import {leaveView, route, showCurrent, start} from "./lib/router.js";
import {characterKeys, setCharacterKeys} from "./lib/shortcuts.js";
import {t} from "./lib/texts.js";
import {toastError} from "./lib/toasts.js";
import {showClips} from "./views/clips.js";
import {deleteNow} from "./views/deleting.js";
import {showRecordings} from "./views/recordings.js";
import {showSignIn, signInWithCode, takeCode} from "./views/sign_in.js";
import {showSessions} from "./views/user_sessions.js";

/** @type {{address: string, text: string, image: IconName, kind?: Kind}[]} */
const NAV_LINKS = [
  {address: "#/recordings", text: t("Recordings"), image: "camera"},
  {address: "#/clips", text: t("Clips"), image: "clips"},
  {address: "#/webhooks", text: t("Webhooks"), image: "hooks", kind: "webhooks"},
  {address: "#/rules", text: t("Rules"), image: "loop", kind: "rules"},
  {address: "#/system", text: t("System"), image: "server"},
];

/** @import {IconName} from "./lib/dom.js" */
/** @import {Kind} from "./lib/rights.js" */
/** @import {View} from "./lib/router.js" */

const HEALTH_MS = 15000;
const LATER_MS = 500; // until what the first view does not need is loaded

const rail = byId("rail");
const main = byId("main");

// The lists are part of the page's first paint; the modules of the other views are loaded after it.
const LATER = {
  recording: () => import("./views/recording.js"),
  rules: () => import("./views/rules.js"),
  system: () => import("./views/system.js"),
  webhooks: () => import("./views/webhooks.js"),
  uploads: loadUploads,
};

route("/recordings", showRecordings);
route("/recordings/:id", later(LATER.recording, "showRecording"));
route("/clips", showClips);
route("/webhooks", later(LATER.webhooks, "showWebhooks"), () => may("read", "webhooks"));
route("/webhooks/:id", later(LATER.webhooks, "showWebhook"), () => may("read", "webhooks"));
route("/rules", later(LATER.rules, "showRules"), () => may("read", "rules"));
route("/rules/:id", later(LATER.rules, "showRule"), () => may("read", "rules"));
route("/system", later(LATER.system, "showSystem"));

/**
 * Return a view that is loaded when it is opened.
 *
 * @template {string} Name
 * @param {() => Promise<Record<Name, View>>} load
 * @param {Name} name
 * @returns {View}
 */
function later(load, name) {
  return async (main, params, signal) => {
    try {
      const view = (await load())[name];
      if (!signal.aborted) await view(main, params, signal);
    } catch (error) {
      if (!signal.aborted) main.replaceChildren(errorState(error, () => location.reload()));
    }
  };
}

const tabs = new BroadcastChannel("session"); // tabs of this browser share the session

/** @type {AbortController | null} of the session, which is null without one */
let session = null;
let account = ""; // id of the last user or key
/** @type {number | undefined} */
let healthTimer;

/** @param {Session} who */
function signedIn(who) {
  const isFirst = !account;
  session = new AbortController();
  account = who.id;
  setCaller(who);
  buildRail(who, session.signal);
  if (may("write", "uploads")) acceptDrops(session.signal, addUploads);
  connect();
  openUploads(account);
  if (isFirst) start();
  else showCurrent();
  setTimeout(() => Promise.allSettled(Object.values(LATER).map((load) => load())), LATER_MS); // a view that needs one reports errors
}

function signedOut(message = "") {
  session?.abort();
  session = null;
  leaveView();
  disconnect();
  clearInterval(healthTimer);
  rail.hidden = true;
  showSignIn(main, signedInAgain, message);
}

/**
 * Go on with the files that are being uploaded, or load the page again: nothing of another session stays.
 *
 * @param {Session} who
 */
function signedInAgain(who) {
  if (who.id === account && loaded.peek()?.uploads.hasFiles) {
    signedIn(who);
    return;
  }
  loaded.peek()?.uploads.close();
  location.reload();
}

/**
 * @param {Session} who
 * @param {AbortSignal} signal
 */
function buildRail(who, signal) {
  const links = NAV_LINKS.filter((place) => !place.kind || may("read", place.kind)).map((place) =>
    h("a", {href: place.address}, h("span", {}, icon(place.image)), place.text),
  );
  const connection = h("span", {class: "connection", role: "status"}, "");
  let opened = false; // the event stream
  const showConnection = async (/** @type {CustomEvent<boolean>} */ {detail}) => {
    opened = detail;
    const answers = detail || (await serverAnswers());
    if (opened !== detail) return; // meanwhile
    connection.classList.toggle("lost", !detail);
    connection.textContent = detail ? "" : answers ? t("No live updates") : t("Server unreachable");
    connection.title = detail ? "" : t("The page may be out of date. It reconnects by itself.");
  };
  addEventListener("connection", showConnection, {signal});
  const failing = h("a", {class: "connection lost", href: "#/system", role: "status", hidden: true});
  watchHealth(failing);
  rail.replaceChildren(
    h("img", {class: "mark", src: "/assets/mark.svg", width: "28", height: "28", alt: ""}),
    h("nav", {"aria-label": t("Main")}, links),
    accountMenu(who),
    h("div", {class: "connections"}, failing, connection),
  );
  rail.hidden = false;
  const markCurrent = (/** @type {CustomEvent<string>} */ {detail}) => {
    for (const link of links) {
      const here = detail.startsWith(link.hash);
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("routed", markCurrent, {signal});
}

// Return true if the server responds, also with an error: then only the event stream is refused or interrupted.
const serverAnswers = () =>
  get("/session", {quiet: true}).then(
    () => true,
    (error) => error.status > 0,
  );

/** @param {Session} who */
function accountMenu(who) {
  const menu = menuButton(t("Account {name}: language, theme, documents, sign out", {name: who.name}), "more", () => [
    ...languageItems(),
    themeItem(),
    keysItem(),
    {text: t("Docs"), icon: "book", run: () => location.assign("/docs")},
    who.role !== undefined && {text: t("Your sessions…"), icon: "keys", run: () => showSessions({title: t("Your sessions")})},
    {text: t("Sign out ({name})", {name: who.role ? `${who.name}, ${ROLES[who.role]}` : who.name}), icon: "leave", run: signOut},
  ]);
  menu.classList.add("account");
  menu.replaceChildren(h("span", {"aria-hidden": "true"}, who.name.slice(0, 1).toUpperCase()));
  return menu;
}

/**
 * Show the names of the failing checks of the engine.
 *
 * @param {HTMLAnchorElement} link
 */
function watchHealth(link) {
  const look = async () => {
    if (document.hidden || rail.hidden) return;
    const {checks} = await get("/v1/status", {quiet: true});
    const names = checks.filter((check) => !check.ok).map((check) => check.name);
    link.hidden = !names.length;
    link.textContent = names.length ? t("Failing: {checks}", {checks: names.join(", ")}) : "";
  };
  const lookQuietly = () => look().catch(() => {}); // the rail says when the server is unreachable
  clearInterval(healthTimer);
  healthTimer = setInterval(lookQuietly, HEALTH_MS);
  setTimeout(lookQuietly, LATER_MS);
}

/** @returns {import("./lib/menus.js").MenuItem} */
function themeItem() {
  const dark = document.documentElement.dataset.theme === "dark";
  return {
    text: dark ? t("Light theme") : t("Dark theme"),
    icon: dark ? "sun" : "moon",
    run: () => {
      localStorage.setItem("theme", dark ? "light" : "dark");
      dispatchEvent(new Event("theme"));
    },
  };
}

/** @returns {import("./lib/menus.js").MenuItem} */
function keysItem() {
  const on = characterKeys();
  return {
    text: on ? t("Switch off one-character shortcuts") : t("Switch on one-character shortcuts"),
    icon: "keys",
    run: () => {
      setCharacterKeys(!on);
      announce(on ? t("One-character shortcuts are switched off") : t("One-character shortcuts are switched on"));
    },
  };
}

// Views and the event stream stop first, so that no request fails in a session that has ended.
async function signOut() {
  leaveView();
  await deleteNow();
  disconnect({all: true});
  try {
    const answer = await request("DELETE", "/session", {quiet: true});
    loaded.peek()?.uploads.close();
    signedOut();
    tabs.postMessage("signed out");
    if (answer?.continue_at) location.assign(answer.continue_at); // the provider's page, which ends its own session
  } catch (error) {
    toastError(error); // the session has not ended
    connect();
    showCurrent();
  }
}

function sessionEnded() {
  if (session) signedOut(t("The session has ended. Sign in again."));
}

addEventListener("signed-out", sessionEnded);
tabs.addEventListener("message", sessionEnded);

async function boot() {
  setText(byId("skip"), t("Skip to content"));
  const code = takeCode();
  try {
    const who = code ? await signInWithCode(code) : await get("/session", {quiet: true});
    if (who) signedIn(who);
    else signedOut();
  } catch (error) {
    if (error.status === undefined) throw error;
    const spent = t("This link was already used, or it is older than 15 minutes. Sign in with a key.");
    signedOut(error.status === 401 ? spent : error.message);
  }
}

boot();
