// The parts of a view that follow the end of a recording that is still written: a mark, a button that plays the end, and one
// that selects the last seconds; and the button of a list that makes a clip of them.

import {get, post} from "../lib/api.js";
import {announce, h, icon, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatLength, formatMoment, titleOf} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {asyncHandler, toast, toastError} from "../lib/toasts.js";

/** @import {Extent} from "../store/session.js" */
/** @import {Player} from "../player/media/player.js" */
/** @import {Selection, Span} from "../player/segments/selection.js" */
/** @import {ShownTimes} from "../player/timeline/shown_times.js" */
/** @import {Timeline} from "../player/timeline/timeline.js" */

const LAST_SECONDS = 30;

/**
 * Return the mark of a recording that is still written.
 *
 * @param {Recording} recording
 */
export function liveMark({silent_since: since}) {
  return since ? h("span", {class: "live silent", title: since}, t("Silent since {time}", {time: formatMoment(since)})) : h("span", {class: "live"}, t("Live"));
}

/**
 * Return the text of the button that plays the end. Playback stays behind if the proxy is made more slowly than the recording.
 *
 * @param {boolean} following
 * @param {number} behind seconds
 */
export function liveText(following, behind) {
  if (!following) return t("Go live");
  return behind < LAST_SECONDS ? t("At live") : t("{time} behind", {time: formatLength(behind)});
}

export class Live {
  /** @param {{extent: Extent, selection: Selection, player: Player, times: ShownTimes, signal: AbortSignal}} options */
  constructor({extent, selection, player, times, signal}) {
    /** @type {Timeline | null} */
    this.timeline = null;
    /** @type {Span | null} the selected last seconds, which follow the end until the player or the selection is moved */
    this.followed = null;
    const {recording} = extent;
    this.extent = extent;
    this.recording = recording;
    this.selection = selection;
    this.player = player;
    this.times = times;
    this.mark = liveMark(recording);
    this.goText = h("span", {});
    this.go = h("button", {type: "button", class: "quiet go-live", title: t("Follow the end of the recording (E)"), onclick: () => this.follow()}, this.goText);
    this.last = h(
      "button",
      {
        type: "button",
        class: "last",
        title: t("Select the last {seconds} seconds; Q makes a clip of them at once", {seconds: LAST_SECONDS}),
        onclick: () => this.selectLast(),
      },
      icon("film"),
      h("span", {}, t("Last {seconds} s", {seconds: LAST_SECONDS})),
    );
    player.addEventListener("state", () => this.draw(), {signal});
    player.addEventListener("time", () => this.drawText(), {signal});
    const resync = () =>
      get(`/v1/recordings/${recording.recording_id}`, {signal}).then(
        (now) => this.update(now),
        () => {},
      ); // the rail says why
    if (this.growing) listen({recording: (now) => this.update(now), resync}, signal);
    this.draw();
  }

  get growing() {
    return this.extent.growing;
  }

  /** @param {Recording} now */
  update(now) {
    if (!this.extent.update(now)) return;
    const {recording} = this;
    const mark = liveMark(recording);
    this.mark.replaceWith(mark);
    this.mark = mark;
    this.times.setBegin(recording.started_at);
    if (this.growing && this.player.following && this.followed && this.selection.range === this.followed) this.selectEnd();
    if (!this.growing) announce(t("The recording has ended"));
    this.draw();
  }

  draw() {
    for (const node of [this.mark, this.go, this.last]) node.hidden = !this.growing;
    this.go.setAttribute("aria-pressed", String(this.player.following));
    this.drawText();
  }

  drawText() {
    const {following, duration, time} = this.player;
    setText(this.goText, liveText(following, duration - time));
  }

  follow() {
    if (!this.growing) return;
    this.player.follow();
    this.timeline?.showEnd();
  }

  // Show the end, with the last seconds selected.
  open() {
    if (!this.growing) return;
    this.selectEnd();
    this.timeline?.showEnd();
    this.player.follow();
  }

  selectEnd() {
    const end = this.player.duration;
    this.selection.set(Math.max(0, end - LAST_SECONDS), end);
    this.followed = this.selection.range;
  }

  selectLast() {
    if (!this.growing) return;
    this.selection.clear(); // a new range, not a change of the current segment
    this.selectEnd();
    this.followed = null;
    this.timeline?.revealSelection();
  }

  /**
   * Make a clip of the last seconds, without a change of the selection.
   *
   * @param {{label: string, settings: Partial<Sent<"post", `/v1/recordings/${string}/clips`>>, oncreated: (clip: Clip) => void}} options
   */
  async clipLast({label, settings, oncreated}) {
    if (!this.growing) return;
    try {
      oncreated(await postLast(this.recording, label, settings));
      announce(t("{label} is queued", {label}));
    } catch (error) {
      toastError(error);
    }
  }
}

/**
 * Make a clip of the last seconds of a recording that is still written.
 *
 * @param {Recording} recording
 * @param {string} label
 * @param {Partial<Sent<"post", `/v1/recordings/${string}/clips`>>} settings
 */
const postLast = (recording, label, settings) => post(`/v1/recordings/${recording.recording_id}/clips`, {label, last_seconds: LAST_SECONDS, ...settings});

/**
 * Return the button of a list that makes a clip of the last seconds, with the look that is stored with the recording.
 *
 * @param {() => Recording} recordingOf
 */
export function lastButton(recordingOf) {
  const make = asyncHandler(async () => {
    const recording = recordingOf();
    const label = `${titleOf(recording)}, ${formatMoment(new Date().toISOString())}`;
    const {look} = await get(`/v1/recordings/${recording.recording_id}/segments`);
    const stored = Object.fromEntries(Object.entries(look).filter(([, value]) => value !== null));
    await postLast(recording, label, stored);
    toast(t("{label} is queued", {label}));
  });
  const title = t("Make a clip of the last {seconds} seconds", {seconds: LAST_SECONDS});
  const text = h("span", {}, t("Last {seconds} s", {seconds: LAST_SECONDS}));
  return h("button", {type: "button", class: "quiet last", hidden: true, title, onclick: make}, icon("film"), text);
}
