// Tabs as in the ARIA practices: one tab stop, arrow keys move and select.

import {h} from "./dom.js";

// Each tab is {id, text, node, onshow}; `text` may be a node. The first one is shown. Returns the list of tabs and `select(id)`.
export function tabList(label, tabs) {
  const buttons = tabs.map(({id, text, node, onshow = () => {}}, at) => {
    const button = h("button", {type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, onclick: () => show(at)}, text);
    Object.assign(node, {id: `panel-${id}`});
    node.setAttribute("role", "tabpanel");
    node.setAttribute("aria-labelledby", button.id);
    button.shown = onshow;
    return button;
  });

  function show(chosen) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === chosen));
      button.tabIndex = at === chosen ? 0 : -1;
      tabs[at].node.hidden = at !== chosen;
    });
    buttons[chosen].shown();
  }

  const node = h(
    "div",
    {
      class: "tabs",
      role: "tablist",
      "aria-label": label,
      onkeydown: (event) => {
        const at = buttons.indexOf(event.target);
        const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1}[event.key];
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
  return {node, select: (id) => show(tabs.findIndex((tab) => tab.id === id))};
}
