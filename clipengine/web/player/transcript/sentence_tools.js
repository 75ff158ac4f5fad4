// The buttons of the sentence under the mouse, in the margin of the line in which it ends.

import {h, iconButton, targetOf} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";

const REST_MS = 200; // on another sentence, on the way to the buttons

/**
 * `onadd(row)` and `onedit(row)` are called with the row of the sentence.
 *
 * @param {HTMLElement} list of the sentences
 * @param {{onadd: (row: HTMLElement) => void, onedit: (row: HTMLElement) => void}} options
 */
export function sentenceTools(list, {onadd, onedit}) {
  /** @param {(row: HTMLElement) => void} run */
  const withRow = (run) => () => {
    const row = node.closest("li");
    if (row) run(row);
  };
  const node = h(
    "span",
    {class: "sentence-tools"},
    iconButton("plus", t("Add this sentence to the segments"), withRow(onadd), {tabindex: "-1"}),
    iconButton("pencil", t("Edit this sentence (F2)"), withRow(onedit), {tabindex: "-1"}),
  );
  let x = 0; // of the mouse
  /** @type {number | undefined} */
  let timer;

  // Return true if the mouse moves along the line to the buttons; other sentences may lie between.
  /** @param {PointerEvent} event */
  function approaches({clientX, clientY}) {
    const {top, height} = node.firstElementChild?.getBoundingClientRect() ?? new DOMRect();
    return node.isConnected && clientX > x && clientY >= top && clientY <= top + height;
  }

  list.addEventListener("pointermove", (event) => {
    const text = targetOf(event).closest("p");
    const onway = approaches(event);
    x = event.clientX;
    if (event.pointerType !== "mouse") return;
    clearTimeout(timer);
    if (!text || text.nextElementSibling === node) return;
    if (onway) timer = setTimeout(() => text.after(node), REST_MS);
    else text.after(node);
  });
  list.addEventListener("pointerleave", () => {
    clearTimeout(timer);
    node.remove();
  });
}
