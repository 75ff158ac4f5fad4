// Menus that buttons open.

import {byKey, find, findAll, h, icon, iconButton} from "./dom.js";
import {toastError} from "./toasts.js";

/** @import {IconName} from "./dom.js" */
/** @typedef {{text: string, icon: IconName, run: () => unknown, keys?: string, lang?: string, danger?: boolean} | false} MenuItem or nothing */

/**
 * A button that opens a menu. Arrow keys move; Escape closes it and restores the focus.
 *
 * @param {string} label
 * @param {IconName} name
 * @param {() => MenuItem[]} items
 */
export function menuButton(label, name, items) {
  const button = iconButton(name, label, () => (menu ? close() : open()), {"aria-haspopup": "menu", "aria-expanded": "false"});
  /** @type {HTMLElement | null} */
  let menu = null;
  const close = () => {
    if (!menu) return;
    menu.remove();
    menu = null;
    button.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    removeEventListener("scroll", onscroll, true);
    removeEventListener("hashchange", close);
    removeEventListener("resize", close);
  };
  /** @param {Event} event */
  const outside = (event) => {
    const inside = event.target instanceof Node && [menu, button].some((node) => node?.contains(/** @type {Node} */ (event.target)));
    if (!inside) close();
  };
  let top = 0; // of the button, when the menu was opened
  const onscroll = () => button.getBoundingClientRect().top === top || close();
  /** @param {KeyboardEvent} event */
  const onkeydown = (event) => {
    const entries = menu ? findAll(menu, "button") : [];
    const at = entries.findIndex((entry) => entry === document.activeElement);
    const move = byKey(event, {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1});
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
    } else if (move === undefined) return;
    else entries[(move + entries.length) % entries.length].focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const open = () => {
    const box = button.getBoundingClientRect();
    top = box.top;
    const shown = h(
      "div",
      {class: "menu", role: "menu", "aria-label": label, onkeydown},
      items()
        .filter((item) => item !== false)
        .map(({text, keys, lang, icon: image, run, danger}) =>
          h(
            "button",
            {
              type: "button",
              role: "menuitem",
              lang,
              class: danger ? "quiet danger" : "quiet",
              onclick: () => {
                close();
                button.focus();
                Promise.resolve(run()).catch(toastError);
              },
            },
            icon(image),
            text,
            keys ? h("kbd", {"aria-hidden": "true"}, keys) : null,
          ),
        ),
    );
    menu = shown;
    (button.closest("main, dialog") ?? document.body).append(shown);
    shown.style.left = `${Math.max(8, Math.min(box.right - shown.offsetWidth, innerWidth - shown.offsetWidth - 8))}px`;
    const below = box.bottom + shown.offsetHeight + 8 <= floor();
    shown.style.top = `${below ? box.bottom + 4 : Math.max(8, Math.min(box.top, floor()) - shown.offsetHeight - 4)}px`;
    button.setAttribute("aria-expanded", "true");
    find(shown, "button")?.focus();
    addEventListener("pointerdown", outside, true);
    addEventListener("scroll", onscroll, true);
    addEventListener("hashchange", close);
    addEventListener("resize", close);
  };
  return button;
}

/** Return the lower edge of the room for menus: the window's, or that of a bar at its bottom. */
function floor() {
  const bars = findAll(document, "[data-floor]").filter((node) => getComputedStyle(node).position === "fixed");
  return Math.min(innerHeight, ...bars.map((node) => node.getBoundingClientRect().top));
}
