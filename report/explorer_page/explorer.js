"use strict";

const explorer = (() => {
  const get = (id) => document.getElementById(id);
  const bounds = ["confidence-low", "confidence-high", "drop-low", "drop-high"];
  const filters = ["true", "predicted", "outcome", ...bounds];
  const parts = new Map(); // what was loaded, by the name of its file; null while it is on its way
  let index, dataset, chosen; // chosen: [name, true, predicted, confidence, drop, part]
  let masks = []; // what the slider changes: a function for each panel
  let writing; // the timer that writes the address

  /* Every file of data/ calls this with its name and content. */
  function receive(name, content) {
    if (name === "index") start(content);
    else {
      parts.set(name, content);
      if (chosen && chosen[5] === name) drawSample();
    }
  }

  function start(content) {
    index = content;
    fill(get("dataset"), Object.entries(index.datasets).map(([name, own]) => [name, own.title]));
    get("dataset").addEventListener("change", () => openDataset());
    for (const id of filters) get(id).addEventListener("input", () => list());
    get("filters").addEventListener("submit", (event) => event.preventDefault());
    get("samples").addEventListener("change", () => choose(get("samples").value));
    get("fraction").addEventListener("input", drawMasks);
    get("score").addEventListener("input", drawMaps);
    window.addEventListener("hashchange", followAddress);
    followAddress();
  }

  /* The address ends in #dataset/sample. */
  function followAddress() {
    const [asked, encoded = ""] = location.hash.slice(1).split("/");
    const own = index.datasets[asked];
    const sample = own?.samples.map(([name]) => name).find((name) => encodeURIComponent(name) === encoded);
    const known = own ? asked : Object.keys(index.datasets)[0];
    if (dataset === known && chosen && chosen[0] === sample) return;
    get("dataset").value = known;
    openDataset(sample);
  }

  function writeAddress() {
    clearTimeout(writing); // browsers refuse to write it too often
    const address = `#${dataset}/${encodeURIComponent(chosen[0])}`;
    writing = setTimeout(() => history.replaceState(null, "", address), 300);
  }

  function openDataset(sample) {
    dataset = get("dataset").value;
    chosen = undefined;
    const own = index.datasets[dataset];
    const classes = [["", "any"], ...own.classes.map((name, label) => [label, name])];
    fill(get("true"), classes);
    fill(get("predicted"), classes);
    fill(get("score"), own.settings.map((name, place) => [place, name]));
    get("outcome").value = "";
    for (const id of bounds) get(id).value = "";
    get("score").value = own.usual;
    get("fraction").value = 100 * own.fraction;
    get("credits").textContent = own.credits;
    list(sample);
  }

  /* List the samples that pass the filters, and show the one asked for, or the last, or the first. */
  function list(wanted) {
    const own = index.datasets[dataset];
    const value = Object.fromEntries(filters.map((id) => [id, get(id).value]));
    const within = (number, low, high) =>
      (low === "" || (number !== null && number >= Number(low))) &&
      (high === "" || (number !== null && number <= Number(high)));
    const passing = own.samples.filter(([, label, said, sure, drop]) =>
      (value.true === "" || label === Number(value.true)) &&
      (value.predicted === "" || said === Number(value.predicted)) &&
      (value.outcome === "" || (label === said) === (value.outcome === "correct")) &&
      within(sure, value["confidence-low"], value["confidence-high"]) &&
      within(drop, value["drop-low"], value["drop-high"]));
    const inWords = (sample) => {
      const [name, label, said, sure] = sample;
      return [name, `${own.samples.indexOf(sample)}: ${own.classes[label]} → ${own.classes[said]} (${sure.toFixed(2)})`];
    };
    fill(get("samples"), passing.map(inWords));
    get("count").textContent = passing.length
      ? `${passing.length} of ${own.samples.length} samples: true → predicted (confidence)`
      : "No sample passes these filters";
    get("sample").hidden = passing.length === 0;
    const next = passing.find(([name]) => name === wanted) || passing.find((sample) => sample === chosen) || passing[0];
    if (next) choose(next[0]);
  }

  function choose(name) {
    chosen = index.datasets[dataset].samples.find((sample) => sample[0] === name);
    get("samples").value = name;
    writeAddress();
    const part = chosen[5];
    if (parts.get(part)) return drawSample();
    get("name").textContent = `Loading ${name} …`;
    get("methods").replaceChildren();
    if (parts.has(part)) return;
    parts.set(part, null);
    const script = element("script", { src: `data/${part}.js` });
    script.addEventListener("error", () => {
      parts.delete(part);
      get("name").textContent = `${script.src} could not be loaded`;
    });
    document.head.append(script);
  }

  function drawSample() {
    const own = index.datasets[dataset], [name, label, said, , drop] = chosen, sample = parts.get(chosen[5])[name];
    const taken = label === said ? "classified correctly" : `taken for ${own.classes[said]}`;
    const dropped = drop === null ? "" : `, drop with Grad-CAM ${drop.toFixed(2)}`;
    get("name").textContent = `${name}: ${own.classes[label]}, ${taken}${dropped}`;
    drawInput(get("input"), sample.input, () => true, own.shape, 2);
    get("input").setAttribute("aria-label", `Input ${name}`);
    const rows = sample.probabilities.map((probability, place) => {
      const row = element("tr", { className: place === said ? "said" : "" });
      const bar = element("div"), cell = element("td", { className: "bar" });
      bar.style.width = `${100 * probability}%`;
      cell.append(bar);
      const title = own.classes[place] + (place === label ? " (true)" : "");
      row.append(element("th", { textContent: title, scope: "row" }), cell,
        element("td", { textContent: probability.toFixed(3) }));
      return row;
    });
    get("probabilities").tBodies[0].replaceChildren(...rows);
    drawMaps();
  }

  function drawMaps() {
    const own = index.datasets[dataset], sample = parts.get(chosen[5])?.[chosen[0]];
    if (!sample) return;
    const scores = sample.scores[Number(get("score").value)] || {};
    const families = new Map();
    masks = [];
    for (const [method, about] of Object.entries(index.methods)) {
      if (!(method in sample.maps)) continue;
      if (!families.has(about.family)) families.set(about.family, []);
      families.get(about.family).push(panel(method, about.title, sample, own, scores[method]));
    }
    const made = [...families].flatMap(([family, panels]) => {
      const grid = element("div", { className: "panels" });
      grid.append(...panels);
      return [element("h3", { className: "family", textContent: family }), grid];
    });
    const missing = Object.entries(index.methods)
      .filter(([method]) => own.signed[method] !== undefined && !(method in sample.maps))
      .map(([, about]) => about.title);
    if (missing.length) {
      const text = `Not computed for this sample: ${missing.join(", ")}.`;
      made.push(element("p", { className: "hint", textContent: text }));
    }
    get("methods").replaceChildren(...made);
    drawMasks();
  }

  /* A method's map, the input under its mask, and its score. */
  function panel(method, title, sample, own, score) {
    const box = element("div", { className: "panel" }), pair = element("div", { className: "pair" });
    const map = element("canvas"), masked = element("canvas");
    const level = bytes(sample.maps[method].levels);
    const values = new Float32Array(bytes(sample.maps[method].values).buffer);
    box.dataset.method = method;
    map.setAttribute("role", "img");
    map.setAttribute("aria-label", `Map by ${title}`);
    masked.setAttribute("role", "img");
    masked.setAttribute("aria-label", `Input under the mask of ${title}`);
    drawMap(map, level, values, own.signed[method], sample.input, own.shape);
    masks.push((share) => {
      const kept = Math.floor(share * values.length + 0.5);
      drawInput(masked, sample.input, (point) => level[point] < kept, own.shape, 1);
    });
    pair.append(map, masked);
    const text = score === undefined ? "no score" : `score ${score.toFixed(3)}`;
    box.append(element("h4", { textContent: title }), pair, element("p", { textContent: text }));
    return box;
  }

  function drawMasks() {
    get("kept").textContent = `${get("fraction").value} %`;
    for (const draw of masks) draw(Number(get("fraction").value) / 100);
  }

  /* The input, 0 at every point that is not kept. */
  function drawInput(canvas, input, isKept, shape, zoom) {
    const context = prepare(canvas, shape, zoom);
    if (shape.length === 1) {
      drawLine(context, input, input, "#b9bcc2", zoom);
      drawLine(context, input.map((value, point) => (isKept(point) ? value : 0)), input, "#111", zoom);
      return;
    }
    const pixels = bytes(input), image = context.createImageData(shape[1], shape[0]);
    for (let point = 0; point < shape[0] * shape[1]; point++) {
      const visible = isKept(point);
      for (let c = 0; c < 3; c++) image.data[4 * point + c] = visible ? pixels[3 * point + c] : 0;
      image.data[4 * point + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function drawMap(canvas, level, values, signed, input, shape) {
    const context = prepare(canvas, shape, 1), table = index.colours[signed ? "signed" : "positive"];
    const sizes = values.map(Math.abs).sort();
    const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
    const colours = Array.from(values, (value) => {
      const share = signed ? 0.5 + value / (2 * limit) : value / limit;
      return table[Math.max(0, Math.min(table.length - 1, Math.floor(share * table.length)))];
    });
    if (shape.length === 1) {
      const width = canvas.width / input.length;
      context.globalAlpha = 0.75;
      for (let point = 0; point < input.length; point++) {
        context.fillStyle = `rgb(${colours[level[point]].join(",")})`;
        context.fillRect(point * width, 0, width + 1, canvas.height);
      }
      context.globalAlpha = 1;
      drawLine(context, input, input, "#111", 1);
      return;
    }
    const image = context.createImageData(shape[1], shape[0]);
    for (let point = 0; point < level.length; point++) {
      const [red, green, blue] = colours[level[point]];
      image.data[4 * point] = red;
      image.data[4 * point + 1] = green;
      image.data[4 * point + 2] = blue;
      image.data[4 * point + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /* Values as a line, in the scale of others. */
  function drawLine(context, values, scale, colour, zoom) {
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

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  function element(kind, properties = {}) {
    return Object.assign(document.createElement(kind), properties);
  }

  function fill(select, options) {
    select.replaceChildren(...options.map(([value, textContent]) => element("option", { value, textContent })));
  }

  return { receive };
})();
