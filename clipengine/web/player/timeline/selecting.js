// What the pointer does on the tracks of the timeline: a click seeks, a drag selects, the ruler scrubs, the selection is
// moved as a whole, and the wheel zooms and scrolls.

import {DRAG_PIXELS, startTimeDrag} from "./drag.js";

/** @import {Player} from "../media/player.js" */
/** @import {Selection} from "../segments/selection.js" */
/** @import {Timeline} from "./timeline.js" */

/** @param {{timeline: Timeline, selection: Selection, player: Player}} parts */
export function bindSelecting({timeline, selection, player}) {
  timeline.ruler.addEventListener("pointerdown", scrub);
  timeline.tracks.addEventListener("pointerdown", select);
  timeline.range.addEventListener("pointerdown", moveSelection);
  for (const node of [timeline.node, timeline.overview.node]) node.addEventListener("wheel", turn, {passive: false});

  /** @param {WheelEvent} event */
  function turn(event) {
    if (event.ctrlKey || event.metaKey) timeline.zoom(Math.exp(event.deltaY * 0.004), timeline.timeAt(event.clientX));
    else if (timeline.zoomed) timeline.show(timeline.view.start + ((event.deltaX || event.deltaY) / timeline.tracks.clientWidth) * timeline.span);
    else return;
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  function scrub(event) {
    player.pause();
    startTimeDrag(event, timeline, {move: (time) => player.seek(time)});
    player.seek(timeline.timeAt(event.clientX));
  }

  /** @param {PointerEvent} event */
  function select(event) {
    const from = timeline.timeAt(event.clientX);
    let dragged = false;
    startTimeDrag(event, timeline, {
      move(time, x) {
        if (!dragged && Math.abs(x - event.clientX) < DRAG_PIXELS) return;
        if (!dragged) selection.clear(); // a new range, not a change of the current segment
        dragged = true;
        player.pause();
        selection.set(from, time);
        player.seek(selection.start ?? from);
      },
      done: () => dragged || player.seek(from),
    });
  }

  /** @param {PointerEvent} event */
  function moveSelection(event) {
    event.stopPropagation();
    let last = timeline.timeAt(event.clientX);
    let dragged = false;
    startTimeDrag(event, timeline, {
      move(time, x) {
        dragged = dragged || Math.abs(x - event.clientX) >= DRAG_PIXELS;
        const by = selection.snap(Math.abs(time - last)) * Math.sign(time - last);
        if (!dragged || !by) return;
        last += by;
        selection.move(by);
      },
      done: () => dragged || player.seek(last),
    });
  }
}
