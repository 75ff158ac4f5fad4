// The blurred picture behind the picture of a clip with bars, as the engine makes it: a small copy that fills the clip.

import {h} from "../../lib/dom.js";

/** @import {Framing} from "./crop_frame.js" */
/** @import {Player} from "../media/player.js" */

const SHORT_SIDE = 48; // of the small copy, in pixels
const SIGMA = 2; // of its blur

export class BlurredBars {
  /** @param {{player: Player, signal: AbortSignal}} options */
  constructor({player, signal}) {
    this.player = player;
    /** @type {Framing | null} of a clip with blurred bars */
    this.framing = null;
    this.node = h("canvas", {class: "bars-fill", "aria-hidden": "true", hidden: true});
    player.picture.prepend(this.node);
    const {video, frames} = player;
    player.addEventListener("time", () => this.draw());
    for (const name of ["loadeddata", "seeked"]) video.addEventListener(name, () => this.draw(), {signal});
    frames.node.addEventListener("load", () => this.draw(), {signal});
  }

  /** @param {Framing | null} framing of a clip with blurred bars */
  show(framing) {
    this.framing = framing;
    this.node.hidden = !framing;
    if (!framing) return;
    const scale = SHORT_SIDE / Math.min(framing.width, framing.height);
    this.node.width = Math.round(framing.width * scale);
    this.node.height = Math.round(framing.height * scale);
    this.draw();
  }

  draw() {
    const {framing, node, player} = this;
    const context = framing && node.getContext("2d");
    if (!context) return;
    const image = player.frames.node;
    const shown = image.hidden ? player.video : image;
    const [width, height] = shown instanceof HTMLVideoElement ? [shown.videoWidth, shown.videoHeight] : [image.naturalWidth, image.naturalHeight];
    if (!width || !height || shown instanceof HTMLAudioElement) return;
    const {region, recording} = framing;
    const [across, down] = [width / recording.width, height / recording.height];
    const ratio = framing.inner.width / framing.inner.height;
    const [wide, high] = node.width / node.height > ratio ? [node.width, node.width / ratio] : [node.height * ratio, node.height];
    /** @type {[number, number, number, number]} */
    const part = [region.x * across, region.y * down, region.width * across, region.height * down];
    for (const filter of ["none", `blur(${SIGMA}px)`]) {
      context.filter = filter; // first without: at the edges, the blurred copy is transparent
      context.drawImage(/** @type {CanvasImageSource} */ (shown), ...part, (node.width - wide) / 2, (node.height - high) / 2, wide, high);
    }
  }
}
