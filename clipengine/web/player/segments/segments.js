// The segments of a recording and the selection: a segment is made of the selected range, or gets it. The server stores them; the
// tab holds what is not stored yet.

import {get, put} from "../../lib/api.js";
import {openDialog} from "../../lib/dialogs.js";
import {h} from "../../lib/dom.js";
import {LIMITS} from "../../lib/limits.js";
import {mayEdit} from "../../lib/rights.js";
import {t} from "../../lib/texts.js";
import {toastError} from "../../lib/toasts.js";
import {Doc} from "../../store/doc.js";
import {Sync} from "../../store/sync.js";
import {computed, signal as signalOf} from "../../vendor/signals-core.js";
import {dragging} from "../timeline/drag.js";

/** @import {Segment, StoredLook} from "../../store/doc.js" */
/** @import {History} from "../../store/history.js" */
/** @import {Held} from "../../store/sync.js" */
/** @import {Selection} from "./selection.js" */

export const MAX_SEGMENTS = Math.min(LIMITS.parts, LIMITS.batch); // they become one clip, or a batch

export class Segments {
  /**
   * `onlook(look)` is called with the stored look, and `onfirst()` when the first segment was added.
   *
   * @param {{recording: Recording, selection: Selection, history: History, onlook: (look: StoredLook) => void, onfirst: () => void, signal: AbortSignal}} options
   */
  constructor({recording, selection, history, onlook, onfirst, signal}) {
    this.selection = selection;
    this.onfirst = onfirst;
    this.signal = signal;
    this.doc = new Doc({history, most: MAX_SEGMENTS});
    this.chosen = signalOf(0); // id of the segment whose range is selected, to be updated
    this.current = computed(() => this.doc.get(this.chosen.value));
    const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/segments`);
    const key = `segments ${recording.recording_id}`;
    this.sync = new Sync(this.doc, {
      load: () => get(path, {signal}),
      save: (list, version, options) => put(path, list, {version, ...options}),
      held: () => (mayEdit() ? heldIn(key) : null),
      hold: (held) => hold(key, held),
      onlook,
      ask: (theirs, what) => this.ask(theirs, what),
      onerror: toastError,
      dragging,
      signal,
    });
    selection.addEventListener("change", () => {
      if (selection.empty) this.chosen.value = 0;
    });
    addEventListener("pagehide", () => this.sync.flush({keepalive: true}), {signal});
  }

  /**
   * Ask whether the title and the look of the server are kept.
   *
   * @param {SegmentList} theirs
   * @param {{title: boolean, look: boolean}} what both have changed
   */
  ask(theirs, what) {
    /** @param {() => void} then */
    const answer = (then) => () => {
      dialog.close();
      then();
    };
    const words = [what.title && t("the title “{title}”", {title: theirs.title}), what.look && t("another look")];
    const text = t("Elsewhere, these segments were given {what}. The segments of both are kept.", {what: words.filter(Boolean).join(` ${t("and")} `)});
    const use = () => this.sync.use({...(what.title ? {title: theirs.title} : {}), ...(what.look ? {look: theirs.look} : {})});
    const dialog = openDialog(what.look ? t("The look was changed elsewhere") : t("The title was changed elsewhere"), h("p", {}, text), {
      size: "narrow",
      footer: [
        h("button", {type: "button", onclick: answer(use)}, t("Use theirs")),
        h("button", {type: "button", class: "primary", onclick: answer(() => {})}, t("Keep mine")),
      ],
    });
    this.signal.addEventListener("abort", () => dialog.close());
  }

  /**
   * Add the selection as a segment, or give its range to the current one. Returns the number of the segment, or 0 if nothing is
   * selected.
   *
   * @param {string} label
   */
  put(label) {
    const {doc, selection} = this;
    const {range} = selection;
    if (!range) return 0;
    const current = this.current.peek();
    const first = !current && !doc.segments.peek().length;
    if (current) doc.update(current.id, {...range, ...(label ? {label} : {})});
    const id = current ? current.id : doc.add({label, ...range})[0].id;
    selection.clear();
    if (first) this.onfirst();
    return (doc.places.peek().get(id)?.index ?? -1) + 1;
  }

  /**
   * Select the range of a segment.
   *
   * @param {Segment} segment
   */
  open({id, start, end}) {
    this.chosen.value = 0;
    this.selection.set(start, end);
    this.chosen.value = id;
  }

  /**
   * Divide the segment at a time, first of all the current one. Returns false if no segment is there or the list is full.
   *
   * @param {number} time
   */
  split(time) {
    const {doc} = this;
    const contains = (/** @type {Segment} */ {start, end}) => start < time && time < end;
    const current = this.current.peek();
    const segment = current && contains(current) ? current : doc.segments.peek().find(contains);
    if (!segment || !doc.room) return false;
    doc.split(segment.id, time);
    if (segment === current) this.open({...segment, end: time});
    return true;
  }
}

/**
 * @param {string} key
 * @returns {Held | null}
 */
function heldIn(key) {
  try {
    const found = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return Array.isArray(found) ? (found.length ? {items: found} : null) : found;
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {Held | null} held
 */
function hold(key, held) {
  try {
    if (held) sessionStorage.setItem(key, JSON.stringify(held));
    else sessionStorage.removeItem(key);
  } catch {
    // storage may be blocked or full: the list is then lost if the server cannot be reached either
  }
}
