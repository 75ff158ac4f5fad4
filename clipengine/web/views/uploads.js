// The rows of uploads, above those of recordings. They stay the same elements when the list is left and opened again.

import {announce, h, icon, iconButton} from "../lib/dom.js";
import {filePicker} from "../lib/dropped_files.js";
import {errorText} from "../lib/error_views.js";
import {formatBytes, formatLeft} from "../lib/format.js";
import {bind, Scope} from "../lib/reactive.js";
import {plural, t} from "../lib/texts.js";
import {toast} from "../lib/toasts.js";
import {uploads} from "../lib/uploading.js";
import {computed} from "../vendor/signals-core.js";

/** @import {IconName} from "../lib/dom.js" */
/** @import {Step, Upload, UploadState} from "../store/upload.js" */
/** @typedef {{image: IconName, text: string, run: () => unknown}} Action */

export {uploads};

const SHOWN_ROWS = 50;
const STEADY_MS = 2000; // after which the speed says something

/** @type {Map<string, {node: HTMLElement, scope: Scope}>} by the key of the upload */
const rows = new Map();
const others = h("li", {class: "group"});
/** @type {((recording: Recording) => void) | null} of the list, while it is open */
let watcher = null;

uploads.ondone = ({name}, recording) => {
  announce(t("{name} was uploaded", {name}));
  if (recording) watcher?.(recording);
};

/**
 * Call `ondone` for the recording of each upload that ends, until the signal aborts.
 *
 * @param {AbortSignal} signal
 * @param {(recording: Recording) => void} ondone
 */
export function watchUploads(signal, ondone) {
  watcher = ondone;
  signal.addEventListener("abort", () => {
    if (watcher === ondone) watcher = null;
  });
}

/** @param {File[]} files */
export function addUploads(files) {
  uploads.add(files);
  if (watcher || !files.length) return;
  const show = () => {
    location.hash = "#/recordings";
  };
  toast(plural(files.length, "{count} file is being uploaded", "{count} files are being uploaded"), "", {action: {text: t("Show"), run: show}});
}

// Return the rows, which follow the list of uploads.
export function uploadRows() {
  const all = uploads.list.value;
  const known = new Set(all.map(({key}) => key));
  for (const [key, {scope}] of rows) {
    if (known.has(key)) continue;
    scope.end();
    rows.delete(key);
  }
  const hidden = all.length - SHOWN_ROWS;
  if (hidden > 0) others.textContent = plural(hidden, "{count} more upload", "{count} more uploads");
  return [...all.slice(0, SHOWN_ROWS).map(rowOf), ...(hidden > 0 ? [others] : [])];
}

/** @param {Upload} upload */
function rowOf(upload) {
  const known = rows.get(upload.key);
  if (known) return known.node;
  const scope = new Scope();
  const node = scope.run(() => makeRow(upload));
  rows.set(upload.key, {node, scope});
  return node;
}

/** @param {Upload} upload */
function makeRow(upload) {
  const {name, size, state} = upload;
  const picker = filePicker(([file]) => file && uploads.give(upload, file), {multiple: false});
  const bad = () => state.value.step === "failed" || (state.value.step === "asks" && state.value.error);
  const ended = () => state.value.step === "failed" || state.value.step === "known";
  /** @type {Action} */
  const pause = {image: "pause", text: t("Pause"), run: () => uploads.pause(upload)};
  /** @type {Partial<Record<Step, Action>>} */
  const actions = {
    queued: pause,
    sending: pause,
    waiting: pause,
    paused: {image: "play", text: t("Resume"), run: () => uploads.queue(upload)},
    asks: {image: "document", text: t("Choose file"), run: () => picker.click()},
    failed: {image: "retry", text: t("Retry"), run: () => uploads.queue(upload)},
    known: {image: "up", text: t("Upload again"), run: () => uploads.sendAgain(upload)},
  };
  const action = computed(() => (state.value.step === "failed" && state.value.error.retryable === false ? undefined : actions[state.value.step]));
  bind(() => {
    if (bad()) announce(t("{name} was not uploaded: {reason}", {name, reason: state.value.error.message}));
  });
  return h(
    "li",
    {class: "recording uploading"},
    h("div", {class: "poster", "aria-hidden": "true"}, icon("up")),
    h(
      "div",
      {class: "words"},
      h("span", {class: "name clip"}, name),
      h("p", {class: () => (bad() ? "bad small" : "meta")}, () => described(state.value, size)),
      h("progress", {
        max: "1",
        value: () => (size ? state.value.sent / size : 0),
        hidden: ended,
        "aria-label": t("Upload of {name}", {name}),
      }),
    ),
    h("span", {class: "figure"}, formatBytes(size)),
    h("span", {class: "figure"}, t("now")),
    h(
      "span",
      {class: "tools"},
      // One button, which keeps the focus when it pauses and resumes.
      h(
        "button",
        {
          type: "button",
          class: "quiet again",
          title: () => action.value?.text,
          "aria-label": () => action.value?.text,
          hidden: () => !action.value,
          onclick: () => action.value?.run(),
        },
        () => {
          const now = action.value;
          return now ? [icon(now.image), h("span", {}, now.text)] : [];
        },
      ),
      () => (state.value.step === "elsewhere" ? null : iconButton("x", t("Cancel the upload of {name}", {name}), () => uploads.cancel(upload))),
      picker,
    ),
  );
}

/**
 * Return what a row says about an upload.
 *
 * @param {UploadState} state
 * @param {number} size
 * @returns {Child[]}
 */
function described({step, sent, error, began, anew, recording}, size) {
  const amount = t("{sent} of {size}", {sent: formatBytes(sent), size: formatBytes(size)});
  /** @type {Record<Step, () => Child[]>} */
  const texts = {
    queued: () => [t("Waiting")],
    sending: () => [
      sent === size ? t("Saving to the store…") : [amount, ...paceOf(sent, size, began)].join(" · "),
      anew && ` · ${t("from the beginning: the server had deleted the earlier part")}`,
    ],
    waiting: () => [amount, " · ", errorText(error), " ", t("The upload continues by itself.")],
    paused: () => [t("Paused"), " · ", amount],
    elsewhere: () => [t("In another tab"), " · ", amount],
    asks: () => (error ? [errorText(error)] : [[t("Choose the file to continue"), ...(sent ? [amount] : [])].join(" · ")]),
    failed: () => [errorText(error)],
    known: () => [t("Already uploaded:"), " ", h("a", {href: `#/recordings/${recording?.recording_id}`}, recording?.name ?? t("Recording"))],
  };
  return texts[step]();
}

/**
 * Return speed and time left, once they are steady.
 *
 * @param {number} sent
 * @param {number} size
 * @param {UploadState["began"]} began
 */
function paceOf(sent, size, began) {
  const elapsed = began ? performance.now() - began.at : 0;
  if (!began || elapsed < STEADY_MS || sent <= began.sent) return [];
  const speed = (sent - began.sent) / (elapsed / 1000);
  return [`${formatBytes(speed)}/s`, t("{time} left", {time: formatLeft((size - sent) / speed)})];
}
