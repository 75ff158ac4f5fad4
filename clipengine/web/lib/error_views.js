// Errors as elements: their texts, details and states that replace a list or a view.

import {h, icon} from "./dom.js";
import {failureMessage} from "./error_messages.js";
import {fromServer, t, texts} from "./texts.js";

/**
 * Return a text of the server for `h`. If there is no translation, it is marked as English.
 *
 * @param {string} text
 */
export const serverText = (text) => (text in texts ? fromServer(text) : h("span", {lang: "en"}, text));

/**
 * Return the message of an error for `h`.
 *
 * @param {any} error
 */
export const errorText = (error) => (error.english ? serverText(error.message) : error.message);

/**
 * Return the engine's message and hint as paragraphs. A message in the user's language is followed by the engine's own one,
 * which may say more.
 *
 * @param {ClipEngineError} error
 */
export function errorDetails(error) {
  return [h("p", {class: "bad"}, failureMessage(error) ?? serverText(error.message)), ...moreOf(error)];
}

/** @param {ClipEngineError} error */
const moreOf = (error) => [
  h("p", {class: "muted"}, serverText(error.hint)),
  ...(failureMessage(error) ? [h("p", {class: "muted small"}, serverText(error.message))] : []),
];

/**
 * Return the engine's message on one line; it opens to show all of it and the hint.
 *
 * @param {ClipEngineError} error
 */
export function errorSummary(error) {
  const message = failureMessage(error) ?? serverText(error.message);
  return h("details", {class: "fault"}, h("summary", {class: "bad"}, h("span", {class: "clip"}, message)), moreOf(error));
}

/**
 * Return an error state that replaces a list or a view. `retry()` is offered if the error may pass, and is called when an
 * unreachable server is back.
 *
 * @param {any} error
 * @param {() => unknown} retry
 */
export function errorState(error, retry) {
  const again = error.retryable === false ? null : retry;
  const node = h(
    "div",
    {class: "empty", role: "alert"},
    h("h2", {}, error.title || t("Something went wrong")),
    h("p", {}, errorText(error)),
    again && h("button", {type: "button", onclick: again}, icon("retry"), t("Retry")),
  );
  /** @param {CustomEvent<boolean>} event */
  const back = ({detail}) => {
    if (!detail) return;
    removeEventListener("connection", back);
    if (node.isConnected) retry();
  };
  if (again && error.code === "unreachable") addEventListener("connection", back);
  return node;
}
