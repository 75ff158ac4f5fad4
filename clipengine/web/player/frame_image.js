// Exact frames made by the server, as a picture over the video.

import {h} from "../lib/dom.js";

const WIDTH = 1280;

export class FrameImage {
  // `path` is that of the recording. `onbusy(busy)` is called when a frame is requested, and when the last one has arrived.
  constructor(path, signal, onbusy) {
    Object.assign(this, {path, onbusy, wanted: null, loading: null});
    this.node = h("img", {alt: "", hidden: true});
    this.node.addEventListener("load", () => this.settle(false), {signal});
    this.node.addEventListener("error", () => this.settle(true), {signal});
    signal.addEventListener("abort", () => this.node.removeAttribute("src"));
  }

  // Load the frame at a time, and show it then. One is loaded at a time; of those wanted meanwhile only the latest counts.
  show(time) {
    if (this.wanted === time) return;
    this.wanted = time;
    if (this.loading === null) this.load();
  }

  hide() {
    this.wanted = null;
    this.node.hidden = true;
  }

  load() {
    this.loading = this.wanted;
    this.onbusy(true);
    this.node.src = `${this.path}/frame?at=${this.loading.toFixed(6)}&width=${WIDTH}`;
  }

  settle(failed) {
    const {loading, wanted} = this;
    this.loading = null;
    if (wanted !== null && wanted !== loading) {
      this.load();
      return;
    }
    this.node.hidden = failed || wanted === null;
    this.onbusy(false);
  }
}
