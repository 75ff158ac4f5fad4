// Import and export of the segments as files of other programs.

import {postText, request} from "../../lib/api.js";
import {saveFile} from "../../lib/copying.js";
import {h} from "../../lib/dom.js";
import {errorText, serverText} from "../../lib/error_views.js";
import {titleOf} from "../../lib/format.js";
import {menuButton} from "../../lib/menus.js";
import {mayEdit} from "../../lib/rights.js";
import {plural, t} from "../../lib/texts.js";
import {toast} from "../../lib/toasts.js";
import {timesOf} from "../../store/doc.js";
import {MAX_SEGMENTS} from "./segments.js";

/** @import {MenuItem} from "../../lib/menus.js" */
/** @import {Range, Segment} from "../../store/doc.js" */
/** @import {PanelOptions} from "./segment_panel.js" */
/** @import {Selection} from "./selection.js" */

/**
 * Return the menu of import and export, the hidden picker of files, and the lines for what an import says.
 *
 * @param {PanelOptions} options
 * @param {(before: readonly Segment[], title: string, action: string) => void} offerList
 */
export function segmentFiles({recording, segments: {doc}, selection}, offerList) {
  const problem = h("p", {class: "bad small", role: "alert"});
  const warnings = h("div", {class: "muted small hint", role: "status"}); // parts of the imported file that were left out
  const picker = h("input", {type: "file", hidden: true, accept: ".csv,.edl,.otio,.txt,text/csv,text/plain,application/json"});
  const hasVideo = Boolean(recording.media.video);
  picker.addEventListener("change", async () => {
    const file = picker.files?.[0];
    picker.value = "";
    if (file) await importFile(file);
  });

  /** @param {File} file */
  async function importFile(file) {
    problem.textContent = "";
    warnings.replaceChildren();
    try {
      const {data: found, notes} = await postText(`/v1/recordings/${recording.recording_id}/ranges`, file);
      const {room} = doc;
      if (found.length > room)
        throw new Error(t("The file has {count} segments, and the list has room for {room} of {most}.", {count: found.length, room, most: MAX_SEGMENTS}));
      doc.add(...found.map(({label, start_seconds: start, end_seconds: end}) => snapped({label, start, end}, selection)));
      toast(plural(found.length, "{count} segment imported", "{count} segments imported"), file.name);
      warnings.replaceChildren(
        ...notes.map(({line, detail}) => h("p", {}, `${file.name}: `, line ? `${t("line {line}", {line: String(line)})}: ` : "", serverText(detail))),
      );
    } catch (error) {
      problem.replaceChildren(t("{name} was not imported.", {name: file.name}), " ", errorText(error));
    }
  }

  /**
   * @param {"csv" | "losslesscut" | "edl" | "otio" | "fcpxml" | "xmeml"} format
   * @param {string} suffix of the file's name
   */
  const save = (format, suffix) => async () => {
    const ranges = doc.segments.peek().map((each) => ({label: each.label, ...timesOf(each)}));
    const file = await request("POST", `/v1/recordings/${recording.recording_id}/ranges/file`, {body: {format, ranges}, as: "blob"});
    saveFile(`${titleOf(recording).replace(/[\\/:*?"<>|]+/g, "-")}${suffix}`, file);
  };
  /** @returns {MenuItem[]} */
  const exports = () => [
    {text: t("Export CSV"), icon: "down", run: save("csv", ".csv")},
    {text: t("Export CSV for LosslessCut"), icon: "down", run: save("losslesscut", "-llc.csv")},
    hasVideo && {text: t("Export EDL"), icon: "down", run: save("edl", ".edl")},
    {text: t("Export OpenTimelineIO"), icon: "down", run: save("otio", ".otio")},
    hasVideo && {text: t("Export for Final Cut Pro and Resolve"), icon: "down", run: save("fcpxml", ".fcpxml")},
    hasVideo && {text: t("Export for Premiere Pro"), icon: "down", run: save("xmeml", ".xml")},
    mayEdit() && {text: t("Remove all"), icon: "trash", danger: true, run: () => offerList(doc.clear(), t("Segments removed"), t("Undo"))},
  ];
  const menu = menuButton(t("Import and export segments"), "more", () => [
    mayEdit() && {text: t("Import…"), icon: "up", run: () => picker.click()},
    ...(doc.segments.peek().length ? exports() : []),
  ]);
  return {picker, menu, problem, warnings};
}

/**
 * @param {Range} range
 * @param {Selection} selection
 * @returns {Range}
 */
const snapped = ({label, start, end}, selection) => {
  const first = Math.min(selection.snap(start), selection.snap(selection.duration - selection.minLength));
  return {label, start: first, end: Math.max(selection.snap(end), selection.snap(first + selection.minLength))};
};
