// Dragging with the pointer on the timeline.

export const DRAG_PIXELS = 4; // a shorter movement is a click

// Call `move(event)` for each movement until the pointer is released, then `done()`. Returns false if no drag begins.
export function startDrag(event, move, done = () => {}) {
  if (event.button) return false;
  event.preventDefault();
  const target = event.currentTarget;
  target.setPointerCapture(event.pointerId);
  target.addEventListener("pointermove", move);
  target.addEventListener("lostpointercapture", () => {
    target.removeEventListener("pointermove", move);
    done();
  }, {once: true});
  return true;
}
