// The shapes of a clip's picture, and their buttons in the form.

import {h, icon} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";

/** @import {IconName} from "../../lib/dom.js" */
/** @import {Look} from "./look.js" */

/** @type {{aspect: string, text: string, image: IconName}[]} */
const BUTTONS = [
  {aspect: "", text: t("As recorded"), image: "shapeOriginal"},
  {aspect: "9:16", text: "9:16", image: "shape9x16"},
  {aspect: "1:1", text: "1:1", image: "shape1x1"},
  {aspect: "4:5", text: "4:5", image: "shape4x5"},
];

/** @type {[value: string, text: string][]} */
export const SHAPES = [
  ["", t("As recorded")],
  ["9:16", t("9:16 upright")],
  ["1:1", t("1:1 square")],
  ["4:5", t("4:5 upright")],
  ["16:9", t("16:9 wide")],
];

/**
 * Return the shape after this one.
 *
 * @param {string} aspect
 */
export const nextShape = (aspect) => BUTTONS[(BUTTONS.findIndex((each) => each.aspect === aspect) + 1) % BUTTONS.length].aspect;

/**
 * `onlook()` shows the options of the crop.
 *
 * @param {Look} look
 * @param {() => void} onlook
 */
export function shapeChoice(look, onlook) {
  /** @param {string} aspect */
  const choose = (aspect) => {
    look.setShape(aspect);
    if (aspect) onlook();
  };
  const buttons = BUTTONS.map(({aspect, text, image}) =>
    h("button", {type: "button", title: text, "aria-label": text, onclick: () => choose(aspect)}, icon(image)),
  );
  const node = h("div", {class: "choice shapes", role: "group", "aria-label": t("Shape of the clip"), hidden: !look.hasPicture}, buttons);
  const draw = () => {
    for (const [at, button] of buttons.entries()) button.setAttribute("aria-pressed", String(BUTTONS[at].aspect === look.shape));
  };
  return {node, draw};
}
