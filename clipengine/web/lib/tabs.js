// Tabs as in the ARIA practices: one tab stop, arrow keys move and select.

import {byKey, h} from "./dom.js";

/** @typedef {{id: string, text: Children, node: HTMLElement, onshow?: () => void}} Tab */

/**
 * Show the first tab. Returns the list of tabs, their panels, and `select(id)`.
 *
 * @param {string} label
 * @param {Tab[]} tabs
 */
export function tabList(label, tabs) {
  const buttons = tabs.map(({id, text, node}, at) => {
    const button = h("button", {type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, onclick: () => show(at)}, text);
    Object.assign(node, {id: `panel-${id}`});
    node.setAttribute("role", "tabpanel");
    node.setAttribute("aria-labelledby", button.id);
    return button;
  });

  /** @param {number} chosen */
  function show(chosen) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === chosen));
      button.tabIndex = at === chosen ? 0 : -1;
      tabs[at].node.hidden = at !== chosen;
    });
    tabs[chosen].onshow?.();
  }

  const node = h(
    "div",
    {
      class: "tabs",
      role: "tablist",
      "aria-label": label,
      onkeydown: (event) => {
        const at = buttons.findIndex((button) => button === event.target);
        const next = byKey(event, {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1});
        if (at < 0 || next === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        const chosen = (next + buttons.length) % buttons.length;
        show(chosen);
        buttons[chosen].focus();
      },
    },
    buttons,
  );
  show(0);
  /** @param {string} id */
  const select = (id) => show(tabs.findIndex((tab) => tab.id === id));
  return {node, select, panels: tabs.map((tab) => tab.node)};
}
