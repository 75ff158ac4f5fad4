// What the search of the list of recordings finds in their transcripts.

import {get, query} from "../lib/api.js";
import {addArrowNavigation, h, setText} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {recordingAddress, recordingLinks} from "../lib/recording_link.js";
import {markedText} from "../lib/search_query.js";
import {t} from "../lib/texts.js";
import {toastError} from "../lib/toasts.js";

const FIRST = 5; // hits above the recordings
const MORE = 20;

/**
 * `find(q)` shows the hits for a query of the API, or hides the section if it is empty. `onchange()` is called when the
 * section was shown or hidden.
 *
 * @param {AbortSignal} signal
 * @param {() => void} onchange
 */
export function transcriptHits(signal, onchange) {
  const link = recordingLinks(signal);
  const list = h("ul", {class: "list", "aria-label": t("Matches in transcripts")});
  const count = h("span", {class: "muted"});
  const footer = h("div", {class: "more"});
  const node = h(
    "section",
    {class: "panel hits", "aria-label": t("In transcripts"), hidden: true},
    h("header", {}, h("h2", {}, t("In transcripts"), " ", count)),
    list,
    footer,
  );
  let asked = "";
  addArrowNavigation(list, {across: true});

  /** @param {boolean} shown */
  function show(shown) {
    if (node.hidden !== shown) return;
    node.hidden = !shown;
    onchange();
  }

  /**
   * @param {string} q
   * @param {string | null} [cursor]
   */
  async function find(q, cursor = null) {
    asked = q;
    if (!q) {
      show(false);
      return;
    }
    try {
      const page = await get(query("/v1/search", {q, limit: cursor ? MORE : FIRST, cursor}), {signal});
      if (asked !== q) return;
      if (!cursor) list.replaceChildren();
      list.append(...page.data.map(hitRow));
      show(list.children.length > 0);
      setText(count, page.next_cursor ? t("{count} or more", {count: list.children.length}) : String(list.children.length));
      footer.replaceChildren(...(page.next_cursor ? [h("button", {type: "button", onclick: () => find(q, page.next_cursor)}, t("Show more"))] : []));
    } catch (error) {
      if (asked === q) toastError(error);
    }
  }

  /** @param {SearchHit} hit */
  const hitRow = (hit) =>
    h(
      "li",
      {class: "hit"},
      h(
        "a",
        {
          class: "time",
          href: recordingAddress(hit.recording_id, hit.start_seconds, hit.language),
          "aria-label": t("Open at {time}", {time: formatTime(hit.start_seconds, 0)}),
        },
        formatTime(hit.start_seconds, 0),
      ),
      h(
        "div",
        {class: "grow"},
        h("p", {dir: "auto"}, hit.speaker ? h("strong", {}, hit.speaker, " ") : null, markedText(hit)),
        h("p", {class: "small"}, link(hit.recording_id, hit.start_seconds, hit.language)),
      ),
    );
  return {node, find};
}
