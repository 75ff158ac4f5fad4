// One recording: the player, the timeline under it, what is being picked, and its clips beside it.

import {get} from "./api.js";
import {ClipList} from "./clip_list.js";
import {h, icon, iconButton, setText} from "./dom.js";
import {listen} from "./events.js";
import {clock, mediaLine, sentence, titleOf} from "./format.js";
import {bindKeys, showShortcuts} from "./keys.js";
import {picker} from "./picker.js";
import {Player} from "./player.js";
import {Selection} from "./selection.js";
import {Timeline} from "./timeline.js";
import {failure} from "./ui.js";

export async function showRecording(main, {id}, signal) {
  main.className = "wide";
  document.title = "Recording · clipengine";
  main.append(h("div", {class: "studio", "aria-hidden": "true"}, h("div", {class: "stage skeleton"}), h("div", {class: "panel beside"})));
  try {
    const recording = await get(`/v1/recordings/${id}`, {signal});
    document.title = `${titleOf(recording)} · clipengine`;
    if (recording.status === "complete") build(main, recording, signal);
    else waitFor(main, recording, signal);
  } catch (error) {
    if (error.name !== "AbortError") main.replaceChildren(failure(error, error.status === 404 ? null : () => location.reload()));
  }
}

function waitFor(main, recording, signal) {
  const failed = recording.status === "failed";
  main.replaceChildren(heading(recording), h("div", {class: "panel empty"},
    h("h2", {}, failed ? "This recording cannot be used" : "The recording is being read…"),
    h("p", {}, failed ? `${sentence(recording.error.message)} ${recording.error.hint}` : "Its timeline appears here as soon as the engine knows what is in it."),
  ));
  listen((name, data) => {
    const news = name.startsWith("recording.") && data && data.recording_id === recording.recording_id && data.status !== "processing";
    if (news || name === "resync") {
      get(`/v1/recordings/${recording.recording_id}`, {signal}).then((now) => {
        if (now.status === "complete") build(main, now, signal);
        else if (now.status === "failed" && !failed) waitFor(main, now, signal);
      }).catch(() => {});
    }
  }, signal);
}

function heading(recording, ...tools) {
  return h("div", {class: "head"},
    h("a", {class: "button quiet square", href: "#/recordings", title: "All recordings", "aria-label": "All recordings"}, icon("back")),
    h("div", {class: "grow"}, h("h1", {class: "clip"}, titleOf(recording)), h("p", {class: "muted small clip"}, mediaLine(recording))),
    tools,
  );
}

function build(main, recording, signal) {
  const selection = new Selection(recording.duration_seconds, recording.media.video);
  const player = new Player(recording, selection, signal);
  const timeline = new Timeline(recording, selection, player, signal);
  const clips = new ClipList({
    path: `/v1/recordings/${recording.recording_id}/clips`,
    wants: (clip) => clip.recording_id === recording.recording_id,
    empty: () => h("div", {class: "empty"}, h("h2", {}, "No clips yet"), h("p", {}, "Pick a range and press Enter. Clips appear here while they are made.")),
    row: {onlocate: locate},
    onchange: (shown) => {
      setText(count, shown.length ? String(shown.length) : "");
      timeline.setClips(shown);
      form.rename();
    },
    signal,
  });
  const count = h("span", {class: "muted"});
  const form = picker({
    recording, selection, player,
    made: (clip) => clips.put(clip, {fresh: true}),
    nextLabel: () => `Clip ${clips.clips.size + 1}`,
  });
  const loop = iconButton("loop", "Repeat the selection (R)", toggleLoop, {"aria-pressed": "false"});

  function toggleLoop() {
    player.looping = !player.looping;
    loop.setAttribute("aria-pressed", String(player.looping));
    if (player.looping && !selection.empty) {
      player.seek(selection.start);
      player.play();
    }
  }

  function locate(clip) {
    selection.set(clip.start_seconds, clip.end_seconds);
    timeline.showSelection();
    player.pause();
    player.seek(clip.start_seconds);
  }

  main.replaceChildren(
    heading(recording,
      h("a", {class: "button quiet", "aria-label": "Download the recording", href: `/v1/recordings/${recording.recording_id}/download`}, icon("down"), h("span", {class: "words"}, "Download")),
      h("button", {type: "button", class: "quiet", title: "Keys (?)", onclick: showShortcuts}, icon("keys"), h("span", {class: "words"}, "Keys")),
    ),
    h("div", {class: "studio"},
      h("section", {class: "work", "aria-label": "Player"}, player.node, transport(player, timeline, recording, loop, signal), timeline.node, form.node),
      h("section", {class: "panel beside", "aria-label": "Clips of this recording"}, h("header", {}, h("h2", {}, "Clips"), count), clips.node),
    ),
  );
  bind(selection, player, timeline, form, toggleLoop, signal);
  clips.load();
  timeline.draw();
}

function transport(player, timeline, recording, loop, signal) {
  const play = iconButton("play", "Play (Space)", () => player.toggle(), {class: "square"});
  const now = h("span", {class: "time now", "aria-hidden": "true"}, clock(0));
  const rate = h("span", {class: "muted small"});
  const draw = () => {
    play.replaceChildren(icon(player.playing ? "pause" : "play"));
    play.title = player.playing ? "Stop (Space)" : "Play (Space)";
    play.setAttribute("aria-label", play.title);
    play.disabled = player.frames;
    setText(rate, player.playing && player.rate !== 1 ? `${player.rate}×` : "");
  };
  player.addEventListener("state", draw, {signal});
  player.addEventListener("time", () => setText(now, clock(player.time)), {signal});
  return h("div", {class: "transport"},
    iconButton("prev", "One frame back (←)", () => player.step(-1)), play, iconButton("next", "One frame on (→)", () => player.step(1)),
    now, h("span", {class: "time muted whole"}, `/ ${clock(recording.duration_seconds)}`), rate,
    h("span", {class: "grow"}),
    loop,
    iconButton("minus", "Zoom out (−)", () => timeline.zoom(2)), iconButton("plus", "Zoom in (+)", () => timeline.zoom(0.5)),
    h("button", {type: "button", class: "quiet", title: "Show all (0)", onclick: () => timeline.fit()}, "Fit"),
  );
}

function bind(selection, player, timeline, form, toggleLoop, signal) {
  const go = (time) => {
    player.pause();
    player.seek(time);
    timeline.reveal(player.time);
  };
  bindKeys({
    " ": () => player.toggle(),
    j: () => player.shuttle(-1),
    k: () => player.pause(),
    l: () => player.shuttle(1),
    ArrowLeft: () => player.step(-1),
    ArrowRight: () => player.step(1),
    "Shift+ArrowLeft": () => go(player.time - 1),
    "Shift+ArrowRight": () => go(player.time + 1),
    Home: () => go(0),
    End: () => go(player.duration),
    i: () => selection.setStart(player.time),
    o: () => selection.setEnd(player.time),
    "Shift+i": () => selection.empty || go(selection.start),
    "Shift+o": () => selection.empty || go(selection.end),
    Enter: () => form.submit(),
    r: toggleLoop,
    n: () => form.focusLabel(),
    "+": () => timeline.zoom(0.5),
    "=": () => timeline.zoom(0.5),
    "-": () => timeline.zoom(2),
    0: () => timeline.fit(),
    z: () => timeline.showSelection(),
    x: () => selection.clear(),
    "?": showShortcuts,
  }, signal);
}
