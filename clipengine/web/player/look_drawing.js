// The part of Look about what is drawn in the picture: blurred boxes, a watermark and fades.

import {announce, h, icon, iconButton} from "../lib/dom.js";
import {formatNumber, t} from "../lib/texts.js";
import {toast} from "../lib/ui.js";
import {line, select} from "./look_controls.js";

/** @import {ClipOutput} from "./look.js" */
/** @typedef {NonNullable<ClipOutput["blur"]>[number]} AnyBox */
/** @typedef {Extract<AnyBox, {x: number}>} Box that does not move, in fractions of the picture */

const FADES = [0.5, 1, 2];
const MAX_BOXES = 50; // of a request
const NEW_BOX = {x: 0.4, y: 0.4, width: 0.2, height: 0.2};
const SHIFT = 0.05; // between boxes that are added at the same place

/** @param {AnyBox} box @returns {box is Box} */
export const isStill = (box) => "x" in box;

export class DrawingChoice {
  /**
   * `onchange(name)` is called when an option was changed here, `onadded(number)` when a box was added.
   *
   * @param {{watermarks: Watermark[], onchange: (name: string) => void, onadded: (number: number) => void}} options
   */
  constructor({watermarks, onchange, onadded}) {
    this.onchange = onchange;
    /** @type {AnyBox[]} */
    this.boxes = [];
    this.watermark = select([["", t("No watermark")], ...watermarks.map(({name}) => /** @type {[string, string]} */ ([name, name]))], "");
    this.fade = select(
      [
        ["", t("No fade")],
        ...FADES.map((each) => /** @type {[string, string]} */ ([String(each), t("{seconds} s", {seconds: formatNumber(each, each % 1 ? 1 : 0)})])),
      ],
      "",
    );
    const add = () => {
      const place = NEW_BOX.x + ((SHIFT * this.boxes.length) % 0.4);
      this.setBoxes([...this.boxes, {...NEW_BOX, x: place}]);
      onadded(this.boxes.length - 1);
    };
    this.add = h("button", {type: "button", class: "quiet", onclick: add}, icon("plus"), t("Add a box"));
    this.list = h("ul", {class: "blurs", "aria-label": t("Blurred boxes")});
    this.nodes = [
      h("div", {class: "line"}, h("span", {}, t("Blur")), this.add),
      this.list,
      line(t("Watermark"), this.watermark, watermarks.length > 0),
      line(t("Fade"), this.fade),
    ];
  }

  get controls() {
    return [this.watermark, this.fade];
  }

  /** @param {HTMLInputElement | HTMLSelectElement} control */
  optionsOf(control) {
    return [control === this.watermark ? "watermark" : "fade_seconds"];
  }

  /** @param {AnyBox[]} boxes */
  setBoxes(boxes) {
    this.boxes = boxes;
    this.onchange("blur");
  }

  /**
   * @param {number} number
   * @param {Box} box
   */
  move(number, box) {
    this.setBoxes(this.boxes.map((each, at) => (at === number ? box : each)));
  }

  /** @param {number} number */
  remove(number) {
    const before = this.boxes;
    this.setBoxes(before.filter((_, at) => at !== number));
    this.add.focus();
    announce(t("The box was removed"));
    toast(t("The box was removed"), "", {action: {text: t("Undo"), run: () => this.setBoxes(before)}});
  }

  clear() {
    this.boxes = [];
  }

  /**
   * Show the stored boxes. Return the other controls with their values.
   *
   * @param {ClipOutput} output
   * @returns {[HTMLSelectElement, string][]}
   */
  restore(output) {
    this.boxes = [...(output.blur ?? [])];
    return [
      [this.watermark, output.watermark ?? ""],
      [this.fade, String(output.fade_seconds ?? "")],
    ];
  }

  draw() {
    this.add.disabled = this.boxes.length >= MAX_BOXES;
    this.list.hidden = !this.boxes.length;
    this.list.replaceChildren(
      ...this.boxes.map((box, at) => {
        const name = isStill(box) ? t("Box {number}", {number: at + 1}) : t("Box {number}, moving", {number: at + 1});
        return h(
          "li",
          {class: "row"},
          h("span", {class: "grow"}, name),
          iconButton("trash", t("Remove box {number}", {number: at + 1}), () => this.remove(at)),
        );
      }),
    );
  }

  /** @returns {ClipOutput} */
  get output() {
    return {
      ...(this.boxes.length ? {blur: this.boxes} : {}),
      ...(this.watermark.value ? {watermark: this.watermark.value} : {}),
      ...(this.fade.value ? {fade_seconds: Number(this.fade.value)} : {}),
    };
  }
}
