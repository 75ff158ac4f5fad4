// The cues in which text is selected.

/**
 * Return the cues of a transcript in which text is selected, none if it reaches out of the transcript.
 *
 * @param {HTMLElement} transcript
 * @param {WeakMap<Element, Cue>} cueOf a row
 */
export function cuesOfSelectedText(transcript, cueOf) {
  const selected = getSelection();
  if (!selected || selected.isCollapsed || !selected.rangeCount) return [];
  const range = selected.getRangeAt(0);
  /** @param {Node} node */
  const rowAt = (node) => (node instanceof Element ? node : node.parentElement)?.closest(".cues > li");
  const [first, last] = [rowAt(range.startContainer), rowAt(range.endContainer)];
  if (!first || !transcript.contains(first)) return [];
  const cues = [];
  for (const row of first.parentElement?.children ?? []) {
    const [cue, text] = [cueOf.get(row), row.querySelector("p")];
    if (cue && text && range.intersectsNode(text) && hasSelectedText(text, range)) cues.push(cue);
  }
  return last && !transcript.contains(last) ? [] : cues;
}

/**
 * Return true if the range contains text of the node, not only its edge.
 *
 * @param {Node} node
 * @param {Range} range
 */
function hasSelectedText(node, range) {
  const part = document.createRange();
  part.selectNodeContents(node);
  if (part.compareBoundaryPoints(Range.START_TO_START, range) < 0) part.setStart(range.startContainer, range.startOffset);
  if (part.compareBoundaryPoints(Range.END_TO_END, range) > 0) part.setEnd(range.endContainer, range.endOffset);
  return part.toString().trim() !== "";
}
