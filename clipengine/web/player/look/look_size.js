// The size of a clip with another shape: that of the recording's picture, or one that services take.

import {h} from "../../lib/dom.js";
import {rich, t} from "../../lib/texts.js";
import {line, select} from "./look_controls.js";

/** @import {Framing} from "./crop_frame.js" */
/** @import {ClipOutput} from "./look.js" */

/** @type {Record<string, [width: number, height: number]>} by shape */
const SERVICES = {"9:16": [1080, 1920], "1:1": [1080, 1080], "4:5": [1080, 1350], "16:9": [1920, 1080]};
const USUAL = "service";

/**
 * @param {number} width
 * @param {number} height
 */
const shown = (width, height) => `${width} × ${height}`; // without a separator of thousands

export class SizeChoice {
  /** @param {() => void} onchange is called when the size of the recording is chosen in the note */
  constructor(onchange) {
    this.control = select(
      [
        ["", t("Not scaled up")],
        [USUAL, ""],
      ],
      "",
    );
    this.note = h("p", {class: "note muted small", hidden: true});
    this.line = line(t("Size"), this.control);
    this.nodes = [this.line, this.note];
    this.onchange = onchange;
  }

  /**
   * @param {string} shape
   * @returns {ClipOutput}
   */
  output(shape) {
    if (this.control.value !== USUAL) return {};
    const [width, height] = SERVICES[shape];
    return {size: {width, height, enlarge: true}};
  }

  /**
   * Return the value of the control for stored options, which may have a size that it does not have.
   *
   * @param {ClipOutput} output
   */
  valueOf({aspect, size}) {
    const [width, height] = SERVICES[aspect ?? ""] ?? [];
    return !size ? "" : size.width === width && size.height === height && size.enlarge ? USUAL : "other";
  }

  /** @param {string} shape */
  draw(shape) {
    this.line.hidden = !(shape in SERVICES);
    if (this.line.hidden) {
      this.control.value = "";
      this.note.hidden = true;
    } else this.control.options[1].text = shown(...SERVICES[shape]);
  }

  /**
   * Say from which size the picture is scaled up.
   *
   * @param {Framing | null} framing
   */
  show(framing) {
    const [width, height] = framing ? [framing.region.width, framing.region.height] : [0, 0];
    const enlarged = framing !== null && (framing.inner.width > width + 1 || framing.inner.height > height + 1);
    this.note.hidden = !enlarged || this.control.value !== USUAL;
    if (this.note.hidden) return;
    const size = shown(width, height);
    const choose = () => {
      this.control.value = "";
      this.onchange();
      this.control.focus();
    };
    this.note.replaceChildren(
      ...rich("Scaled up from {size}. Sharper: {choice}", {size, choice: h("button", {type: "button", class: "link small", onclick: choose}, size)}),
    );
  }
}
