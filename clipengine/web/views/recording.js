// One recording: player, timeline, clip form, and its clips.

import {get, query as address} from "../lib/api.js";
import {find, h, iconButton, setText} from "../lib/dom.js";
import {displaySize, stripBidi, titleOf} from "../lib/format.js";
import {showCurrent} from "../lib/router.js";
import {tabList} from "../lib/tabs.js";
import {LIMITS} from "../lib/limits.js";
import {bind, within} from "../lib/reactive.js";
import {formatNumber, t} from "../lib/texts.js";
import {AllQuery} from "../store/all_query.js";
import {bandsOf, highestNumber, numberOf} from "../store/clip_bands.js";
import {signal as signalOf} from "../vendor/signals-core.js";
import {errorState} from "../lib/ui.js";
import {clipForm} from "../player/clip_form.js";
import {FrameTimes} from "../player/frame_times.js";
import {Jumps} from "../player/jumps.js";
import {Player} from "../player/player.js";
import {RemovedMarks} from "../player/removed_marks.js";
import {segmentPanel} from "../player/segment_panel.js";
import {Segments} from "../player/segments.js";
import {Selection} from "../player/selection.js";
import {ShownTimes} from "../player/shown_times.js";
import {Timeline} from "../player/timeline.js";
import {Transcript} from "../player/transcript.js";
import {transport} from "../player/transport.js";
import {ClipList, clipQuery, clipStore} from "./clip_list.js";
import {Live} from "./live.js";
import {announceReady} from "./ready_toast.js";
import {showPending} from "./recording_pending.js";
import {head, studioHead} from "./studio_head.js";
import {studioLook} from "./studio_look.js";
import {keepPlace, showPlace} from "./studio_place.js";
import {bindStudioShortcuts} from "./studio_shortcuts.js";
import {Transcribing} from "./transcribing.js";
import {acceptTranscripts, noTranscript} from "./transcript_upload.js";

/** @import {Segment} from "../player/segments.js" */

const CLIPS_MS = 800; // until the view is shown without its clips

/**
 * The parameter `t` is the time to show; `in` and `out` are the ends of the selection. `language` is that of the
 * transcript.
 *
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showRecording(main, {id, ...place}, signal) {
  main.className = "wide";
  document.title = `${t("Recording")} · clipengine`;
  main.replaceChildren(skeleton());
  try {
    const recording = await get(`/v1/recordings/${id}`, {signal});
    document.title = `${stripBidi(titleOf(recording))} · clipengine`;
    if (recording.status === "complete" || recording.status === "recording") {
      const [transcripts, profiles, watermarks] = await Promise.all([
        get(`/v1/recordings/${id}/transcripts?limit=100`, {signal}),
        get("/v1/profiles", {signal}),
        get("/v1/watermarks", {signal}),
      ]);
      const choices = {transcripts: preferredFirst(transcripts.data, place.language), profiles: profiles.data, watermarks: watermarks.data};
      await showStudio(main, /** @type {ReadyRecording} */ (recording), choices, signal, place);
    } else showPending(main, recording, signal, showRecording);
  } catch (error) {
    if (error.name !== "AbortError")
      main.replaceChildren(
        head(t("Recording")),
        errorState(error, () => location.reload()),
      );
  }
}

/**
 * Return the transcripts in the order in which the API prefers them: the one in this language, then those with cues, the
 * oldest first.
 *
 * @param {TranscriptObject[]} transcripts
 * @param {string} [language]
 */
const preferredFirst = (transcripts, language) =>
  [...transcripts].sort(
    (a, b) =>
      Number(b.language === language) - Number(a.language === language) ||
      Number(b.cues > 0) - Number(a.cues > 0) ||
      a.created_at.localeCompare(b.created_at) ||
      (a.language < b.language ? -1 : 1),
  );

// As high as the content that replaces it.
const skeleton = () =>
  h(
    "div",
    {class: "studio", "aria-hidden": "true"},
    h("div", {class: "head"}),
    h("div", {class: "stage"}, h("div", {class: "picture skeleton"})),
    h("div", {class: "dock skeleton"}),
    h("div", {class: "beside"}),
  );

/**
 * @param {HTMLElement} main
 * @param {ReadyRecording} recording
 * @param {{transcripts: TranscriptObject[], profiles: Profile[], watermarks: Watermark[]}} choices
 * @param {AbortSignal} signal
 * @param {Record<string, string>} place
 */
async function showStudio(main, recording, {transcripts, profiles, watermarks}, signal, place) {
  const {video} = recording.media;
  const ask = async (/** @type {number} */ start, /** @type {number} */ end) =>
    (await get(address(`/v1/recordings/${recording.recording_id}/frames`, {start_seconds: start, end_seconds: end}), {signal})).frames;
  const frameTimes = video?.variable_rate ? new FrameTimes({duration: recording.duration_seconds, ask, onknown: () => selection.resnap(), signal}) : null;
  const selection = new Selection(recording.duration_seconds, video, frameTimes, recording.status === "recording");
  const times = new ShownTimes(recording);
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
  const live = new Live({recording, selection, player, times, signal});
  const timeline = new Timeline({
    recording,
    selection,
    player,
    times,
    signal,
    hasCues: transcripts.length > 0,
    onopen: (item) => ("clip_id" in item ? locate(item) : openSegment(item)),
  });
  live.timeline = timeline;
  const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/clips`);
  const wants = (/** @type {Clip} */ clip) => clip.recording_id === recording.recording_id;
  const store = clipStore(signal, () => {
    query.resync();
    all.load();
  });
  const query = clipQuery({path, store, limit: 100, wants, signal});
  const all = new AllQuery({store, ask: (cursor, until) => get(address(path, {limit: LIMITS.page, cursor}), {signal: until}), wants, signal});
  const format = () => (/** @type {number} */ seconds) => times.format(seconds);
  const clock = signalOf(format()); // another function when times are shown in another way
  const clips = new ClipList({
    query,
    empty: () =>
      h(
        "div",
        {class: "empty"},
        h("h2", {}, t("No clips yet")),
        h("p", {}, t("Select a range on the timeline, then make the clip. It appears here at once, and you can select the next one.")),
      ),
    clips: {onlocate: locate, timeOf: (seconds) => clock.value(seconds).replace(/[.,]\d+$/, "")},
    signal,
  });
  times.addEventListener(
    "change",
    () => {
      clock.value = format();
    },
    {signal},
  );
  const bands = bandsOf(all);
  const highest = highestNumber(all);
  const ready = announceReady(store);
  const count = within(signal, () => h("span", {class: "muted"}, () => (all.ids.value.size ? formatNumber(all.ids.value.size) : "")));
  const segmentCount = h("span", {class: "muted"});
  const changed = h("span", {class: "changed", hidden: true});
  const segments = new Segments(recording, selection, signal);
  /** @param {Clip} clip */
  const oncreated = (clip) => {
    store.apply([clip], {fresh: true});
    ready.watch(clip.clip_id);
  };
  /** @param {Iterable<string>} pending */
  const nextLabel = (pending) => {
    return `Clip ${Math.max(highest.value, ...[...pending].map(numberOf)) + 1}`;
  };
  /** @param {string} id */
  const showPanel = (id) => {
    togglePanel(true);
    beside.select(id);
  };
  /** @param {number} time */
  const seekTo = (time) => {
    player.pause();
    player.seek(time);
    timeline.reveal(player.time);
  };
  const {look, removal, views} = studioLook({
    recording,
    transcripts,
    profiles,
    watermarks,
    selection,
    player,
    times,
    timeline,
    onproblem: () => showPanel("look"),
    onseek: seekTo,
    signal,
  });
  const form = clipForm({
    recording,
    look,
    removal,
    selection,
    segments,
    player,
    times,
    live: live.growing ? live.last : null,
    timeline,
    onlook: () => showPanel("look"),
    oncreated,
    nextLabel,
  });
  const panel = segmentPanel({
    recording,
    segments,
    selection,
    player,
    look,
    oncreated,
    nextLabel,
    onopen: openSegment,
  });
  const showSegments = () => {
    timeline.setSegments(segments.items);
    setText(segmentCount, segments.items.length ? formatNumber(segments.items.length) : "");
  };
  segments.addEventListener("change", showSegments);
  segments.addEventListener("first", () => transcript?.node.checkVisibility() || beside.select("segments")); // text is being picked
  segments.addEventListener("loaded", () => segments.look && look.restore(segments.look));
  look.addEventListener("edit", () => segments.setLook(look.stored));
  look.addEventListener("change", () => {
    changed.hidden = !look.isChanged;
  });
  const loop = iconButton("loop", t("Loop the selection (R)"), toggleLoop, {"aria-pressed": "false"});

  function toggleLoop() {
    player.looping = !player.looping;
    loop.setAttribute("aria-pressed", String(player.looping));
    if (player.looping && selection.range) {
      player.seek(selection.range.start);
      player.play();
    }
  }

  function clipLast() {
    try {
      live.clipLast({label: nextLabel([]), settings: look.settings(player.duration), oncreated});
    } catch {
      // the look shows what is wrong
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
        onseek: seekTo,
        onselect: (text) => {
          timeline.revealSelection();
          form.suggest(text);
        },
        onadd: (cue, text) => {
          selection.clear(); // a new segment, not a change of the current one
          selection.set(cue.start_seconds, cue.end_seconds);
          form.suggest(text);
          form.addSegment();
        },
        onloaded: (cues) => {
          timeline.setCues(cues);
          marks?.redraw();
        },
      });
  const marks = transcript && new RemovedMarks({transcript, removal, signal});
  const transcribing = new Transcribing({
    recording,
    hasText: Boolean(transcript),
    player,
    onrunning: () => beside.select("transcript"),
    onready: (language) => {
      keepPlace({selection, player}, language);
      showCurrent();
    },
    signal,
  });
  transcript?.node.prepend(transcribing.node);
  const beside = tabList(t("Side panel"), [
    {
      id: "transcript",
      text: t("Transcript"),
      node: transcript?.node ?? noTranscript(recording, showCurrent, transcribing),
      onshow: () => transcript?.reveal(),
    },
    {id: "clips", text: [t("Clips"), " ", count], node: clips.node},
    {id: "segments", text: [t("Segments"), " ", segmentCount], node: panel.node},
    {id: "look", text: [t("Look"), changed], node: look.node},
  ]);
  if (!transcript) beside.select("clips");

  const rows = [transport({player, removal, timeline, times, live: live.growing ? live.go : null, recording, loop, jumps, signal}), timeline.node];
  if (!video) rows.reverse(); // the waveform is in place of the picture
  const top = studioHead(recording, {
    views,
    transcribing,
    marks: live.growing ? [live.mark] : [],
    onpanel: () => togglePanel(studio.classList.contains("alone")),
  });
  const studio = h(
    "div",
    {class: video ? "studio" : "studio sound"},
    top,
    player.node,
    h("section", {class: "dock", "aria-label": t("Timeline and clip")}, rows, form.node),
    h("section", {class: "beside", "aria-label": t("Side panel")}, beside.node, beside.panels),
  );
  /** @param {number} ratio */
  const setRatio = (ratio) => studio.style.setProperty("--ratio", ratio.toFixed(4));
  if (video) {
    const [width, height] = displaySize(video);
    setRatio(width / height);
    const {video: element} = player;
    element.addEventListener("loadedmetadata", () => {
      if (element instanceof HTMLVideoElement && element.videoWidth) setRatio(element.videoWidth / element.videoHeight); // with its pixels' shape
    });
  }

  /** @param {boolean} shown */
  function togglePanel(shown) {
    studio.classList.toggle("alone", !shown);
    find(top, ".panel-toggle")?.setAttribute("aria-pressed", String(shown));
  }

  const first = query.load();
  first.then(() => {
    if (signal.aborted) return;
    all.add(query.ids.peek());
    all.load(query.state.peek() === "ready" ? query.next.peek() : ""); // the pages after it; if it has failed, all
  });
  await Promise.race([first, new Promise((resolve) => setTimeout(resolve, CLIPS_MS))]);
  if (signal.aborted) return;
  within(signal, () => {
    bind(() => timeline.setClips(bands.value.map((id) => store.stateOf(id).peek())));
    bind(() => {
      highest.value;
      form.rename();
    });
    bind(ready.look);
  });
  main.replaceChildren(studio);
  acceptTranscripts(recording, signal, showCurrent);
  bindStudioShortcuts(
    {
      recording,
      segments,
      selection,
      player,
      timeline,
      form,
      look,
      clips,
      transcript,
      beside: {select: showPanel},
      panel,
      togglePanel: () => togglePanel(studio.classList.contains("alone")),
      jumps,
      toggleLoop,
      live,
      seekTo,
      clipLast,
    },
    signal,
  );
  showSegments();
  timeline.draw();
  showPlace(place, {selection, player, timeline, transcript});
  addEventListener("language", () => keepPlace({selection, player}, transcript?.language ?? ""), {signal});
}
