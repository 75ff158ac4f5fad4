// Queries of the API's search, and the marking of its results.

import {h} from "./dom.js";
import {LIMITS} from "./limits.js";

/**
 * Return the query for what is typed: each word outside quotation marks may be the beginning of a word. Empty without a word.
 *
 * @param {string} text
 */
export function typedQuery(text) {
  if (!/[\p{L}\p{N}]/u.test(text)) return "";
  const terms = (text.match(/"[^"]*"?|[^\s"]+/g) ?? []).filter((term) => /[\p{L}\p{N}]/u.test(term));
  return terms
    .map((term) => (/^"|\*$/.test(term) ? term : `${term}*`))
    .join(" ")
    .slice(0, LIMITS.query);
}

/**
 * Return the text of a hit as nodes, its matches marked. `highlights` are ranges of code points.
 *
 * @param {Pick<SearchHit, "text" | "highlights">} hit
 */
export function markedText({text, highlights}) {
  const characters = [...text];
  /** @type {(Node | string)[]} */
  const nodes = [];
  let done = 0;
  for (const [start, end] of highlights) {
    nodes.push(characters.slice(done, start).join(""), h("mark", {}, characters.slice(start, end).join("")));
    done = end;
  }
  return [...nodes, characters.slice(done).join("")].filter((node) => node !== "");
}
