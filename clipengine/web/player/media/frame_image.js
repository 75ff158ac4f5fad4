// Exact frames made by the server, as a picture over the video.

import {h} from "../../lib/dom.js";

const WIDTH = 1280;

export class FrameImage {
  /**
   * `path` is that of the recording. `onbusy(busy)` is called when a frame is requested, and when the last one has arrived.
   *
   * @param {string} path
   * @param {AbortSignal} signal
   * @param {(busy: boolean) => void} onbusy
   */
  constructor(path, signal, onbusy) {
    this.path = path;
    this.onbusy = onbusy;
    /** @type {number | null} */
    this.wanted = null;
    /** @type {number | null} */
    this.loading = null;
    /** @type {number | null} the time of the frame in the picture */
    this.shown = null;
    this.node = h("img", {alt: "", hidden: true});
    this.node.addEventListener("load", () => this.settle(false), {signal});
    this.node.addEventListener("error", () => this.settle(true), {signal});
    signal.addEventListener("abort", () => this.node.removeAttribute("src"));
  }

  /**
   * Load the frame at a time, and show it then. One is loaded at a time; of those wanted meanwhile only the latest counts.
   *
   * @param {number} time
   */
  show(time) {
    if (this.wanted === time) return;
    this.wanted = time;
    if (this.loading === null) this.load(time);
  }

  hide() {
    this.wanted = null;
    this.node.hidden = true;
  }

  /** @param {number} time */
  load(time) {
    this.loading = time;
    this.onbusy(true);
    this.node.src = `${this.path}/frame?at_seconds=${time.toFixed(6)}&width=${WIDTH}`;
  }

  /** @param {boolean} failed */
  settle(failed) {
    const {loading, wanted} = this;
    this.loading = null;
    this.shown = failed ? null : loading;
    if (wanted !== null && wanted !== loading) {
      this.load(wanted);
      return;
    }
    this.node.hidden = failed || wanted === null;
    this.onbusy(false);
  }
}
