// Transcription of a recording: the dialog that starts one, its progress, and its end.

import {get, post, query} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {announce, findAll, h, icon, setText} from "../lib/dom.js";
import {errorDetails, errorText, serverText} from "../lib/error_views.js";
import {listen} from "../lib/events.js";
import {formatClock, languageChoices, languageName} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {mayEdit, may} from "../lib/rights.js";
import {plural, rich, t} from "../lib/texts.js";
import {asyncHandler, toast} from "../lib/toasts.js";
import {COMMON} from "./transcript_upload.js";

/** @import {Player} from "../player/media/player.js" */

const SETUP = "/docs/transcription#set-it-up";
const LEAST_SHARE = 0.01; // that is recognized before the time left is estimated, or
const LEAST_MS = 10_000; // of work

export class Transcribing {
  /**
   * `onrunning()` shows the progress, and `onready(language)` the text that was made. `hasText`: the view has a text already.
   *
   * @param {{recording: ReadyRecording, hasText: boolean, player: Player, onrunning: () => void, onready: (language: string) => void, signal: AbortSignal}} options
   */
  constructor({recording, hasText, player, onrunning, onready, signal}) {
    this.recording = recording;
    this.hasText = hasText;
    this.player = player;
    this.onrunning = onrunning;
    this.onready = onready;
    this.signal = signal;
    /** @type {Transcription | null} the newest that is known */
    this.made = null;
    this.followed = ""; // the id of the one that has run in this view
    this.state = h("p", {role: "status"});
    this.percent = h("span", {class: "muted"});
    this.left = h("p", {class: "muted small", hidden: true});
    this.since = {id: "", progress: 0, at: 0}; // the first progress of this view, or after a restart of a passage
    this.bar = h("progress", {max: "1", value: 0, "aria-label": t("Transcription")});
    this.problem = h("div", {class: "small"});
    this.cancel = h("button", {type: "button", onclick: asyncHandler(() => this.stop())}, icon("x"), t("Cancel"));
    this.running = h("div", {class: "row"}, this.bar, this.percent, this.cancel);
    this.node = h(
      "div",
      {class: "transcribing", role: "group", "aria-label": t("Transcription"), hidden: true},
      this.state,
      this.running,
      this.left,
      this.problem,
    );
    this.start = h("button", {type: "button", class: "primary", hidden: true, onclick: () => this.ask()}, icon("captions"), t("Transcribe…"));
    this.note = h("p", {class: "tiny"});
    this.draw();
    if (!LIMITS.transcribers.length) return;
    listen({resync: () => this.load(), transcription: (made) => made.recording_id === recording.recording_id && this.show(made)}, signal);
    this.load();
  }

  // True if a transcription can be started now.
  get offered() {
    const {media, status} = this.recording;
    return LIMITS.transcribers.length > 0 && mayEdit() && status === "complete" && media.audio.length > 0 && this.made?.status !== "processing";
  }

  async load() {
    const {signal} = this;
    try {
      const {data} = await get(query("/v1/transcriptions", {recording_id: this.recording.recording_id, limit: 1}), {signal});
      if (data.length) this.show(data[0]);
      else this.draw();
    } catch {
      // the bar says when the server is unreachable; the events bring the state afterwards
    }
  }

  /** @param {Transcription} made */
  show(made) {
    const {made: known} = this;
    if (known && known.created_at > made.created_at) return;
    if (known?.transcript_id === made.transcript_id && known.status !== "processing") return; // responses may be late
    this.made = made;
    this.draw();
    if (made.status === "processing" && this.followed !== made.transcript_id) {
      this.followed = made.transcript_id;
      this.onrunning();
    }
    if (this.followed === made.transcript_id && made.status === "complete") this.finish(made);
  }

  draw() {
    const {made} = this;
    const running = made?.status === "processing";
    const failed = made?.status === "failed" && made.error?.code !== "cancelled" && (!this.hasText || this.followed === made.transcript_id);
    this.node.hidden = !running && !failed;
    this.running.hidden = !running;
    this.cancel.hidden = !made || !may("delete", "transcriptions", made);
    this.start.hidden = !this.offered;
    this.note.replaceChildren(...(running ? [] : this.reason()));
    if (!made || this.node.hidden) return;
    const problem = made.last_error ?? made.error;
    setText(this.state, failed ? t("The transcription has failed") : problem ? t("The last attempt has failed") : t("Transcribing…"));
    this.bar.value = made.progress;
    setText(this.left, running && !problem ? this.timeLeft(made) : "");
    this.left.hidden = !this.left.textContent;
    setText(this.percent, `${Math.floor(made.progress * 100)} %`);
    this.problem.replaceChildren(
      ...(problem ? errorDetails(problem) : []),
      ...(made.last_error
        ? [h("p", {}, made.next_at ? t("Next try at {time}.", {time: formatClock(made.next_at, {seconds: true})}) : t("It is tried again now."))]
        : []),
    );
  }

  /**
   * Return how long it takes at the pace since the view was opened, or "" before that is known.
   *
   * @param {Transcription} made
   */
  timeLeft({transcript_id: id, progress}) {
    const {since} = this;
    const now = performance.now();
    if (since.id !== id || progress < since.progress) this.since = {id, progress, at: now};
    const share = progress - this.since.progress;
    if (share <= 0 || (share < LEAST_SHARE && now - this.since.at < LEAST_MS)) return "";
    const minutes = Math.round((((now - this.since.at) / share) * (1 - progress)) / 60_000);
    return minutes ? plural(minutes, "About {count} minute left", "About {count} minutes left") : t("Less than a minute left");
  }

  /** Return why there is no button, for `h`. */
  reason() {
    const {media, status} = this.recording;
    if (status === "recording") return [t("It can be transcribed when the recording has ended.")];
    if (!media.audio.length) return [t("It has no audio that could be transcribed.")];
    if (!LIMITS.transcribers.length) return rich("The engine can make one: {setup}.", {setup: h("a", {href: SETUP}, t("set up a transcriber"))});
    return mayEdit() ? [] : [t("To transcribe it, sign in with a key that has the scope write.")];
  }

  // Ask for the language and the track, and start.
  ask() {
    const {audio} = this.recording.media;
    const language = h(
      "select",
      {autofocus: true},
      h("option", {value: ""}, t("Detect")),
      languageChoices(COMMON).map(({tag, name}) => h("option", {value: tag}, name)),
    );
    const track = h(
      "select",
      {},
      audio.map((each, at) => h("option", {value: String(at)}, [at + 1, each.language && languageName(each.language), each.codec].filter(Boolean).join(" · "))),
    );
    const problem = h("p", {class: "bad small", role: "alert"});
    const send = async () => {
      problem.textContent = "";
      try {
        const made = await post(`/v1/recordings/${this.recording.recording_id}/transcripts`, {language: language.value || null, track: Number(track.value)});
        dialog.close();
        this.show(made);
        announce(t("The transcription is queued"));
      } catch (error) {
        problem.replaceChildren(errorText(error));
      }
    };
    const fields = [h("label", {class: "field"}, t("Spoken language"), language)];
    if (audio.length > 1) fields.push(h("label", {class: "field"}, t("Audio track"), track));
    const dialog = openDialog(t("Transcribe"), h("div", {class: "stack"}, fields, problem), {
      size: "narrow",
      footer: [h("button", {type: "button", class: "primary", onclick: asyncHandler(send)}, t("Transcribe"))],
    });
  }

  async stop() {
    if (this.made) this.show(await post(`/v1/transcriptions/${this.made.transcript_id}/cancel`));
    announce(t("The transcription was cancelled"));
    if (!this.start.hidden) this.start.focus();
  }

  /**
   * Show the text, at once unless that would interrupt playback or typing.
   *
   * @param {Transcription} made
   */
  finish({language, warnings}) {
    const show = () => this.signal.aborted || this.onready(language ?? "");
    const detail = warnings.map((each) => h("span", {}, serverText(each)));
    const typed = findAll(document, "#label").some((field) => field instanceof HTMLInputElement && field.value);
    const busy = typed || this.player.playing || findAll(document, "dialog[open], input:focus, textarea:focus").length > 0;
    const action = busy ? {text: t("Show"), run: () => void show()} : null;
    toast(t("The transcript is ready"), detail.length ? detail : "", {action, lasting: busy});
    if (!busy) show();
  }
}

/**
 * Return the section of the transcriptions that run or wait.
 *
 * @param {Transcription[]} data
 * @param {(id: string) => HTMLElement} linkTo a recording
 */
export function transcriptionsInProgress(data, linkTo) {
  if (!data.length) return [];
  const rows = data.map((made) => h("li", {class: "transcription"}, linkTo(made.recording_id), stateOf(made)));
  return [h("section", {}, h("h2", {class: "sub"}, t("Transcriptions in progress")), h("ul", {class: "list panel"}, rows))];
}

/** @param {Transcription} made */
function stateOf({progress, last_error: problem, next_at: next}) {
  const percent = h("span", {class: "muted small"}, `${Math.floor(progress * 100)} %`);
  if (!problem) return percent;
  return h(
    "span",
    {class: "small"},
    percent,
    " · ",
    h("span", {class: "bad"}, serverText(problem.message)),
    next && ` · ${t("Next try at {time}.", {time: formatClock(next, {seconds: true})})}`,
  );
}
