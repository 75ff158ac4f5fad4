// The row of a blurred box in Look, with the points between which it moves.

import {h, iconButton, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {isEdited, isStill, pathOf, shortPlaceWords} from "./boxes.js";
import {PointList} from "./points.js";

/** @import {AnyBox, BoxPoint} from "./boxes.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */

export class BoxRow {
  /**
   * @param {{number: number, times: ShownTimes, ontoggle: () => void, onremove: () => void, onseek: (time: number) => void, onremovepoint: (at: number) => void}} options
   */
  constructor({number, times, ontoggle, onremove, onseek, onremovepoint}) {
    const name = {number: number + 1};
    this.text = t("Box {number}", name);
    this.moving = t("Box {number}, moving", name);
    this.name = h("span", {class: "grow"});
    this.toggle = h("button", {type: "button", class: "quiet small", "aria-label": t("Moves: box {number}", name), onclick: ontoggle}, t("Moves"));
    /** @type {PointList<BoxPoint>} */
    this.points = new PointList({label: t("Points of box {number}", name), times, wordsOf: (point) => shortPlaceWords(point), onseek, onremove: onremovepoint});
    const row = h("div", {class: "row"}, this.name, this.toggle, iconButton("trash", t("Remove box {number}", name), onremove));
    this.node = h("li", {}, row, this.points.node);
  }

  /** @param {AnyBox} box */
  draw(box) {
    const moves = !isStill(box);
    const edited = isEdited(box);
    setText(this.name, edited ? this.text : this.moving);
    this.toggle.hidden = !edited;
    this.toggle.setAttribute("aria-pressed", String(moves));
    this.points.draw(moves ? pathOf(box) : []);
  }
}
