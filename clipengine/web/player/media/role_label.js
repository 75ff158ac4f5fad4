// The label over the picture that says what the shown frame is for the clip.

import {h, setText} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";

/** @import {Player} from "./player.js" */

const ROLE_TEXTS = {
  first: t("In: the clip’s first frame"),
  last: t("The clip’s last frame"),
  after: t("Out: the first frame after the clip"),
  end: t("Out: the recording’s end"),
};

/** @param {Player} player */
export function roleLabel(player) {
  const {selection, signal} = player;
  const label = h("p", {class: "role", hidden: true});
  const update = () => {
    const role = player.hasPicture && !player.playing ? selection.roleOf(player.position) : "";
    label.hidden = !role;
    if (role) setText(label, ROLE_TEXTS[role]);
  };
  player.addEventListener("time", update);
  selection.addEventListener("change", update, {signal});
  return label;
}
