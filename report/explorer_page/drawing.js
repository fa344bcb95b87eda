"use strict";

/* Inputs, maps and curves, drawn. */
const drawing = (() => {
  /* An input; a signal over the line of another, which it is compared with. */
  function input(canvas, values, shape, zoom, whole = values) {
    const context = prepare(canvas, shape, zoom);
    if (shape.length === 1) {
      line(context, whole, whole, "#b9bcc2", zoom);
      line(context, values, whole, "#111", zoom);
    } else {
      paint(context, shape, (point, channel) => 255 * values[3 * point + channel]); // rounded as it is written
    }
  }

  /* A map in the colours of a table; that of a signal behind its line. */
  function map(canvas, { level, colours }, table, values, shape) {
    const context = prepare(canvas, shape, 1);
    if (shape.length === 1) {
      const width = canvas.width / level.length;
      context.globalAlpha = 0.75;
      level.forEach((one, point) => {
        context.fillStyle = `rgb(${table[colours[one]].join(",")})`;
        context.fillRect(point * width, 0, width + 1, canvas.height);
      });
      context.globalAlpha = 1;
      line(context, values, values, "#111", 1);
    } else {
      paint(context, shape, (point, channel) => table[colours[level[point]]][channel]);
    }
  }

  /* A picture of what `colour(point, channel)` says. */
  function paint(context, [height, width], colour) {
    const image = context.createImageData(width, height);
    for (let point = 0; point < height * width; point++) {
      for (let channel = 0; channel < 3; channel++) image.data[4 * point + channel] = colour(point, channel);
      image.data[4 * point + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /* Values as a line, in the scale of others. */
  function line(context, values, scale, colour, zoom) {
    const low = Math.min(...scale, 0), high = Math.max(...scale, 0), { width, height } = context.canvas;
    context.beginPath();
    values.forEach((value, point) => {
      const x = (point + 0.5) * width / values.length;
      context.lineTo(x, height * (0.95 - 0.9 * (value - low) / (high - low || 1)));
    });
    context.strokeStyle = colour;
    context.lineWidth = 1.5 * zoom;
    context.stroke();
  }

  /* A signal is drawn in lines, at any size; a tile in its own pixels, which the browser enlarges. */
  function prepare(canvas, shape, zoom) {
    const [width, height] = shape.length === 1 ? [200 * zoom, 70 * zoom] : [shape[1], shape[0]];
    canvas.width = width;
    canvas.height = height;
    canvas.style.width = `${shape.length === 1 ? width : width * zoom}px`;
    return canvas.getContext("2d");
  }

  /* Curves of confidence over the share kept: of each a class and its points [percent, confidence], and of the
     recorded confidence a level line; a mark stands at the percent that is asked. */
  function curves(svg, lines, recorded, percent, marks) {
    const width = Math.max(svg.parentNode.clientWidth, 240), height = 200;
    const edge = { left: 34, right: 10, top: 8, bottom: 22 };
    const x = (share) => edge.left + (width - edge.left - edge.right) * share / 100;
    const y = (value) => height - edge.bottom - (height - edge.top - edge.bottom) * value;
    const made = [];
    const add = (name, attributes, text = "") => {
      const element = document.createElementNS(svg.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = text;
      made.push(element);
    };
    for (const value of [0, 0.5, 1]) {
      add("line", { class: "grid", x1: x(0), x2: x(100), y1: y(value), y2: y(value) });
      add("text", { x: edge.left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value));
    }
    for (const share of [0, 25, 50, 75, 100]) {
      const anchor = share === 100 ? "end" : "middle";
      add("text", { x: x(share), y: height - 6, "text-anchor": anchor }, `${share} %`);
    }
    add("line", { class: "grid", x1: x(percent), x2: x(percent), y1: y(0), y2: y(1) });
    add("line", { class: "recorded", x1: x(0), x2: x(100), y1: y(recorded), y2: y(recorded) });
    for (const [name, points] of lines) {
      const sorted = points.sort(([one], [other]) => one - other);
      add("polyline", { class: name, points: sorted.map(([share, value]) => `${x(share)},${y(value)}`).join(" ") });
      for (const [share, value] of sorted) add("circle", { class: name, cx: x(share), cy: y(value), r: 2 });
    }
    for (const [name, [share, value]] of marks) add("circle", { class: `${name} mark`, cx: x(share), cy: y(value), r: 5 });
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...made);
  }

  return { input, map, curves };
})();
