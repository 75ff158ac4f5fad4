// The player: a film by frames, forward and backward. What the browser cannot decode is shown frame by frame, as
// pictures that the server makes. Events: "time" whenever another moment is shown, "state" when it starts or stops.

import {h} from "./dom.js";

const RATES = [1, 2, 4, 8];
const SETTLE = 0.5; // of a frame: to seek into its middle, so that rounding never shows its neighbour
const NUDGE = 0.0005; // seconds, for the same where frames come irregularly: times are rounded to the millisecond

export class Player extends EventTarget {
  constructor(recording, selection, signal) {
    super();
    this.base = `/v1/recordings/${recording.recording_id}`;
    this.selection = selection;
    this.duration = recording.duration_seconds;
    this.hasPicture = Boolean(recording.media.video);
    this.frames = false; // whether pictures of the server stand in for the film
    this.looping = false;
    this.rate = 0; // negative: backward
    this.moment = 0; // where it was sent, exact
    this.wanted = null; // where it is to go once it has arrived
    const shared = {src: `${this.base}/download`, preload: "auto", "aria-label": "Recording"};
    this.video = this.hasPicture
      ? h("video", {...shared, playsinline: true, disablepictureinpicture: true, tabindex: "-1"})
      : h("audio", {...shared, controls: true});
    this.image = h("img", {alt: "", hidden: true});
    this.note = h("p", {class: "note", hidden: true});
    this.node = h("div", {class: this.hasPicture ? "stage" : "stage sound"}, this.video, this.image, this.note);
    this.watch(signal);
  }

  watch(signal) {
    const {video} = this;
    const on = (name, run) => video.addEventListener(name, run, {signal});
    on("error", () => this.useFrames());
    on("loadedmetadata", () => {
      if (this.hasPicture && !video.videoWidth) this.useFrames();
    });
    on("seeked", () => {
      const next = this.wanted;
      this.wanted = null;
      if (next !== null) video.currentTime = next;
      else if (!this.hasPicture && !this.playing) this.moment = this.selection.snap(video.currentTime); // by its own controls
      this.tell("time");
    });
    on("play", () => this.started());
    on("pause", () => this.rate < 0 || this.settle()); // it runs backward while the film itself stands
    on("ended", () => this.settle());
    if (this.hasPicture) on("click", () => this.toggle());
    this.image.addEventListener("load", () => this.fetched(), {signal});
    this.image.addEventListener("error", () => this.fetched(), {signal});
    signal.addEventListener("abort", () => {
      this.rate = 0;
      video.removeAttribute("src");
      video.load();
    });
  }

  get playing() {
    return this.rate !== 0;
  }

  // The moment on screen: of a film that stands, the beginning of its frame.
  get time() {
    if (this.frames || !this.playing) return this.moment;
    return Math.min(this.video.currentTime, this.duration);
  }

  get lastFrame() {
    return Math.max(0, this.selection.snap(this.duration - this.selection.frame));
  }

  seek(time) {
    const at = Math.min(this.selection.snap(time), this.lastFrame);
    this.moment = at;
    if (this.frames) this.fetch();
    else {
      const target = this.inside(at);
      if (this.video.seeking) this.wanted = target;
      else this.video.currentTime = target;
    }
    this.tell("time");
  }

  // A time at which the browser shows the frame of this moment.
  inside(at) {
    if (!this.hasPicture) return at;
    const {frame, steady} = this.selection;
    return Math.min(at + (steady ? frame * SETTLE : NUDGE), this.duration - 0.001);
  }

  step(count) {
    this.pause();
    this.seek(this.moment + count * this.selection.frame);
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
    if (this.rate < 0) this.settle();
    this.video.pause();
  }

  // J and L: once for the usual speed, again for double, up to eightfold.
  shuttle(direction) {
    const faster = RATES[Math.min(RATES.indexOf(Math.abs(this.rate)) + 1, RATES.length - 1)];
    const rate = Math.sign(this.rate) === direction ? faster : 1;
    if (this.frames) this.step(direction * Math.round(1 / this.selection.frame));
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

  // By the page, or by the sound's own controls.
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

  // It stands now: on the frame that is shown.
  settle() {
    if (!this.frames && this.rate > 0) {
      const {frame, steady} = this.selection;
      const {currentTime} = this.video;
      this.moment = Math.min(this.selection.snap(steady ? Math.floor(currentTime / frame + 0.01) * frame : currentTime), this.lastFrame);
    }
    this.rate = 0;
    this.tell("state");
    this.tell("time");
  }

  // ---- pictures instead of a film

  useFrames() {
    if (this.frames) return;
    this.frames = true;
    this.rate = 0;
    this.video.hidden = true;
    this.note.hidden = false;
    this.note.textContent = this.hasPicture
      ? "This browser cannot play the recording: frames are shown instead. Clips of it will play."
      : "This browser cannot play the recording. Clips of it will play.";
    if (this.hasPicture) {
      this.image.hidden = false;
      this.fetch();
    }
    this.tell("state");
  }

  // One picture at a time; of those asked for meanwhile only the latest is fetched.
  fetch() {
    if (!this.hasPicture) return;
    if (this.fetching) {
      this.again = true;
      return;
    }
    this.fetching = true;
    this.image.src = `${this.base}/frame?at=${this.moment.toFixed(6)}&width=1280`;
  }

  fetched() {
    this.fetching = false;
    if (this.again) {
      this.again = false;
      this.fetch();
    }
  }

  tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
