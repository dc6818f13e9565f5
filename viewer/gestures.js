"use strict";
// Mouse, pen and fingers on the stage: one turns, two (or the right button, or shift) move and pinch, a tap picks.

const TAP = 5;  // pixels that a finger may slip and still tap

/** Calls `on.turn(dx, dy)`, `on.pan(dx, dy)`, `on.zoom(factor)` and `on.tap(x, y)`, in CSS pixels of `element`. */
function listenToGestures(element, on) {
  const down = new Map();
  let travelled = 0, moved = false;
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const middle = () => {
    const all = [...down.values()];
    const x = all.reduce((sum, p) => sum + p.x, 0) / all.length, y = all.reduce((sum, p) => sum + p.y, 0) / all.length;
    return { x, y, spread: all.length > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0 };
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    if (!down.size) {
      travelled = 0;
      moved = false;
    } else moved = true;  // a second finger: no tap any more
    down.set(event.pointerId, place(event));
  });
  element.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = middle();
    down.set(event.pointerId, place(event));
    const after = middle(), dx = after.x - before.x, dy = after.y - before.y;
    travelled += Math.hypot(dx, dy);
    if (travelled > TAP) moved = true;
    if (!moved) return;
    if (down.size > 1) {
      if (before.spread > 0 && after.spread > 0) on.zoom(before.spread / after.spread);
      on.pan(dx, dy);
    } else if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) on.pan(dx, dy);
    else on.turn(dx, dy);
  });
  const release = (event) => {
    const at = down.get(event.pointerId);
    down.delete(event.pointerId);
    if (at && !moved && event.type === "pointerup" && event.button === 0) on.tap(at.x, at.y);
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    on.zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.03 : 0.001)));
  }, { passive: false });
}
