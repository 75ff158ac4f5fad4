// Jumps to the next and the previous keyframe, silence and scene, which the server finds.

import {get, query} from "../../lib/api.js";
import {formatTime} from "../../lib/format.js";
import {menuButton} from "../../lib/menus.js";
import {t} from "../../lib/texts.js";
import {toast, toastError} from "../../lib/toasts.js";

const REACH_SECONDS = 600; // of a jump
const QUIET_MS = 250; // until a search is shown
// Shortcut, longest search of one request in seconds, and texts of each kind.
const KINDS = {
  keyframe: {key: "f", step: 300, texts: {next: t("Next keyframe"), previous: t("Previous keyframe"), none: t("No keyframe found")}},
  silence: {key: "s", step: 300, texts: {next: t("Next silence"), previous: t("Previous silence"), none: t("No silence found")}},
  scene: {key: "d", step: 60, texts: {next: t("Next scene"), previous: t("Previous scene"), none: t("No scene found")}},
};

/** @import {Player} from "./player.js" */
/** @import {Timeline} from "../timeline/timeline.js" */
/** @typedef {keyof typeof KINDS} Kind */
/** @typedef {"next" | "previous"} Direction */
/** @typedef {{name: string, controller: AbortController, status: ReturnType<typeof searchStatus>}} Search */

/** @type {Direction[]} */
const DIRECTIONS = ["next", "previous"];

export class Jumps {
  /** @param {{recording: ReadyRecording, player: Player, timeline: Timeline, signal: AbortSignal}} options */
  constructor({recording, player, timeline, signal}) {
    this.player = player;
    this.timeline = timeline;
    this.signal = signal;
    /** @type {Search | null} */
    this.search = null;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/moments`);
    const {video, audio} = recording.media;
    this.kinds = /** @type {Kind[]} */ (Object.keys(KINDS)).filter((kind) => (kind === "silence" ? audio.length : video));
    this.button = menuButton(t("Jump to"), "jump", () => this.items());
    signal.addEventListener("abort", () => this.cancel());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.cancel(), {signal, capture: true});
  }

  /** @returns {import("../../lib/menus.js").MenuItem[]} */
  items() {
    return this.kinds.flatMap((kind) =>
      DIRECTIONS.map((direction) => {
        const {key, texts} = KINDS[kind];
        const letter = key.toUpperCase();
        const keys = direction === "next" ? letter : t("Shift+{letter}", {letter});
        return {text: texts[direction], keys, icon: direction === "next" ? "next" : "prev", run: () => this.jump(kind, direction)};
      }),
    );
  }

  // The actions of the keys, with Shift for the previous moment.
  get shortcuts() {
    return Object.fromEntries(
      this.kinds.flatMap((kind) =>
        DIRECTIONS.map((direction) => [
          `${direction === "next" ? "" : "Shift+"}${KINDS[kind].key}`,
          () => {
            this.jump(kind, direction);
          },
        ]),
      ),
    );
  }

  /**
   * Search, and go to what was found unless the position has changed meanwhile. Another search ends this one; the same one
   * again shows that it is running.
   *
   * @param {Kind} kind
   * @param {Direction} direction
   */
  async jump(kind, direction) {
    const {player} = this;
    const name = `${kind} ${direction}`;
    if (this.search && this.search.name === name) {
      this.search.status.show();
      return;
    }
    this.cancel();
    player.pause();
    const from = player.time;
    const status = searchStatus(KINDS[kind].texts[direction], from, () => this.cancel());
    const search = {name, controller: new AbortController(), status};
    this.search = search;
    this.button.setAttribute("aria-busy", "true");
    try {
      const {seconds, reached} = await this.find(kind, direction, from, search);
      if (player.time !== from || player.playing) return;
      if (seconds === null) {
        toast(KINDS[kind].texts.none, t("Searched from {from} to {to}.", {from: formatTime(from), to: formatTime(reached)}));
        return;
      }
      player.seek(seconds);
      this.timeline.reveal(player.time);
    } catch (error) {
      toastError(error);
    } finally {
      status.close();
      if (this.search === search) {
        this.search = null;
        this.button.removeAttribute("aria-busy");
      }
    }
  }

  cancel() {
    this.search?.controller.abort();
    this.search = null;
    this.button.removeAttribute("aria-busy");
  }

  /**
   * Return the moment, or null, and how far was searched. Ends early if the position changes.
   *
   * @param {Kind} to
   * @param {Direction} direction
   * @param {number} from
   * @param {Search} search
   */
  async find(to, direction, from, {controller, status}) {
    const {step} = KINDS[to];
    let [at, more] = [from, true];
    while (more && Math.abs(at - from) < REACH_SECONDS - 1e-3) {
      if (this.player.time !== from || this.player.playing) break;
      const within = Math.min(step, REACH_SECONDS - Math.abs(at - from));
      const asked = query(this.path, {to, at_seconds: at, direction, within_seconds: within});
      const found = /** @type {NextMoment} */ (await get(asked, {signal: controller.signal}));
      if (found.seconds !== null) return {seconds: found.seconds, reached: at};
      ({searched_to_seconds: at, more} = found);
      status.setReached(at);
    }
    return {seconds: null, reached: at};
  }
}

/**
 * The message of a search that takes long: what is searched, how far, and a button that cancels it.
 *
 * @param {string} what
 * @param {number} from
 * @param {() => void} cancel
 */
function searchStatus(what, from, cancel) {
  const close = () => {
    clearTimeout(timer);
    if (shown) shown.close();
  };
  const show = () => {
    clearTimeout(timer);
    shown ??= toast(t("{what}: searching…", {what}), detail, {lasting: true, action: {text: t("Cancel (Esc)"), run: cancel}});
  };
  /** @param {number} time */
  const setReached = (time) => {
    detail = t("Searched to {time}", {time: formatTime(time, 0)});
    if (shown) shown.setDetail(detail);
  };
  /** @type {ReturnType<typeof toast> | null} */
  let shown = null;
  let detail = "";
  setReached(from);
  const timer = setTimeout(show, QUIET_MS);
  return {show, setReached, close};
}
