// The proxy of a recording as the source of a media element: segments around the position are fetched and appended to a
// MediaSource. Browsers without one, such as older iPhones, play its playlist.

import {get} from "../lib/api.js";

const Source = self.MediaSource || self.ManagedMediaSource;
const PLAYLIST = "application/vnd.apple.mpegurl";
const SLACK = 0.3; // seconds by which the frames and the audio of a segment may begin before or after its start
const SEGMENTS_AHEAD = 2; // while playing, for each doubling of the speed; one while paused
const KEPT_SECONDS = 60; // on both sides of the position
const RETRY_MS = 2000;

export class ProxySource {
  // `path` is that of the recording. `onbusy(busy)` is called when the position is waited for, and `onfailed(error)` if the
  // proxy cannot be played.
  constructor(video, path, signal, {onbusy, onfailed}) {
    Object.assign(this, {video, path, onbusy, onfailed});
    this.stopped = new AbortController();
    signal.addEventListener("abort", () => this.stop(), {signal: this.stopped.signal});
    this.request = null; // {number, abort} of the segment that is being fetched
  }

  // Make the proxy the source of the element, and return its description.
  async start() {
    const {signal} = this.stopped;
    this.description = await get(`${this.path}/proxy`, {signal});
    if (Source && Source.isTypeSupported(this.description.content_type)) await this.open(signal);
    else if (this.video.canPlayType(PLAYLIST)) this.video.src = `${this.path}/proxy.m3u8`;
    else throw new DOMException("proxy", "NotSupportedError");
    return this.description;
  }

  async open(signal) {
    const {video, description} = this;
    const init = await this.fetchPart("init.mp4", signal);
    this.source = new Source();
    this.url = URL.createObjectURL(this.source);
    const opened = new Promise((resolve) => this.source.addEventListener("sourceopen", resolve, {once: true}));
    video.disableRemotePlayback = true; // ManagedMediaSource requires it
    video.src = this.url;
    await opened;
    this.buffer = this.source.addSourceBuffer(description.content_type);
    this.source.duration = description.duration_seconds;
    await this.append(init);
    for (const name of ["seeking", "timeupdate", "play", "ratechange"]) video.addEventListener(name, () => this.fill(), {signal});
    this.fill();
  }

  stop() {
    this.stopped.abort();
    clearTimeout(this.retrying);
    if (this.url) URL.revokeObjectURL(this.url);
    this.onbusy(false);
  }

  // True if the frame at the position is not there yet.
  get waiting() {
    return Boolean(this.buffer) && this.needed().some((number) => !this.has(number));
  }

  numberAt(time) {
    const {segments, segment_seconds: seconds} = this.description;
    return Math.min(Math.max(0, Math.floor(time / seconds)), segments - 1);
  }

  // The segment of the position, and its neighbour if the frame may belong to it.
  needed() {
    const {currentTime} = this.video;
    return [...new Set([this.numberAt(currentTime), this.numberAt(currentTime - SLACK)])];
  }

  wanted() {
    const {video, description} = this;
    const last = this.numberAt(video.currentTime);
    const ahead = video.paused ? 1 : SEGMENTS_AHEAD * (1 + Math.log2(Math.max(1, video.playbackRate)));
    return [...this.needed(), ...Array.from({length: ahead}, (_, at) => last + 1 + at).filter((number) => number < description.segments)];
  }

  has(number) {
    const {segment_seconds: seconds, segments, duration_seconds: duration} = this.description;
    const start = number * seconds;
    const end = number === segments - 1 ? duration : start + seconds;
    const slack = Math.min(SLACK, (end - start) / 2);
    const {buffered} = this.buffer;
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

  fail(error) {
    if (this.stopped.signal.aborted) return;
    if (error.retryable) this.retrying = setTimeout(() => this.fill(), RETRY_MS);
    else this.onfailed(error);
  }

  async fetchPart(name, signal) {
    return (await get(`${this.path}/proxy/${name}`, {signal, as: "blob"})).arrayBuffer();
  }

  async append(data) {
    await this.update(() => this.buffer.appendBuffer(data));
  }

  // Remove what is far from the position.
  async evict() {
    const {currentTime} = this.video;
    const {buffered} = this.buffer;
    if (!buffered.length) return;
    const from = Math.max(0, currentTime - KEPT_SECONDS);
    if (buffered.start(0) < from) await this.update(() => this.buffer.remove(0, from));
    const to = currentTime + KEPT_SECONDS;
    if (this.buffer.buffered.length && this.buffer.buffered.end(this.buffer.buffered.length - 1) > to)
      await this.update(() => this.buffer.remove(to, Infinity));
  }

  // Start an operation of the buffer and wait until it ends.
  async update(operation) {
    const {buffer} = this;
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
    const last = this.description.segments - 1;
    if (this.source.readyState === "open" && this.numberAt(this.video.currentTime) === last && this.has(last)) this.source.endOfStream();
  }
}
