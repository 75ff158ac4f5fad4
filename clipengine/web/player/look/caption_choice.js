// The style of captions in Look: three cards, the size of the text, and its height.

import {findAll, h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {line, select} from "./look_controls.js";

/** @typedef {NonNullable<NonNullable<Sent<"post", `/v1/recordings/${string}/clips`>["subtitles"]>["style"]>} CaptionStyle */

/** @type {[value: NonNullable<CaptionStyle["name"]>, text: string][]} */
const STYLES = [
  ["outline", t("Outline")],
  ["box", t("Box")],
  ["word", t("Word")],
];
/** @type {[value: string, text: string][]} */
const SIZES = [
  ["0.04", t("Small")],
  ["", t("Medium")],
  ["0.08", t("Large")],
];
/** @type {[value: string, text: string][]} */
const HEIGHTS = [
  ["", t("Above the buttons")],
  ["0.03", t("At the bottom")],
  ["0.4", t("In the middle")],
];

export class CaptionChoice {
  /** @param {() => void} onchange */
  constructor(onchange) {
    this.name = h("input", {type: "hidden", value: STYLES[0][0]});
    this.size = select(SIZES, "");
    this.height = select(HEIGHTS, "");
    /** @type {CaptionStyle} what other programs have stored, which stays until it is chosen here */
    this.others = {};
    this.cards = h(
      "div",
      {class: "styles", role: "group", "aria-label": t("Style of the captions")},
      STYLES.map(([value, text]) =>
        h(
          "button",
          {
            type: "button",
            value,
            class: value,
            onclick: () => {
              this.name.value = value;
              onchange();
            },
          },
          h("span", {}, text),
        ),
      ),
    );
    this.size.addEventListener("input", () => delete this.others.size);
    this.height.addEventListener("input", () => delete this.others.height);
    this.nodes = [this.cards, line(t("Text"), this.size), line(t("Height"), this.height)];
  }

  get controls() {
    return [this.name, this.size, this.height];
  }

  /** @param {HTMLInputElement | HTMLSelectElement} control */
  plain(control) {
    return control === this.name ? STYLES[0][0] : "";
  }

  /** @returns {CaptionStyle} */
  get value() {
    const name = /** @type {CaptionStyle["name"]} */ (this.name.value);
    const [size, height] = [this.size.value, this.height.value];
    return {...this.others, name, ...(size ? {size: Number(size)} : {}), ...(height ? {height: Number(height)} : {})};
  }

  /** @param {CaptionStyle | null | undefined} style */
  restore(style) {
    const {name, ...others} = style ?? {};
    this.name.value = name ?? STYLES[0][0];
    this.others = others;
    for (const [control, key] of /** @type {[HTMLSelectElement, "size" | "height"][]} */ ([
      [this.size, "size"],
      [this.height, "height"],
    ])) {
      const value = String(others[key] ?? "");
      const known = [...control.options].some((option) => option.value === value);
      control.value = known ? value : "";
      if (known) delete others[key];
    }
  }

  clear() {
    this.others = {};
  }

  /** @param {boolean} shown */
  draw(shown) {
    for (const node of this.nodes) node.hidden = !shown;
    for (const button of findAll(this.cards, "button")) button.setAttribute("aria-pressed", String(button.getAttribute("value") === this.name.value));
  }
}
