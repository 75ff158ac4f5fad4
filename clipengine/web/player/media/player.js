// The player: frame by frame, forward and backward. If the browser cannot decode the recording, its proxy is played. If it
// cannot play that either, and while the proxy is being made, frames made by the server are shown. Events: "time" when the
// position changes, "state" when playback starts or stops.

import {request} from "../../lib/api.js";
import {h, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {FrameImage} from "./frame_image.js";
import {isUnplayable} from "./playable.js";
import {nextRate, playBackward, trackPlayback} from "./playback.js";
import {ProxySource, proxyNote} from "./proxy_source.js";
import {Reconnection} from "./reconnection.js";
import {roleLabel} from "./role_label.js";
import {hideStale} from "./stale_picture.js";

const FRAME_CENTRE = 0.5; // of a frame: seek to its middle, so that rounding does not show a neighbour
const EPSILON = 0.0005; // seconds, the same for irregular frames: times are rounded to the millisecond
const MEDIA_ERR_NETWORK = 2; // of MediaError
const BEHIND_SECONDS = 6; // of the end, where playback of it begins, so that it does not wait for each segment
const WAIT_MS = 250; // for the proxy, until the frame is shown as a picture
/** @import {Extent} from "../../store/session.js" */
/** @import {Selection} from "../segments/selection.js" */

export class Player extends EventTarget {
  /**
   * @param {Extent} extent
   * @param {Selection} selection
   * @param {AbortSignal} signal
   */
  constructor(extent, selection, signal) {
    super();
    const {recording} = extent;
    this.extent = extent;
    this.base = /** @type {const} */ (`/v1/recordings/${recording.recording_id}`);
    this.selection = selection;
    this.following = false; // true while the end of a recording that is still written is played or shown
    this.hasPicture = Boolean(recording.media.video);
    /** @type {ProxySource | null} what is played instead of the recording */
    this.proxy = null;
    this.proxyNote = "";
    this.preparing = false; // true until the first frame of the proxy is there
    this.reconnection = new Reconnection(signal, (waiting, status) => this.onWaiting(waiting, status));
    /** @type {number | undefined} */
    this.waitTimer = undefined;
    this.usesFrames = false; // true if frames made by the server are shown instead of the video
    this.looping = false;
    this.rate = 0; // negative while playing backward
    this.position = 0; // exact target of the last seek
    /** @type {number | null} target of a seek that waits for the current one to end */
    this.pendingSeek = null;
    /** @type {number | null} mediaTime of the presented frame */
    this.presentedTime = null;
    this.signal = signal;
    const shared = {preload: "auto", "aria-label": t("Recording")};
    /** @type {HTMLMediaElement} */
    this.video = this.hasPicture ? h("video", {...shared, playsinline: true, disablepictureinpicture: true, tabindex: "-1"}) : h("audio", shared);
    this.frames = new FrameImage(this.base, signal, (busy) => this.usesFrames && this.node.toggleAttribute("aria-busy", busy));
    this.note = h("p", {class: "note", role: "status", hidden: true});
    this.picture = h("div", {class: "picture"}, this.video, this.frames.node, roleLabel(this));
    this.node = h("div", {class: this.hasPicture ? "stage" : "stage sound"}, this.picture, this.note);
    this.bindEvents(signal);
    if (this.hasPicture) hideStale(this);
    if (isUnplayable(recording.media, this.video)) this.useProxy();
    else this.video.src = `${this.base}/download`;
    extent.onupdate(() => this.followEnd(), signal);
  }

  get duration() {
    return this.extent.duration;
  }

  get growing() {
    return this.extent.growing;
  }

  /** @param {AbortSignal} signal */
  bindEvents(signal) {
    const {video} = this;
    /**
     * @param {keyof HTMLMediaElementEventMap} name
     * @param {() => unknown} handler
     */
    const on = (name, handler) => video.addEventListener(name, handler, {signal});
    on("error", () => this.onError());
    on("loadedmetadata", () => {
      if (video instanceof HTMLVideoElement && !video.videoWidth) this.useProxy();
    });
    on("seeked", () => {
      const next = this.pendingSeek;
      this.pendingSeek = null;
      if (next !== null) video.currentTime = next;
      this.emit("time");
    });
    on("play", () => this.onPlay());
    on("loadeddata", () => this.proxyShown());
    on("seeked", () => this.proxyShown());
    on("playing", () => this.proxyShown());
    on("playing", () => {
      this.note.hidden = true;
    }); // it would cover the picture
    on("pause", () => this.rate < 0 || this.stopAtFrame()); // during backward playback the video element is paused
    on("ended", () => {
      this.stopAtFrame();
      this.seek(this.duration);
    });
    if (this.hasPicture) for (const node of [video, this.frames.node]) node.addEventListener("click", () => this.toggle(), {signal});
    if (video instanceof HTMLVideoElement && "requestVideoFrameCallback" in video) {
      /** @type {VideoFrameRequestCallback} */
      const onPresented = (_, {mediaTime}) => {
        this.presentedTime = mediaTime;
        if (!signal.aborted) video.requestVideoFrameCallback(onPresented);
      };
      video.requestVideoFrameCallback(onPresented);
    }
    signal.addEventListener("abort", () => {
      this.rate = 0;
      video.removeAttribute("src");
      video.load();
    });
  }

  get playing() {
    return this.rate !== 0;
  }

  // The current position: the start of its frame if playback is paused.
  get time() {
    if (this.usesFrames || !this.playing) return this.position;
    return Math.min(this.video.currentTime, this.duration);
  }

  // The start of the presented frame, which is behind the clock during playback. For a frame that is held for long, the
  // clock.
  get shown() {
    if (this.usesFrames || !this.playing) return this.position;
    const {selection, video, presentedTime} = this;
    const elapsed = Math.min(video.currentTime, this.duration);
    if (!this.hasPicture) return elapsed;
    if (selection.fixedRate) {
      const frameStart = selection.gridStart + Math.floor((elapsed - selection.gridStart) * selection.rate + 0.01) / selection.rate;
      return selection.snap(presentedTime === null ? frameStart : presentedTime);
    }
    return presentedTime !== null && Math.abs(elapsed - presentedTime) < 2 * selection.frame ? presentedTime : elapsed;
  }

  // The recording has grown, or has ended.
  followEnd() {
    this.proxy?.grow();
    if (this.following && !this.growing) this.setFollowing(false);
    if (this.following && !this.playing) this.place(this.lastFrame);
    this.emit("time");
  }

  // Play the end of a recording that is still written, or show its last frame if it cannot be played.
  follow() {
    if (!this.usesFrames && this.proxy?.opened) {
      this.place(Math.max(0, this.proxy.end - BEHIND_SECONDS));
      this.play();
    } else this.place(this.lastFrame);
    this.setFollowing(true);
  }

  /** @param {boolean} following */
  setFollowing(following) {
    if (this.following === following) return;
    this.following = following;
    this.emit("state");
  }

  get lastFrame() {
    return Math.max(0, this.selection.snap(this.duration - this.selection.frame));
  }

  /**
   * Seek to a frame, or to the end, which shows the last frame.
   *
   * @param {number} time
   */
  seek(time) {
    this.setFollowing(false);
    this.place(time);
  }

  /** @param {number} time */
  place(time) {
    const at = Math.min(this.selection.snap(time), this.duration);
    this.position = at;
    if (this.proxy && this.hasPicture && !this.usesFrames && !this.preparing) this.note.hidden = true; // it would cover the picture
    if (this.usesFrames || this.frames.wanted !== null) this.showFrame();
    if (!this.usesFrames) {
      const target = this.seekTarget(at);
      if (this.video.seeking && !this.proxy?.waiting) this.pendingSeek = target;
      else this.video.currentTime = target;
    }
    this.emit("time");
  }

  /**
   * Return a time at which the browser shows the frame that starts at this position.
   *
   * @param {number} at
   */
  seekTarget(at) {
    if (!this.hasPicture) return at;
    const {frame, fixedRate} = this.selection;
    return Math.min(at + (fixedRate ? frame * FRAME_CENTRE : EPSILON), this.duration - 0.001);
  }

  /**
   * Step to the next (1) or previous (-1) frame.
   *
   * @param {1 | -1} direction
   */
  step(direction) {
    this.pause();
    this.seek(this.selection.neighbour(this.position, direction));
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play(rate = 1) {
    if (this.usesFrames) return;
    if (this.time >= this.lastFrame && !this.looping && !this.growing) this.seek(0);
    this.video.playbackRate = rate;
    this.rate = rate;
    this.video.play().catch(() => (this.following ? this.showEnd() : this.stopAtFrame()));
    this.emit("state");
  }

  // Browsers refuse to play before the user has acted on the page: the last frame follows the end then.
  showEnd() {
    this.rate = 0;
    this.place(this.lastFrame);
    this.emit("state");
  }

  pause() {
    if (this.playing) this.stopAtFrame(); // now, so that a following step starts here; the video's event comes later
    this.video.pause();
  }

  /** @param {1 | -1} direction */
  shuttle(direction) {
    const rate = nextRate(this.rate, direction);
    if (this.usesFrames) this.seek(this.position + direction);
    else if (direction > 0) this.play(rate);
    else playBackward(this, rate);
  }

  // Started by the page or by the audio element's own controls.
  onPlay() {
    if (this.rate <= 0 && !this.video.paused) {
      this.rate = this.video.playbackRate;
      this.emit("state");
    }
    trackPlayback(this);
  }

  // Stop on the presented frame. Seek to it, because the video may have advanced by one frame.
  stopAtFrame() {
    const stopped = this.rate > 0 && !this.usesFrames ? this.shown : null;
    this.rate = 0;
    if (stopped !== null && this.video.readyState) this.seek(stopped);
    this.emit("state");
    this.emit("time");
  }

  mute() {
    this.video.muted = !this.video.muted;
    this.emit("state"); // the browser's event comes later
  }

  // The element has failed: the server or the store cannot be reached, or the browser cannot play the recording.
  async onError() {
    if (this.reconnection.waiting || this.usesFrames || !this.video.hasAttribute("src")) return;
    const lost = this.video.error?.code === MEDIA_ERR_NETWORK;
    const before = this.reconnection.absences;
    const first = {signal: this.signal, as: /** @type {const} */ ("blob"), headers: {Range: "bytes=0-0"}};
    try {
      await this.reconnection.whenReadable(() => request("GET", `${this.base}/download`, first));
    } catch {} // the proxy may be readable
    if (this.signal.aborted) return;
    if (!lost && before === this.reconnection.absences) {
      this.useProxy();
      return;
    }
    this.video.load();
    this.seek(this.position);
  }

  /**
   * @param {boolean} waiting for a server or store that cannot be reached
   * @param {number} status 0 without a response
   */
  onWaiting(waiting, status) {
    this.note.hidden = true;
    if (!waiting) return;
    this.rate = 0;
    this.showNote(
      status
        ? t("The recording cannot be read from the store. It is shown when it can.")
        : t("The connection was lost. The recording continues when it is back."),
    );
    this.emit("state");
  }

  /** @param {string} text */
  showNote(text) {
    this.note.hidden = false;
    setText(this.note, text);
  }

  // ---- instead of the recording

  async useProxy() {
    if (this.usesFrames) return;
    if (this.proxy) {
      this.useServerFrames();
      return;
    }
    const {playing, rate} = this;
    this.preparing = true;
    this.proxy = new ProxySource(this.video, this.base, this.signal, {
      extent: this.extent,
      onbusy: (busy) => this.awaitProxy(busy),
      // A seek to what the element did not have yet has stopped at its end.
      onextended: () => this.playing || this.video.currentTime >= this.position || this.place(this.position),
      onfailed: (error) => this.useServerFrames(error),
    });
    this.showNote(t("This browser cannot play the recording itself. A proxy is being prepared; clips are cut from the recording."));
    this.showFrame();
    try {
      const {proxy} = this;
      const {width, height} = await this.reconnection.whenReadable(() => proxy.start());
      if (this.signal.aborted) return;
      this.proxyNote = proxyNote(this.hasPicture ? Math.min(width ?? 0, height ?? 0) : null);
      if (this.following) {
        this.follow();
        return;
      }
      this.seek(this.position);
      if (playing) this.play(rate);
    } catch (error) {
      if (!this.signal.aborted) this.useServerFrames(error);
    }
  }

  /**
   * While the proxy has no frame at the position, show it as a picture. During playback the last one stays.
   *
   * @param {boolean} busy
   */
  awaitProxy(busy) {
    this.node.toggleAttribute("aria-busy", busy && (this.playing || !this.proxy?.beyond));
    clearTimeout(this.waitTimer);
    if (busy && !this.playing) this.waitTimer = setTimeout(() => this.proxy?.waiting && this.showFrame(), WAIT_MS);
  }

  proxyShown() {
    if (!this.proxy || this.usesFrames || this.video.seeking || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    clearTimeout(this.waitTimer);
    this.frames.hide();
    if (!this.preparing || !this.proxyNote) return;
    this.preparing = false;
    this.showNote(this.proxyNote);
  }

  /** @param {any} [error] */
  useServerFrames(error) {
    if (this.usesFrames) return;
    if (error) console.warn("no proxy:", error.name, error.message);
    this.proxy?.stop();
    this.usesFrames = true;
    this.rate = 0;
    this.video.hidden = true;
    this.showNote(
      this.hasPicture
        ? t("This browser cannot play the recording, so single frames are shown. Clips of it will play.")
        : t("This browser cannot play the recording. Clips of it will play."),
    );
    this.showFrame();
    this.emit("state");
  }

  showFrame() {
    if (this.hasPicture && !this.signal.aborted) this.frames.show(this.position);
  }

  /** @param {"time" | "state"} name */
  emit(name) {
    this.dispatchEvent(new Event(name));
  }
}
