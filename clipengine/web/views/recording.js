// One recording: player, timeline, clip form, and its clips.

import {get} from "../lib/api.js";
import {h, icon, iconButton, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {mediaSummary, stripBidi, titleOf} from "../lib/format.js";
import {navigate, setQuery} from "../lib/router.js";
import {showShortcuts} from "../lib/shortcuts.js";
import {tabList} from "../lib/tabs.js";
import {formatNumber, t} from "../lib/texts.js";
import {asyncHandler, errorDetails, errorState} from "../lib/ui.js";
import {clipForm} from "../player/clip_form.js";
import {ClipRanges} from "../player/clip_ranges.js";
import {FrameTimes} from "../player/frame_times.js";
import {Jumps} from "../player/jumps.js";
import {Player} from "../player/player.js";
import {segmentPanel} from "../player/segment_panel.js";
import {Segments} from "../player/segments.js";
import {Selection} from "../player/selection.js";
import {Timeline} from "../player/timeline.js";
import {Transcript} from "../player/transcript.js";
import {transport} from "../player/transport.js";
import {wordsOf} from "../player/words.js";
import {ClipList} from "./clip_list.js";
import {liveTools} from "./live.js";
import {recordingDownload, registerAgain, removeRecording} from "./recording_actions.js";
import {bindStudioShortcuts} from "./studio_shortcuts.js";
import {addUploads, filePicker} from "./uploads.js";

/** @import {Segment} from "../player/segments.js" */

const DAMAGED = ["recording_unreadable", "recording_truncated", "recording_encrypted", "unsupported_media", "decoder_crashed"];

/**
 * The parameter `t` is the time to show; `in` and `out` are the ends of the selection.
 *
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showRecording(main, {id, ...place}, signal) {
  main.className = "wide";
  document.title = `${t("Recording")} · clipengine`;
  main.append(skeleton());
  try {
    const recording = await get(`/v1/recordings/${id}`, {signal});
    document.title = `${stripBidi(titleOf(recording))} · clipengine`;
    if (recording.status === "complete" || recording.status === "recording") {
      const [transcripts, profiles] = await Promise.all([get(`/v1/recordings/${id}/transcripts?limit=100`, {signal}), get("/v1/profiles", {signal})]);
      showStudio(main, /** @type {ReadyRecording} */ (recording), transcripts.data, profiles.data, signal, place);
    } else showPending(main, recording, signal);
  } catch (error) {
    if (error.name !== "AbortError")
      main.replaceChildren(
        head(t("Recording")),
        errorState(error, () => location.reload()),
      );
  }
}

// As high as the content that replaces it.
const skeleton = () =>
  h(
    "div",
    {"aria-hidden": "true"},
    h("div", {class: "head skeleton"}),
    h(
      "div",
      {class: "studio"},
      h(
        "div",
        {class: "work"},
        h("div", {class: "stage skeleton"}),
        h("div", {class: "timeline skeleton"}),
        h("div", {class: "picker panel skeleton"}),
        h("div", {class: "segments-panel panel skeleton"}),
      ),
      h("div", {class: "panel beside"}),
    ),
  );

/**
 * @param {HTMLElement} main
 * @param {Recording} recording
 * @param {AbortSignal} signal
 */
function showPending(main, recording, signal) {
  const failed = recording.status === "failed";
  main.replaceChildren(
    heading(recording),
    recording.error
      ? failedState(recording, recording.error)
      : h(
          "div",
          {class: "panel empty", role: "status"},
          icon("film"),
          h("h2", {}, t("The recording is being processed…")),
          h("p", {}, t("Its timeline appears here when that is done.")),
        ),
  );
  const look = () =>
    get(`/v1/recordings/${recording.recording_id}`, {signal})
      .then((now) => {
        if (now.status === "complete" || now.status === "recording") showRecording(main, {id: now.recording_id}, signal);
        else if (now.status === "failed" && !failed) showPending(main, now, signal);
      })
      .catch(() => {});
  listen({resync: look, recording: ({recording_id: id, status}) => id === recording.recording_id && status !== "processing" && look()}, signal);
}

/**
 * The error state of a failed recording: retry, upload another file, or remove it.
 *
 * @param {Recording} recording
 * @param {ClipEngineError} error
 */
function failedState(recording, error) {
  const files = filePicker((chosenFiles) => {
    addUploads(chosenFiles);
    navigate("#/recordings");
  });
  const remedies = [
    h(
      "button",
      {type: "button", onclick: asyncHandler(async () => navigate(`#/recordings/${(await registerAgain(recording)).recording_id}`))},
      icon("retry"),
      t("Retry"),
    ),
    h("button", {type: "button", onclick: () => files.click()}, icon("up"), t("Upload another file")),
  ];
  if (DAMAGED.includes(error.code)) remedies.reverse();
  remedies[0].className = "primary";
  return h(
    "div",
    {class: "panel empty"},
    icon("alert"),
    h("h2", {}, t("This recording cannot be used")),
    h("div", {}, errorDetails(error)),
    h(
      "div",
      {class: "row wrap"},
      remedies,
      h(
        "button",
        {type: "button", onclick: asyncHandler(async () => (await removeRecording(recording)) && navigate("#/recordings"))},
        icon("trash"),
        t("Remove…"),
      ),
      files,
    ),
    h(
      "p",
      {class: "small"},
      error.code !== "recording_missing" && [h("a", {href: recordingDownload(recording)}, t("Download")), " · "],
      h("a", {href: `/docs/errors#${error.code}`}, t("About this error")),
    ),
  );
}

/** @param {Recording} recording */
const downloadLink = (recording) =>
  h(
    "a",
    {class: "button quiet", "aria-label": t("Download the recording"), href: recordingDownload(recording)},
    icon("down"),
    h("span", {class: "words"}, t("Download")),
  );

/**
 * @param {Recording} recording
 * @param {HTMLElement[]} tools
 */
const heading = (recording, ...tools) => head(titleOf(recording), h("p", {class: "muted small clip"}, mediaSummary(recording)), ...tools);

/**
 * @param {string} title
 * @param {HTMLElement | null} [line]
 * @param {HTMLElement[]} tools
 */
function head(title, line = null, ...tools) {
  return h(
    "div",
    {class: "head"},
    h("a", {class: "button quiet square", href: "#/recordings", title: t("All recordings"), "aria-label": t("All recordings")}, icon("back")),
    h("div", {class: "grow"}, h("h1", {class: "clip", title: stripBidi(title)}, title), line),
    tools,
  );
}

/**
 * @param {HTMLElement} main
 * @param {ReadyRecording} recording
 * @param {TranscriptObject[]} transcripts
 * @param {Profile[]} profiles
 * @param {AbortSignal} signal
 * @param {Record<string, string>} place
 */
function showStudio(main, recording, transcripts, profiles, signal, place) {
  const {video} = recording.media;
  const frameTimes = video?.variable_rate ? new FrameTimes(recording, signal, () => selection.resnap()) : null;
  const selection = new Selection(recording.duration_seconds, video, frameTimes);
  const player = new Player(recording, selection, signal);
  if (frameTimes) {
    frameTimes.load(0);
    player.addEventListener("time", () => player.playing || frameTimes.load(player.time), {signal});
    const loadEnds = () => {
      if (!selection.range) return;
      frameTimes.load(selection.range.start);
      frameTimes.load(selection.range.end);
    };
    selection.addEventListener("change", loadEnds, {signal});
  }
  const timeline = new Timeline({
    recording,
    selection,
    player,
    signal,
    hasCues: transcripts.length > 0,
    onopen: (item) => ("clip_id" in item ? locate(item) : openSegment(item)),
  });
  const clips = new ClipList({
    path: `/v1/recordings/${recording.recording_id}/clips`,
    limit: 100,
    wants: (clip) => clip.recording_id === recording.recording_id,
    empty: () =>
      h(
        "div",
        {class: "empty"},
        h("h2", {}, t("No clips yet")),
        h("p", {}, t("Select a range on the timeline, then make the clip. It appears here at once, and you can select the next one.")),
      ),
    clips: {onlocate: locate},
    onchange: (shown) => ranges.put(shown),
    signal,
  });
  const ranges = new ClipRanges({
    recording,
    signal,
    onchange: (all) => {
      setText(count, all.length ? formatNumber(all.length) : "");
      timeline.setClips(all);
      form.rename();
    },
  });
  const count = h("span", {class: "muted"});
  const segments = new Segments(recording, selection);
  /** @param {Clip} clip */
  const oncreated = (clip) => clips.put(clip, {fresh: true});
  /** @param {Iterable<string>} pending */
  const nextLabel = (pending) => {
    const labels = [...ranges.clips.values()].map((clip) => clip.label).concat([...pending]);
    const numbers = labels.map((label) => Number((/^Clip (\d{1,6})$/.exec(label) || [0, 0])[1]));
    return `Clip ${Math.max(0, ...numbers) + 1}`;
  };
  const form = clipForm({recording, transcripts, profiles, selection, segments, player, timeline, signal, oncreated, nextLabel});
  const panel = segmentPanel({
    recording,
    segments,
    selection,
    form,
    oncreated,
    nextLabel,
    onopen: openSegment,
  });
  const showSegments = () => timeline.setSegments(segments.items);
  segments.addEventListener("change", showSegments);
  const loop = iconButton("loop", t("Loop the selection (R)"), toggleLoop, {"aria-pressed": "false"});

  function toggleLoop() {
    player.looping = !player.looping;
    loop.setAttribute("aria-pressed", String(player.looping));
    if (player.looping && selection.range) {
      player.seek(selection.range.start);
      player.play();
    }
  }

  /** @param {Clip} clip */
  function locate(clip) {
    showRange(clip.start_seconds, clip.end_seconds, () => segments.setCurrent(null));
  }

  /** @param {Segment} item */
  function openSegment(item) {
    showRange(item.start, item.end, () => segments.open(item));
  }

  /**
   * @param {number} start
   * @param {number} end
   * @param {() => void} then
   */
  function showRange(start, end, then) {
    selection.set(start, end);
    timeline.showSelection();
    player.pause();
    player.seek(start);
    then();
  }

  const jumps = new Jumps({recording, player, timeline, signal});
  const transcript = !transcripts.length
    ? null
    : new Transcript({
        recording,
        transcripts,
        player,
        selection,
        signal,
        onseek: (at) => {
          player.pause();
          player.seek(at);
          timeline.reveal(player.time);
        },
        onloaded: (cues) => timeline.setCues(cues),
      });
  const beside = transcript
    ? tabList(t("Clips and transcript"), [
        {id: "clips", text: [t("Clips"), " ", count], node: clips.node},
        {id: "transcript", text: t("Transcript"), node: transcript.node, onshow: () => transcript.reveal()},
      ])
    : {node: h("h2", {}, t("Clips"), " ", count), select: () => {}};

  const controls = [transport({player, timeline, recording, loop, jumps, signal}), timeline.node];
  if (!video) controls.reverse(); // the waveform is in place of the picture
  main.replaceChildren(
    heading(
      recording,
      ...liveTools(recording, {
        label: () => nextLabel([]),
        oncreated,
        signal,
      }),
      ...(recording.pieces ? [] : [downloadLink(recording)]),
      h(
        "button",
        {type: "button", class: "quiet keys", title: t("Shortcuts (?)"), "aria-label": t("Shortcuts"), onclick: () => showShortcuts(wordsOf(recording))},
        icon("keys"),
        h("span", {class: "words"}, t("Shortcuts")),
      ),
    ),
    h(
      "div",
      {class: "studio"},
      h("section", {class: "work", "aria-label": t("Player")}, player.node, controls, form.node, panel.node),
      h("section", {class: "panel beside", "aria-label": t("Clips of this recording")}, h("header", {}, beside.node), clips.node, transcript?.node),
    ),
  );
  bindStudioShortcuts({recording, segments, selection, player, timeline, form, clips, transcript, beside, jumps, toggleLoop}, signal);
  clips.load().then(() => ranges.load(clips.next));
  showSegments();
  timeline.draw();
  showPlace(place, {selection, player, timeline, beside});
  addEventListener("language", () => setQuery({t: player.time, in: selection.start ?? "", out: selection.end ?? ""}), {signal});
}

/**
 * Show the time and select the range of the address.
 *
 * @param {Record<string, string>} place
 * @param {Pick<import("./studio_shortcuts.js").Studio, "selection" | "player" | "timeline" | "beside">} studio
 */
function showPlace(place, {selection, player, timeline, beside}) {
  const [time, start, end] = [place.t, place.in, place.out].map(Number);
  if (end > start) selection.set(start, end);
  if (!time) return;
  player.seek(time);
  timeline.reveal(player.time);
  if (selection.empty) beside.select("transcript");
}
