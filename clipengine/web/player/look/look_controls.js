// Rows and lists of choices of the Look panel.

import {h} from "../../lib/dom.js";

/**
 * @param {[value: string, text: string][]} options
 * @param {string} chosen
 */
export const select = (options, chosen) =>
  h(
    "select",
    {},
    options.map(([value, text]) => h("option", {value, selected: value === chosen}, text)),
  );

/**
 * @param {string} text
 * @param {HTMLElement} control
 * @param {boolean} [shown]
 */
export const line = (text, control, shown = true) => h("label", {class: "line", hidden: !shown}, h("span", {}, text), control);

/**
 * @param {string} title
 * @param {boolean} shown
 * @param {Children[]} nodes
 */
export const section = (title, shown, ...nodes) => h("section", {hidden: !shown}, h("header", {}, h("h2", {class: "grow"}, title)), ...nodes);

/** @param {Profile} profile */
export function describe(profile) {
  const parts = [profile.name];
  if (profile.container !== "mp4") parts.push(profile.container);
  if (profile.video !== "h264" && profile.video !== "none") parts.push(profile.video);
  if (profile.max_height) parts.push(`${profile.max_height}p`);
  return [...new Set(parts)].join(" · ");
}
