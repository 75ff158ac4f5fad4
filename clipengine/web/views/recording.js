// One recording: player, timeline, clip form, and its clips.

import {get} from "../lib/api.js";
import {announce, h, icon, iconButton, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {mediaSummary, stripBidi, titleOf} from "../lib/format.js";
import {navigate, setQuery} from "../lib/router.js";
import {bindShortcuts, showShortcuts} from "../lib/shortcuts.js";
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
import {recordingDownload, registerAgain, removeRecording} from "./recording_actions.js";
import {addUploads, filePicker} from "./uploads.js";

const DAMAGED = ["recording_unreadable", "recording_truncated", "unsupported_media", "decoder_crashed"];

// The parameter `t` is the time to show; `in` and `out` are the ends of the selection.
export async function showRecording(main, {id, ...place}, signal) {
  main.className = "wide";
  document.title = `${t("Recording")} · clipengine`;
  main.append(skeleton());
  try {
    const recording = await get(`/v1/recordings/${id}`, {signal});
    document.title = `${stripBidi(titleOf(recording))} · clipengine`;
    if (recording.status === "complete") {
      const [transcripts, profiles] = await Promise.all([get(`/v1/recordings/${id}/transcripts?limit=100`, {signal}), get("/v1/profiles", {signal})]);
      showStudio(main, recording, transcripts.data, profiles.data, signal, place);
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

function showPending(main, recording, signal) {
  const failed = recording.status === "failed";
  main.replaceChildren(
    heading(recording),
    failed
      ? failedState(recording)
      : h(
          "div",
          {class: "panel empty", role: "status"},
          icon("film"),
          h("h2", {}, t("The recording is being processed…")),
          h("p", {}, t("Its timeline appears here when that is done.")),
        ),
  );
  listen((name, data) => {
    const news = name.startsWith("recording.") && data && data.recording_id === recording.recording_id && data.status !== "processing";
    if (news || name === "resync") {
      get(`/v1/recordings/${recording.recording_id}`, {signal})
        .then((now) => {
          if (now.status === "complete") showRecording(main, {id: now.recording_id}, signal);
          else if (now.status === "failed" && !failed) showPending(main, now, signal);
        })
        .catch(() => {});
    }
  }, signal);
}

// The error state of a failed recording: retry, upload another file, or remove it.
function failedState(recording) {
  const {error} = recording;
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

const heading = (recording, ...tools) => head(titleOf(recording), h("p", {class: "muted small clip"}, mediaSummary(recording)), ...tools);

function head(title, line = null, ...tools) {
  return h(
    "div",
    {class: "head"},
    h("a", {class: "button quiet square", href: "#/recordings", title: t("All recordings"), "aria-label": t("All recordings")}, icon("back")),
    h("div", {class: "grow"}, h("h1", {class: "clip", title: stripBidi(title)}, title), line),
    tools,
  );
}

function showStudio(main, recording, transcripts, profiles, signal, place) {
  const {video} = recording.media;
  const frameTimes = video && video.variable_rate ? new FrameTimes(recording, signal, () => selection.resnap()) : null;
  const selection = new Selection(recording.duration_seconds, video, frameTimes);
  const player = new Player(recording, selection, signal);
  if (frameTimes) {
    frameTimes.load(0);
    player.addEventListener("time", () => player.playing || frameTimes.load(player.time), {signal});
    selection.addEventListener("change", () => selection.empty || [selection.start, selection.end].forEach((time) => frameTimes.load(time)), {signal});
  }
  const timeline = new Timeline({
    recording,
    selection,
    player,
    signal,
    hasCues: transcripts.length > 0,
    onopen: (item) => (item.clip_id ? locate(item) : openSegment(item)),
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
  const oncreated = (clip) => clips.put(clip, {fresh: true});
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
    if (player.looping && !selection.empty) {
      player.seek(selection.start);
      player.play();
    }
  }

  function locate(clip) {
    showRange(clip.start_seconds, clip.end_seconds, () => segments.setCurrent(null));
  }

  function openSegment(item) {
    showRange(item.start, item.end, () => segments.open(item));
  }

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
      h(
        "a",
        {class: "button quiet", "aria-label": t("Download the recording"), href: recordingDownload(recording)},
        icon("down"),
        h("span", {class: "words"}, t("Download")),
      ),
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
      h(
        "section",
        {class: "panel beside", "aria-label": t("Clips of this recording")},
        h("header", {}, beside.node),
        clips.node,
        transcript && transcript.node,
      ),
    ),
  );
  bindStudioShortcuts({recording, segments, selection, player, timeline, form, clips, transcript, beside, jumps, toggleLoop}, signal);
  clips.load().then(() => ranges.load(clips.next));
  showSegments();
  timeline.draw();
  showPlace(place, {selection, player, timeline, beside});
  addEventListener("language", () => setQuery({t: player.time, in: selection.start ?? "", out: selection.end ?? ""}), {signal});
}

// Show the time and select the range of the address.
function showPlace(place, {selection, player, timeline, beside}) {
  const [time, start, end] = [place.t, place.in, place.out].map(Number);
  if (end > start) selection.set(start, end);
  if (!time) return;
  player.seek(time);
  timeline.reveal(player.time);
  if (selection.empty) beside.select("transcript");
}

function bindStudioShortcuts({recording, segments, selection, player, timeline, form, clips, transcript, beside, jumps, toggleLoop}, signal) {
  const seekTo = (time) => {
    player.pause();
    player.seek(time);
    timeline.reveal(player.time);
  };
  bindShortcuts(
    {
      " ": () => player.toggle(),
      j: () => player.shuttle(-1),
      k: () => player.pause(),
      l: () => player.shuttle(1),
      ArrowLeft: () => player.step(-1),
      ArrowRight: () => player.step(1),
      "Shift+ArrowLeft": () => seekTo(player.time - 1),
      "Shift+ArrowRight": () => seekTo(player.time + 1),
      Home: () => seekTo(0),
      End: () => seekTo(player.duration),
      i: () => selection.setStart(player.shown),
      o: () => selection.setEnd(player.shown),
      "Shift+i": () => selection.empty || seekTo(selection.start),
      "Shift+o": () => selection.empty || seekTo(selection.end),
      ...jumps.shortcuts,
      Enter: () => form.submit(),
      a: () => form.addSegment(),
      b: () => announce(segments.split(player.shown) ? t("The segment was divided") : t("There is no segment to divide here, or the list is full")),
      r: toggleLoop,
      m: () => player.mute(),
      n: () => form.focusLabel(),
      g: () => document.querySelector(".now").focus(),
      c: () => {
        beside.select("clips");
        clips.focus();
      },
      t: () => {
        if (!transcript) return;
        beside.select("transcript");
        transcript.focus();
      },
      "/": () => {
        if (!transcript) return;
        beside.select("transcript");
        transcript.search.focus();
      },
      "+": () => timeline.zoom(0.5),
      "=": () => timeline.zoom(0.5),
      "-": () => timeline.zoom(2),
      0: () => timeline.fit(),
      z: () => timeline.showSelection(),
      x: () => selection.clear(),
      "?": () => showShortcuts(wordsOf(recording)),
    },
    signal,
  );
}
