// The studio of a recording: player, timeline, clip form, and the panel beside them.

import {find, h} from "../lib/dom.js";
import {displaySize} from "../lib/format.js";
import {bind, within} from "../lib/reactive.js";
import {mayEdit} from "../lib/rights.js";
import {showCurrent} from "../lib/router.js";
import {tabList} from "../lib/tabs.js";
import {formatNumber, t} from "../lib/texts.js";
import {ClipForm} from "../player/segments/clip_form.js";
import {segmentPanel} from "../player/segments/segment_panel.js";
import {Segments} from "../player/segments/segments.js";
import {transport} from "../player/media/transport.js";
import {StudioClips} from "./studio_clips.js";
import {studioHead} from "./studio_head.js";
import {studioLook} from "./studio_look.js";
import {keepPlace, showPlace} from "./studio_place.js";
import {StudioSession} from "./studio_session.js";
import {bindStudioShortcuts} from "./studio_shortcuts.js";
import {studioText} from "./studio_text.js";
import {acceptTranscripts} from "./transcript_upload.js";

/** @import {Look} from "../player/look/look.js" */
/** @import {Segment} from "../store/doc.js" */
/** @typedef {{transcripts: TranscriptObject[], profiles: Profile[], watermarks: Watermark[]}} Choices */

/**
 * @param {HTMLElement} main
 * @param {ReadyRecording} recording
 * @param {Choices} choices
 * @param {AbortSignal} signal
 * @param {Record<string, string>} place
 */
export async function showStudio(main, recording, choices, signal, place) {
  const {transcripts} = choices;
  const session = new StudioSession(recording, {
    hasCues: transcripts.length > 0,
    onopen: (item) => ("clip_id" in item ? locate(item) : openSegment(item)),
    signal,
  });
  const {selection, player, timeline, live, seekTo, history} = session;
  const clips = new StudioClips(session, locate);
  const oncreated = (/** @type {Clip} */ clip) => clips.made(clip);
  const nextLabel = (/** @type {Iterable<string>} */ pending) => clips.nextLabel(pending);
  const segments = new Segments({
    recording,
    selection,
    history,
    onlook: (stored) => mayEdit() && look.restore(stored),
    onfirst: () => text.transcript?.node.checkVisibility() || beside.select("segments"), // text is being picked
    signal,
  });
  const showLook = () => frame.showPanel("look");
  const {look, removal, views} = studioLook({...session, ...choices, undo: history, onproblem: showLook, onseek: seekTo});
  look.addEventListener("edit", () => segments.doc.set({look: look.stored}));
  const form = new ClipForm({...session, look, removal, segments, live: live.growing && mayEdit() ? live.last : null, onlook: showLook, oncreated, nextLabel});
  const panel = segmentPanel({...session, segments, look, oncreated, nextLabel, onopen: openSegment});
  const text = studioText(session, {transcripts, form, removal, onrunning: () => beside.select("transcript")});
  const beside = sidePanel({text, clips, segments, panel, look, signal});
  const {transcribing} = text;
  const controls = transport({...session, removal, live: live.growing ? live.go : null});
  const frame = studioFrame(session, {views, transcribing, dock: [controls, timeline.node], form, beside});

  /** @param {Clip} clip */
  function locate(clip) {
    session.showRange(clip.start_seconds, clip.end_seconds);
    segments.chosen.value = 0;
  }

  /** @param {Segment} segment */
  function openSegment(segment) {
    session.showRange(segment.start, segment.end);
    segments.open(segment);
  }

  function clipLast() {
    try {
      live.clipLast({label: nextLabel([]), settings: look.settings(player.duration), oncreated});
    } catch {
      // the look shows what is wrong
    }
  }

  await clips.load();
  if (signal.aborted) return;
  within(signal, () => {
    bind(() => timeline.setSegments(segments.doc.segments.value));
    bind(() => {
      clips.highest.value;
      form.rename();
    });
  });
  main.replaceChildren(frame.node);
  acceptTranscripts(recording, signal, showCurrent);
  const {transcript} = text;
  bindStudioShortcuts({session, segments, form, look, clips: clips.list, transcript, frame, panel, clipLast}, signal);
  timeline.draw();
  showPlace(place, {selection, player, timeline, transcript, live});
  addEventListener("language", () => keepPlace({selection, player}, transcript?.language ?? ""), {signal});
}

/**
 * Return the tabs beside the player.
 *
 * @param {{text: ReturnType<typeof studioText>, clips: StudioClips, segments: Segments, panel: {node: HTMLElement}, look: Look, signal: AbortSignal}} parts
 */
function sidePanel({text, clips, segments, panel, look, signal}) {
  const {transcript} = text;
  const changed = h("span", {class: "changed", hidden: true});
  look.addEventListener("change", () => {
    changed.hidden = !look.isChanged;
  });
  const count = () => segments.doc.segments.value.length;
  const segmentCount = within(signal, () => h("span", {class: "muted"}, () => (count() ? formatNumber(count()) : "")));
  const beside = tabList(t("Side panel"), [
    {id: "transcript", text: t("Transcript"), node: text.node, onshow: () => transcript?.reveal()},
    {id: "clips", text: [t("Clips"), " ", clips.count], node: clips.list.node},
    {id: "segments", text: [t("Segments"), " ", segmentCount], node: panel.node},
    ...(mayEdit() ? [{id: "look", text: [t("Look"), changed], node: look.node}] : []),
  ]);
  if (!transcript) beside.select("clips");
  return beside;
}

/** @typedef {ReturnType<typeof studioFrame>} StudioFrame */

/**
 * Return the element of the studio, and functions that show and hide the panel beside the player.
 *
 * @param {StudioSession} session
 * @param {{views: HTMLElement, transcribing: import("./transcribing.js").Transcribing, dock: HTMLElement[], form: {node: HTMLElement}, beside: ReturnType<typeof tabList>}} parts
 */
function studioFrame({recording, player, live, signal}, {views, transcribing, dock, form, beside}) {
  const {video} = recording.media;
  const top = studioHead(recording, {views, transcribing, marks: live.growing ? [live.mark] : [], onpanel: () => togglePanel(), signal});
  const rows = video ? dock : [...dock].reverse(); // without a picture, the waveform is in its place
  const node = h(
    "div",
    {class: video ? "studio" : "studio sound"},
    top,
    player.node,
    h("section", {class: "dock", "aria-label": t("Timeline and clip")}, rows, form.node),
    h("section", {class: "beside", "aria-label": t("Side panel")}, beside.node, beside.panels),
  );
  /** @param {number} ratio */
  const setRatio = (ratio) => node.style.setProperty("--ratio", ratio.toFixed(4));
  if (video) {
    const [width, height] = displaySize(video);
    setRatio(width / height);
    const {video: element} = player;
    element.addEventListener("loadedmetadata", () => {
      if (element instanceof HTMLVideoElement && element.videoWidth) setRatio(element.videoWidth / element.videoHeight); // with its pixels' shape
    });
  }
  const togglePanel = (shown = node.classList.contains("alone")) => {
    node.classList.toggle("alone", !shown);
    find(top, ".panel-toggle")?.setAttribute("aria-pressed", String(shown));
  };
  /** @param {string} id */
  const showPanel = (id) => {
    togglePanel(true);
    beside.select(id);
  };
  return {node, togglePanel, showPanel};
}
