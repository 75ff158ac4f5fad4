// What administrators set up, and its log: webhooks with their deliveries, and rules with their batches.

import {h, icon} from "../lib/dom.js";
import {errorState} from "../lib/error_views.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";

const REFRESH_MS = 2000;

/**
 * Show all resources under a button that adds one.
 *
 * @template T
 * @param {HTMLElement} main
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.addText
 * @param {(reload: () => Promise<void>) => unknown} options.add
 * @param {() => Promise<{data: T[]}>} options.ask
 * @param {(item: T, reload: () => Promise<void>) => Node} options.row
 * @param {() => Node} options.empty
 */
export async function showResources(main, {title, addText, add, ask, row, empty}) {
  document.title = `${title} · clipengine`;
  const list = h("ul", {class: "list panel"});
  main.append(
    h(
      "div",
      {class: "head"},
      h("h1", {}, title),
      h("button", {type: "button", class: "primary", onclick: asyncHandler(async () => add(load))}, icon("plus"), addText),
    ),
    list,
  );

  async function load() {
    try {
      const {data} = await ask();
      list.replaceChildren(...(data.length ? data.map((item) => row(item, load)) : [empty()]));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(h("li", {}, errorState(error, load)));
    }
  }
  await load();
}

/**
 * Show one resource with its log, whose newest page is loaded again while the view is open.
 *
 * `drawHead` fills the head with the link back and the resource, `reload` loads the log; with `refreshesHead`, the head
 * is drawn again with the log. `row` returns the node of an entry and the function that updates it.
 *
 * @template T
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 * @param {object} options
 * @param {string} options.title
 * @param {{href: string, text: string}} options.back
 * @param {string} options.logTitle
 * @param {(head: HTMLElement, back: Node, reload: () => Promise<void>) => Promise<void>} options.drawHead
 * @param {boolean} [options.refreshesHead]
 * @param {(cursor: string | null) => Promise<{data: T[], next_cursor: string | null}>} options.ask
 * @param {(entry: T) => string} options.idOf
 * @param {(entry: T, reload: () => Promise<void>) => {node: Node, update: (entry: T) => void}} options.row
 * @param {() => Node} options.empty
 */
export async function showLog(main, signal, {title, back, logTitle, drawHead, refreshesHead = false, ask, idOf, row, empty}) {
  document.title = `${title} · clipengine`;
  const head = h("div", {class: "stack"});
  const list = h("div", {class: "list panel"});
  const after = h("div", {class: "more"});
  /** @type {Map<string, ReturnType<typeof row>>} */
  const rows = new Map(); // id -> row
  /** @type {string | null} */
  let cursor = null;
  main.append(head, h("h2", {class: "sub"}, logTitle), list, after);
  const link = () => h("a", {class: "button quiet square", href: back.href, title: back.text, "aria-label": back.text}, icon("back"));
  const draw = () => drawHead(head, link(), reload);
  const reload = () => load();

  async function load(more = false) {
    const page = await ask(more ? cursor : null);
    if (more || !rows.size) cursor = page.next_cursor;
    const nodes = [];
    for (const entry of page.data) {
      const known = rows.get(idOf(entry));
      if (known) known.update(entry);
      else {
        const made = row(entry, reload);
        rows.set(idOf(entry), made);
        nodes.push(made.node);
      }
    }
    if (more) list.append(...nodes);
    else list.prepend(...nodes);
    after.replaceChildren(...(cursor ? [h("button", {type: "button", onclick: asyncHandler(() => load(true))}, t("Show more"))] : []));
    if (!rows.size) after.replaceChildren(empty());
  }

  const refresh = async () => {
    if (refreshesHead) await draw();
    await load();
  };
  const timer = setInterval(() => {
    if (!document.hidden) refresh().catch(() => {});
  }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  try {
    await draw();
    await load();
  } catch (error) {
    if (error.name === "AbortError") return;
    clearInterval(timer);
    head.replaceChildren(h("div", {class: "head"}, link(), h("h1", {}, title)));
    list.hidden = true;
    after.replaceChildren(errorState(error, () => location.reload()));
  }
}
