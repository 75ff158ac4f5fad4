// The proxy of a recording as the source of a media element: segments around the position are fetched and appended to a
// MediaSource. Browsers without one, such as older iPhones, play its playlist.

import {get, request} from "../../lib/api.js";
import {t} from "../../lib/texts.js";

/** @type {typeof MediaSource | undefined} */
const Source = self.MediaSource || /** @type {any} */ (self).ManagedMediaSource;
const PLAYLIST = "application/vnd.apple.mpegurl";
const SLACK = 0.3; // seconds by which the frames and the audio of a segment may begin before or after its start
const SEGMENTS_AHEAD = 2; // while playing, for each doubling of the speed; one while paused
const KEPT_SECONDS = 60; // on both sides of the position
const LEAST_SECONDS = 4; // when the buffer is full
const RETRY_MS = 2000;

/** @import {Extent} from "../../store/session.js" */
/** @typedef {{source: MediaSource, buffer: SourceBuffer, description: ProxyDescription}} Opened */

export class ProxySource {
  /**
   * `path` is that of the recording. `onbusy(busy)` is called when the position is
   * waited for, `onextended()` when the element can seek to what the recording has gained, and `onfailed(error)` if the
   * proxy cannot be played.
   *
   * @param {HTMLMediaElement} video
   * @param {`/v1/recordings/${string}`} path
   * @param {AbortSignal} signal
   * @param {{extent: Extent, onbusy: (busy: boolean) => void, onextended: () => void, onfailed: (error: any) => void}} options
   */
  constructor(video, path, signal, {extent, onbusy, onextended, onfailed}) {
    this.video = video;
    this.extent = extent;
    this.growing = extent.growing; // as the recording was when its description was requested
    this.path = path;
    this.onbusy = onbusy;
    this.onextended = onextended;
    this.onfailed = onfailed;
    this.stopped = new AbortController();
    signal.addEventListener("abort", () => this.stop(), {signal: this.stopped.signal});
    /** @type {{number: number, abort: () => void} | null} of the segment that is being fetched */
    this.request = null;
    this.filling = false;
    this.url = "";
    /** @type {number | undefined} */
    this.retrying = undefined;
    this.grown = false; // true if the recording has grown since its description was requested
    this.refreshing = false;
    /** @type {Opened | null} */
    this.opened = null;
  }

  // Make the proxy the source of the element, and return its description.
  async start() {
    const {signal} = this.stopped;
    const description = await get(`${this.path}/proxy`, {signal});
    if (Source?.isTypeSupported(description.content_type)) await this.open(new Source(), description);
    else if (this.video.canPlayType(PLAYLIST)) this.video.src = `${this.path}/proxy.m3u8`;
    else throw new DOMException("proxy", "NotSupportedError");
    return description;
  }

  /**
   * @param {MediaSource} source
   * @param {ProxyDescription} description
   */
  async open(source, description) {
    const {video} = this;
    const {signal} = this.stopped;
    const init = await this.fetchPart("init.mp4", signal);
    this.url = URL.createObjectURL(source);
    const opened = new Promise((resolve) => {
      source.addEventListener("sourceopen", resolve, {once: true});
    });
    video.disableRemotePlayback = true; // ManagedMediaSource requires it
    video.src = this.url;
    await opened;
    this.opened = {source, description, buffer: source.addSourceBuffer(description.content_type)};
    source.duration = description.duration_seconds;
    await this.append(init);
    if (this.grown) this.refresh();
    for (const name of ["seeking", "timeupdate", "play", "ratechange"]) video.addEventListener(name, () => this.fill(), {signal});
    this.fill();
  }

  stop() {
    this.stopped.abort();
    clearTimeout(this.retrying);
    if (this.url) URL.revokeObjectURL(this.url);
    this.onbusy(false);
  }

  // Play what a recording has gained, or all of one that has ended.
  grow() {
    this.grown = true;
    if (this.opened) this.refresh();
  }

  // Request the description again. Until it is there, a recording that has ended is played as one that grows.
  async refresh() {
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      while (this.grown) {
        const {growing} = this.extent;
        this.grown = false;
        this.media.description = await get(`${this.path}/proxy`, {signal: this.stopped.signal});
        this.growing = growing;
      }
    } catch (error) {
      this.grown = true;
      this.fail(error);
      return;
    } finally {
      this.refreshing = false;
    }
    await this.fill();
  }

  // The media source takes a duration only while nothing is appended.
  extend() {
    const {source, buffer, description} = this.media;
    if (buffer.updating || source.readyState !== "open" || description.duration_seconds <= source.duration) return;
    source.duration = description.duration_seconds;
    this.onextended();
  }

  get media() {
    if (!this.opened) throw new TypeError("the proxy is not open");
    return this.opened;
  }

  // The end of the segments that can be played.
  get end() {
    const {segments, segment_seconds: seconds, duration_seconds: duration} = this.media.description;
    return this.growing ? segments * seconds : duration;
  }

  // True if the position is in what is recorded, but not in a segment yet.
  get beyond() {
    return this.opened !== null && this.growing && this.video.currentTime >= this.end;
  }

  // True if the frame at the position is not there yet.
  get waiting() {
    return this.opened !== null && this.needed().some((number) => !this.has(number));
  }

  /** @param {number} time */
  numberAt(time) {
    const {segments, segment_seconds: seconds} = this.media.description;
    const number = Math.max(0, Math.floor(time / seconds));
    return this.growing ? number : Math.min(number, segments - 1);
  }

  // The segment of the position, and its neighbour if the frame may belong to it.
  needed() {
    const {currentTime} = this.video;
    return [...new Set([this.numberAt(currentTime), this.numberAt(currentTime - SLACK)])];
  }

  wanted() {
    const {video} = this;
    const {description} = this.media;
    const last = this.numberAt(video.currentTime);
    const ahead = video.paused ? 1 : SEGMENTS_AHEAD * (1 + Math.log2(Math.max(1, video.playbackRate)));
    return [...this.needed(), ...Array.from({length: ahead}, (_, at) => last + 1 + at)].filter((number) => number < description.segments);
  }

  /** @param {number} number */
  has(number) {
    const {segment_seconds: seconds, segments, duration_seconds: duration} = this.media.description;
    const start = number * seconds;
    const end = number === segments - 1 && !this.growing ? duration : start + seconds;
    const slack = Math.min(SLACK, (end - start) / 2);
    const {buffered} = this.media.buffer;
    return Array.from({length: buffered.length}, (_, at) => at).some((at) => buffered.start(at) <= start + slack && buffered.end(at) >= end - slack);
  }

  // Fetch what is missing, one segment after the other. A request for a segment that is not wanted any more is cancelled.
  async fill() {
    if (this.stopped.signal.aborted) return;
    this.onbusy(this.waiting);
    if (this.filling) {
      if (this.request && !this.wanted().includes(this.request.number)) this.request.abort();
      return;
    }
    this.filling = true;
    try {
      for (;;) {
        this.extend();
        const number = this.wanted().find((each) => !this.has(each));
        if (number === undefined) break;
        await this.load(number);
        this.onbusy(this.waiting);
      }
      this.endStream();
    } catch (error) {
      this.fail(error);
    } finally {
      this.filling = false;
    }
  }

  /** @param {number} number */
  async load(number) {
    const controller = new AbortController();
    this.request = {number, abort: () => controller.abort()};
    try {
      const data = await this.fetchPart(`${number}.m4s`, AbortSignal.any([controller.signal, this.stopped.signal]));
      this.request = null;
      await this.evict();
      await this.append(data);
      if (!this.has(number)) throw new DOMException(`segment-${number}`, "DataError");
    } catch (error) {
      if (!controller.signal.aborted || this.stopped.signal.aborted) throw error;
    } finally {
      this.request = null;
    }
  }

  /** @param {any} error */
  fail(error) {
    if (this.stopped.signal.aborted) return;
    if (error.retryable) this.retrying = setTimeout(() => (this.grown ? this.refresh() : this.fill()), RETRY_MS);
    else this.onfailed(error);
  }

  /**
   * @param {string} name
   * @param {AbortSignal} signal
   */
  async fetchPart(name, signal) {
    /** @type {Blob} */
    const blob = await request("GET", `${this.path}/proxy/${name}`, {signal, as: "blob"});
    return blob.arrayBuffer();
  }

  /** @param {ArrayBuffer} data */
  async append(data) {
    for (let kept = KEPT_SECONDS / 2; ; kept /= 2) {
      try {
        await this.update(() => this.media.buffer.appendBuffer(data));
        return;
      } catch (error) {
        if (error.name !== "QuotaExceededError" || kept < LEAST_SECONDS) throw error;
        await this.evict(kept);
      }
    }
  }

  /**
   * Remove what is further from the position.
   *
   * @param {number} kept in seconds
   */
  async evict(kept = KEPT_SECONDS) {
    const {currentTime} = this.video;
    const {buffered} = this.media.buffer;
    if (!buffered.length) return;
    const from = Math.max(0, currentTime - kept);
    const {buffer} = this.media;
    if (buffered.start(0) < from) await this.update(() => buffer.remove(0, from));
    const to = currentTime + kept;
    if (buffer.buffered.length && buffer.buffered.end(buffer.buffered.length - 1) > to) await this.update(() => buffer.remove(to, Infinity));
  }

  /**
   * Start an operation of the buffer and wait until it ends.
   *
   * @param {() => void} operation
   */
  async update(operation) {
    const {buffer} = this.media;
    const over = new AbortController();
    const ended = new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", resolve, {signal: over.signal});
      buffer.addEventListener("error", () => reject(new DOMException("proxy", "EncodingError")), {signal: over.signal});
    });
    try {
      operation();
      await ended;
    } finally {
      over.abort();
    }
  }

  // Without it, playback never ends.
  endStream() {
    const {source, description} = this.media;
    const last = description.segments - 1;
    if (this.growing) return;
    if (source.readyState === "open" && this.numberAt(this.video.currentTime) === last && this.has(last)) source.endOfStream();
  }
}

/**
 * Say that a proxy is shown or played, and that clips are cut from the recording.
 *
 * @param {number | null} lines of its pictures; null without pictures
 */
export function proxyNote(lines) {
  return lines === null
    ? t("This browser cannot play the recording itself. A proxy is played; clips are cut from the recording.")
    : t("This browser cannot play the recording itself. A proxy of {lines}p is shown; clips are cut from the recording.", {lines: String(lines)});
}
