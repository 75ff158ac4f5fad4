// The player: frame by frame, forward and backward. If the browser cannot decode the recording, frames made by the server
// are shown. Events: "time" when the position changes, "state" when playback starts or stops.

import {h, setText} from "../lib/dom.js";
import {upright} from "../lib/format.js";

const RATES = [1, 2, 4, 8];
const SETTLE = 0.5; // of a frame: seek to its middle, so that rounding does not show a neighbour
const NUDGE = 0.0005; // seconds, the same for irregular frames: times are rounded to the millisecond
const BROKE_OFF = 2; // MediaError.MEDIA_ERR_NETWORK
const ROLES = {first: "In: the clip’s first frame", last: "The clip’s last frame", after: "Out: the first frame after the clip", end: "Out: the recording’s end"};

function shapeOf(video) {
  if (!video) return "sound";
  const [width, height] = upright(video);
  return height > width ? "tall" : "";
}

export class Player extends EventTarget {
  constructor(recording, selection, signal) {
    super();
    this.base = `/v1/recordings/${recording.recording_id}`;
    this.selection = selection;
    this.duration = recording.duration_seconds;
    this.hasPicture = Boolean(recording.media.video);
    this.frames = false; // true if frames made by the server are shown instead of the video
    this.looping = false;
    this.rate = 0; // negative while playing backward
    this.moment = 0; // exact target of the last seek
    this.wanted = null; // target of a seek that waits for the current one to end
    this.painted = null; // mediaTime of the presented frame
    const shared = {src: `${this.base}/download`, preload: "auto", "aria-label": "Recording"};
    this.video = this.hasPicture
      ? h("video", {...shared, playsinline: true, disablepictureinpicture: true, tabindex: "-1"})
      : h("audio", shared);
    this.image = h("img", {alt: "", hidden: true});
    this.note = h("p", {class: "note", role: "status", hidden: true});
    this.role = h("p", {class: "role", hidden: true});
    this.node = h("div", {class: `stage ${shapeOf(recording.media.video)}`}, this.video, this.image, this.role, this.note);
    this.watch(signal);
  }

  watch(signal) {
    const {video} = this;
    const on = (name, run) => video.addEventListener(name, run, {signal});
    on("error", () => (video.error.code === BROKE_OFF ? this.breakOff() : this.useFrames()));
    on("loadedmetadata", () => {
      if (this.hasPicture && !video.videoWidth) this.useFrames();
    });
    on("seeked", () => {
      const next = this.wanted;
      this.wanted = null;
      if (next !== null) video.currentTime = next;
      this.tell("time");
    });
    on("play", () => this.started());
    on("pause", () => this.rate < 0 || this.settle()); // during backward playback the video element is paused
    on("ended", () => {
      this.settle();
      this.seek(this.duration);
    });
    if (this.hasPicture) on("click", () => this.toggle());
    this.image.addEventListener("load", () => this.fetched(), {signal});
    this.image.addEventListener("error", () => this.fetched(), {signal});
    this.addEventListener("time", () => this.mark());
    this.selection.addEventListener("change", () => this.mark(), {signal});
    addEventListener("connection", ({detail}) => detail && this.goOn(), {signal});
    if (video.requestVideoFrameCallback) {
      const painted = (now, {mediaTime}) => {
        this.painted = mediaTime;
        if (!signal.aborted) video.requestVideoFrameCallback(painted);
      };
      video.requestVideoFrameCallback(painted);
    }
    signal.addEventListener("abort", () => {
      this.rate = 0;
      video.removeAttribute("src");
      video.load();
      this.image.removeAttribute("src");
    });
  }

  get playing() {
    return this.rate !== 0;
  }

  // The current position: the start of its frame if playback is paused.
  get time() {
    if (this.frames || !this.playing) return this.moment;
    return Math.min(this.video.currentTime, this.duration);
  }

  // The start of the presented frame, which is behind the clock during playback. For a frame that is held for long, the
  // clock.
  get shown() {
    if (this.frames || !this.playing) return this.moment;
    const {selection, video, painted} = this;
    const clock = Math.min(video.currentTime, this.duration);
    if (!this.hasPicture) return clock;
    if (selection.steady) {
      const begun = selection.first + Math.floor((clock - selection.first) * selection.rate + 0.01) / selection.rate;
      return selection.snap(painted === null ? begun : painted);
    }
    return painted !== null && Math.abs(clock - painted) < 2 * selection.frame ? painted : clock;
  }

  get lastFrame() {
    return Math.max(0, this.selection.snap(this.duration - this.selection.frame));
  }

  // Seek to a frame, or to the end, which shows the last frame.
  seek(time) {
    const at = this.selection.snap(time);
    this.moment = at;
    if (this.frames) this.fetch();
    else {
      const target = this.inside(at);
      if (this.video.seeking) this.wanted = target;
      else this.video.currentTime = target;
    }
    this.tell("time");
  }

  // Return a time at which the browser shows the frame that starts at this position.
  inside(at) {
    if (!this.hasPicture) return at;
    const {frame, steady} = this.selection;
    return Math.min(at + (steady ? frame * SETTLE : NUDGE), this.duration - 0.001);
  }

  // Step to the next (1) or previous (-1) frame.
  step(direction) {
    this.pause();
    this.seek(this.selection.beside(this.moment, direction));
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play(rate = 1) {
    if (this.frames) return;
    if (this.time >= this.lastFrame && !this.looping) this.seek(0);
    this.video.playbackRate = rate;
    this.rate = rate;
    this.video.play().catch(() => this.settle());
    this.tell("state");
  }

  pause() {
    if (this.playing) this.settle(); // now, so that a following step starts here; the video's event comes later
    this.video.pause();
  }

  // J and L: normal speed first, then double, up to eightfold.
  shuttle(direction) {
    const faster = RATES[Math.min(RATES.indexOf(Math.abs(this.rate)) + 1, RATES.length - 1)];
    const rate = Math.sign(this.rate) === direction ? faster : 1;
    if (this.frames) this.seek(this.moment + direction);
    else if (direction > 0) this.play(rate);
    else this.reverse(rate);
  }

  reverse(rate) {
    const from = this.time;
    this.video.pause();
    this.moment = from;
    const running = this.rate < 0;
    this.rate = -rate;
    this.tell("state");
    if (running) return;
    let before = performance.now();
    const back = (now) => {
      if (this.rate >= 0) return;
      const passed = ((now - before) / 1000) * -this.rate;
      if (!this.video.seeking && passed >= this.selection.frame) {
        before = now;
        this.seek(this.moment - passed);
      }
      if (this.moment <= 0) this.settle();
      else requestAnimationFrame(back);
    };
    requestAnimationFrame(back);
  }

  // Started by the page or by the audio element's own controls.
  started() {
    if (this.rate <= 0 && !this.video.paused) {
      this.rate = this.video.playbackRate;
      this.tell("state");
    }
    this.run();
  }

  run() {
    const tick = () => {
      if (this.rate <= 0) return;
      const {selection, video} = this;
      if (this.looping && !selection.empty && (video.currentTime >= selection.end - 0.01 || video.currentTime < selection.start - selection.frame)) {
        video.currentTime = this.inside(selection.start);
      }
      this.tell("time");
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  // Stop on the presented frame. Seek to it, because the video may have advanced by one frame.
  settle() {
    const moment = this.rate > 0 && !this.frames ? this.shown : null;
    this.rate = 0;
    if (moment !== null && this.video.readyState) this.seek(moment);
    this.tell("state");
    this.tell("time");
  }

  mark() {
    const role = this.hasPicture && !this.playing ? this.selection.roleOf(this.moment) : "";
    this.role.hidden = !role;
    if (role) setText(this.role, ROLES[role]);
  }

  mute() {
    this.video.muted = !this.video.muted;
    this.tell("state"); // the browser's event comes later
  }

  // The connection was lost during playback. It continues at the same position when the server is back.
  breakOff() {
    this.broken = true;
    this.rate = 0;
    this.explain("The connection was lost. The recording continues when it is back.");
    this.tell("state");
  }

  goOn() {
    if (!this.broken) return;
    this.broken = false;
    this.note.hidden = true;
    this.video.load();
    this.seek(this.moment);
  }

  explain(text) {
    this.note.hidden = false;
    setText(this.note, text);
  }

  // ---- frames instead of video

  useFrames() {
    if (this.frames) return;
    this.frames = true;
    this.rate = 0;
    this.video.hidden = true;
    this.explain(this.hasPicture
      ? "This browser cannot play the recording, so single frames are shown. Clips of it will play."
      : "This browser cannot play the recording. Clips of it will play.");
    if (this.hasPicture) {
      this.image.hidden = false;
      this.fetch();
    }
    this.tell("state");
  }

  // Load one frame at a time; of the requests made meanwhile only the latest counts.
  fetch() {
    if (!this.hasPicture) return;
    if (this.fetching) {
      this.again = true;
      return;
    }
    this.fetching = true;
    this.node.setAttribute("aria-busy", "true");
    this.image.src = `${this.base}/frame?at=${this.moment.toFixed(6)}&width=1280`;
  }

  fetched() {
    this.fetching = false;
    this.node.removeAttribute("aria-busy");
    if (this.again) {
      this.again = false;
      this.fetch();
    }
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
