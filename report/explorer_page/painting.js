"use strict";

/* Let a mask be painted on a canvas by mouse, finger or keyboard: `paint(points)` is called with the points
   under the brush, `[[row, column], …]`. `space()` gives the height and width in points, `brush()` its width. */
function makePainting(canvas, cursor, space, brush, paint) {
  let place = [0, 0], last; // where the keyboard's brush stands, and where a stroke has come to

  function disc([row, column]) {
    const [height, width] = space(), radius = brush() / 2, reach = Math.floor(radius), points = [];
    for (let y = Math.max(row - reach, 0); y <= Math.min(row + reach, height - 1); y++) {
      for (let x = Math.max(column - reach, 0); x <= Math.min(column + reach, width - 1); x++) {
        if ((y - row) ** 2 + (x - column) ** 2 <= radius ** 2) points.push([y, x]);
      }
    }
    return points;
  }

  /* The points from one to another, so that a quick stroke has no gaps. */
  function between([row, column], [toRow, toColumn]) {
    const steps = Math.max(Math.abs(toRow - row), Math.abs(toColumn - column), 1);
    return Array.from({ length: steps }, (_, step) => {
      const share = (step + 1) / steps;
      return [Math.round(row + share * (toRow - row)), Math.round(column + share * (toColumn - column))];
    });
  }

  function under(event) {
    const [height, width] = space(), box = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * height);
    return inside([row, Math.floor((event.clientX - box.left) / box.width * width)]);
  }

  function inside([row, column]) {
    const [height, width] = space();
    return [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)];
  }

  /* Show the brush at a point; over a signal it is as high as the canvas. */
  function show([row, column]) {
    const [height, width] = space(), size = brush();
    const [unitX, unitY] = [canvas.clientWidth / width, canvas.clientHeight / height];
    const [left, top] = [(column + 0.5 - size / 2) * unitX, height === 1 ? 0 : (row + 0.5 - size / 2) * unitY];
    Object.assign(cursor.style, {
      left: `${left}px`, top: `${top}px`, width: `${size * unitX}px`,
      height: `${height === 1 ? canvas.clientHeight : size * unitY}px`,
      borderRadius: height === 1 ? "0" : "50%",
    });
    cursor.hidden = false;
  }

  function hide() {
    cursor.hidden = document.activeElement !== canvas;
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    place = last = under(event);
    show(place);
    paint(disc(place));
  });
  canvas.addEventListener("pointermove", (event) => {
    const to = under(event);
    show(to);
    if (!last) return;
    paint(between(last, to).flatMap(disc));
    place = last = to;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = undefined; });
  canvas.addEventListener("pointerleave", hide);
  canvas.addEventListener("focus", () => show(place = inside(place)));
  canvas.addEventListener("blur", hide);
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key], length = event.shiftKey ? 10 : 1;
    if (!move && event.key !== " ") return;
    event.preventDefault(); // the page does not scroll
    if (move) place = inside([place[0] + length * move[0], place[1] + length * move[1]]);
    else paint(disc(place));
    show(place);
  });

  /* Put the keyboard's brush into the middle. */
  return function center() {
    place = space().map((size) => Math.floor(size / 2));
    hide();
  };
}
