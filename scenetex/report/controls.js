// Mouse, touch and keys for the viewer. `touched` is called when somebody takes over.

function addControls(viewer, touched) {
  const { canvas, look } = viewer, pointers = new Map(), keys = new Set();
  const KEYS = {
    KeyW: [0, 0, 1], KeyS: [0, 0, -1], KeyA: [-1, 0, 0], KeyD: [1, 0, 0], KeyQ: [0, -1, 0], KeyE: [0, 1, 0],
    ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0],
  };
  // How far a pixel is, in metres, at what is looked at.
  const pixel = () => (2 * viewer.slopes()[1] * (look.inside ? 2 : look.distance)) / canvas.clientHeight;
  const middle = () => {
    const all = [...pointers.values()], mean = (k) => all.reduce((sum, p) => sum + p[k], 0) / all.length;
    const [x, y] = [mean(0), mean(1)];
    return { x, y, spread: Math.max(1, Math.hypot(all[0][0] - x, all[0][1] - y)) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    touched();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = middle();
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = middle(), dx = after.x - before.x, dy = after.y - before.y;
    if (pointers.size > 1) viewer.zoom(before.spread / after.spread);
    if (pointers.size > 1 || event.buttons & 6 || event.shiftKey) viewer.move(-dx * pixel(), dy * pixel(), 0);
    else viewer.turn(dx, dy);
  });
  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener(
    "wheel",
    (event) => {
      // Until somebody takes hold of the viewer, the wheel scrolls the page as everywhere else.
      if (document.activeElement !== canvas) return;
      event.preventDefault();
      viewer.zoom(Math.exp(clamp(event.deltaY * (event.deltaMode ? 20 : 1), -100, 100) * 0.0015));
    },
    { passive: false },
  );

  let last = 0;
  const step = (now) => {
    const metres = Math.min(0.1, (now - last) / 1000) * (look.inside ? 1.5 * viewer.metre : look.distance / 2);
    last = now;
    for (const key of keys) viewer.move(...KEYS[key].map((way) => way * metres));
    if (keys.size) requestAnimationFrame(step);
  };
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.code] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    touched();
    if (!keys.size) requestAnimationFrame((now) => step((last = now)));
    keys.add(event.code);
  });
  canvas.addEventListener("keyup", (event) => keys.delete(event.code));
  canvas.addEventListener("blur", () => keys.clear());
}
