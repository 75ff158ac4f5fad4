// Sign-in with an API key, with a provider, or with the one-time code of the link that `clipengine serve` prints.

import {post} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {languageMenu} from "../lib/language_menu.js";
import {LIMITS} from "../lib/limits.js";
import {rich, t} from "../lib/texts.js";

// Take the code from the URL's fragment and remove it from the history.
export function takeCode() {
  const match = /^#code=([\w-]+)$/.exec(location.hash);
  if (!match) return null;
  history.replaceState(null, "", `${location.pathname}#/recordings`);
  return match[1];
}

/** @param {string} code */
export const signInWithCode = (code) => post("/session", {code}, {quiet: true});

// Return the link to the provider, which leads back to this view of the page.
function providerLink() {
  if (!LIMITS.provider) return null;
  const query = new URLSearchParams({return_to: location.hash});
  return h("a", {class: "button", href: `/session/oidc?${query}`}, t("Sign in with {name}", {name: LIMITS.provider}));
}

/**
 * @param {HTMLElement} main
 * @param {(who: Session) => void} done
 * @param {string} [message]
 */
export function showSignIn(main, done, message = "") {
  const key = h("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    spellcheck: "false",
    placeholder: "relay_live_…",
    required: true,
    "aria-describedby": "sign-in-error",
  });
  const problem = h("p", {id: "sign-in-error", class: "bad small", role: "alert"}, message);
  const button = h("button", {class: "primary"}, t("Sign in"));
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    try {
      done(await post("/session", {key: key.value.trim()}, {quiet: true}));
    } catch (error) {
      problem.textContent = error.status === 401 ? t("The server does not know this key, or it was revoked.") : error.message;
      key.setAttribute("aria-invalid", "true");
      button.disabled = false;
      key.select();
    }
  };
  main.className = "sign-in";
  main.replaceChildren(
    h(
      "form",
      {class: "panel stack", onsubmit: submit},
      h("div", {class: "row"}, h("img", {src: "/assets/mark.svg", width: "28", height: "28", alt: ""}), h("h1", {}, "clipengine")),
      h("p", {class: "muted"}, t("Exact clips from any recording.")),
      h("input", {type: "text", autocomplete: "username", value: "clipengine", hidden: true}), // password managers store the key under it
      h("label", {class: "field"}, t("API key"), key),
      problem,
      button,
      providerLink(),
      h(
        "div",
        {class: "small muted help"},
        h(
          "p",
          {},
          rich(
            "No key? Open the link that {command} prints in a terminal; it signs in one browser, once. Or create a key on the server, in the folder in which the engine was started:",
            {command: h("code", {}, "clipengine serve")},
          ),
        ),
        h("pre", {}, "clipengine keys create laptop"),
        h("p", {}, rich("In a checkout, the command is {command}.", {command: h("code", {}, ".venv/bin/clipengine")})),
      ),
    ),
    h("p", {class: "row small"}, h("a", {href: "/docs"}, t("Documentation")), languageMenu()),
  );
  document.title = `${t("Sign in")} · clipengine`;
  key.focus();
}
