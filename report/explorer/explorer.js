"use strict";

const explorer = (() => {
  const get = (id) => document.getElementById(id);
  const filters = ["true", "predicted", "outcome", "confidence-low", "confidence-high", "drop-low", "drop-high"];
  const parts = new Map(); // what was loaded, by the name of its file
  let index, dataset, shown; // shown: [name, true, predicted, confidence, drop, part]

  /* Every file of data/ calls this with its name and content. */
  function receive(name, content) {
    if (name === "index") start(content);
    else {
      parts.set(name, content);
      if (shown && shown[5] === name) draw();
    }
  }

  function start(content) {
    index = content;
    fill(get("dataset"), Object.entries(index.datasets).map(([name, own]) => [name, own.title]));
    get("dataset").addEventListener("change", () => chooseDataset());
    for (const id of filters) get(id).addEventListener("input", () => list());
    get("filters").addEventListener("submit", (event) => event.preventDefault());
    get("samples").addEventListener("change", () => choose(get("samples").value));
    get("fraction").addEventListener("input", drawMaps);
    get("score").addEventListener("input", drawMaps);
    window.addEventListener("hashchange", followAddress);
    followAddress();
  }

  /* The address ends in #dataset/sample. */
  function followAddress() {
    const [name, sample] = decodeURIComponent(location.hash.slice(1)).split(/\/(.*)/);
    const known = name in index.datasets ? name : Object.keys(index.datasets)[0];
    if (dataset === known && shown && shown[0] === sample) return;
    get("dataset").value = known;
    chooseDataset(sample);
  }

  function chooseDataset(sample) {
    dataset = get("dataset").value;
    const own = index.datasets[dataset];
    const classes = [["", "any"], ...own.classes.map((name, label) => [label, name])];
    fill(get("true"), classes);
    fill(get("predicted"), classes);
    fill(get("score"), own.settings.map((name, place) => [place, name]));
    get("outcome").value = "";
    for (const id of ["confidence", "drop"]) {
      get(id + "-low").value = 0;
      get(id + "-high").value = 1;
    }
    const usual = own.settings.findIndex((name) => name.includes(`top ${100 * own.fraction} %, black`));
    get("score").value = Math.max(usual, 0);
    get("fraction").value = 100 * own.fraction;
    get("credits").textContent = dataset === "hmt" && own.title === "HMT"
      ? "HMT: Kather et al. 2016, CC BY 4.0; tiles as published, maps added." : "";
    list(sample);
  }

  /* List the samples that pass the filters, and show the one asked for or the first. */
  function list(wanted) {
    const own = index.datasets[dataset];
    const value = Object.fromEntries(filters.map((id) => [id, get(id).value]));
    const between = (number, kind) =>
      number === null || (number >= Number(value[kind + "-low"]) && number <= Number(value[kind + "-high"]));
    const passing = own.samples.filter(([, label, said, sure, drop]) =>
      (value.true === "" || label === Number(value.true)) &&
      (value.predicted === "" || said === Number(value.predicted)) &&
      (value.outcome === "" || (label === said) === (value.outcome === "correct")) &&
      between(sure, "confidence") && between(drop, "drop"));
    const line = ([name, label, said, sure], place) =>
      [name, `${dataset === "hmt" ? place + 1 : name} · ${own.classes[label]} → ${own.classes[said]} · ${sure.toFixed(2)}`];
    fill(get("samples"), passing.map(line));
    get("count").textContent = `${passing.length} of ${own.samples.length} samples: true → predicted, confidence`;
    const chosen = passing.find(([name]) => name === wanted) || passing.find((one) => one === shown) || passing[0];
    get("sample").hidden = !chosen;
    if (chosen) choose(chosen[0]);
    else shown = undefined;
  }

  function choose(name) {
    shown = index.datasets[dataset].samples.find((one) => one[0] === name);
    get("samples").value = name;
    history.replaceState(null, "", `#${dataset}/${encodeURIComponent(name)}`);
    if (parts.has(shown[5])) draw();
    else {
      const script = document.createElement("script");
      script.src = `data/${shown[5]}.js`;
      document.head.append(script);
    }
  }

  function draw() {
    const own = index.datasets[dataset], sample = parts.get(shown[5])[shown[0]];
    const [name, label, said, , drop] = shown;
    const dropped = drop === null ? "" : `, drop with Grad-CAM ${drop.toFixed(2)}`;
    const taken = label === said ? "classified correctly" : `taken for ${own.classes[said]}`;
    get("name").textContent = `${name}: ${own.classes[label]}, ${taken}${dropped}`;
    drawInput(get("input"), sample.input, null, own.shape, 2);
    get("input").setAttribute("aria-label", `Input ${name}`);
    const rows = sample.probabilities.map((probability, place) => {
      const row = element("tr", { className: place === said ? "said" : "" });
      const bar = element("div");
      bar.style.width = `${100 * probability}%`;
      const cell = element("td", { className: "bar" });
      cell.append(bar);
      const name = own.classes[place] + (place === label ? " (true)" : "");
      row.append(element("th", { textContent: name, scope: "row" }), cell,
        element("td", { textContent: probability.toFixed(3) }));
      return row;
    });
    get("probabilities").tBodies[0].replaceChildren(...rows);
    drawMaps();
  }

  function drawMaps() {
    const own = index.datasets[dataset], sample = shown && parts.get(shown[5])?.[shown[0]];
    get("kept").textContent = `${get("fraction").value} %`;
    if (!sample) return;
    const scores = sample.scores[Number(get("score").value)] || {};
    const families = new Map();
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
      .filter(([method, about]) => about.family !== "controls" && !(method in sample.maps))
      .map(([, about]) => about.title);
    if (missing.length) {
      const text = `Not computed for this sample: ${missing.join(", ")}.`;
      made.push(element("p", { className: "hint", textContent: text }));
    }
    get("methods").replaceChildren(...made);
  }

  function panel(method, title, sample, own, score) {
    const box = element("div", { className: "panel" });
    box.dataset.method = method;
    const map = element("canvas"), masked = element("canvas"), pair = element("div", { className: "pair" });
    const { levels, values, signed } = sample.maps[method];
    const level = bytes(levels), value = new Float32Array(bytes(values).buffer);
    drawMap(map, level, value, signed, sample.input, own.shape);
    const share = Number(get("fraction").value) / 100;
    const kept = Math.floor(share * value.length + 0.5);
    drawInput(masked, sample.input, (point) => level[point] < kept, own.shape, 1);
    map.setAttribute("role", "img");
    map.setAttribute("aria-label", `Map by ${title}`);
    masked.setAttribute("role", "img");
    masked.setAttribute("aria-label", `Input with the top ${get("fraction").value} percent by ${title}`);
    pair.append(map, masked);
    const text = score === undefined ? "no score" : `score ${score.toFixed(3)}`;
    box.append(element("h3", { textContent: title }), pair, element("p", { textContent: text }));
    return box;
  }

  /* The input, where kept(point) is false 0; kept null for all of it. */
  function drawInput(canvas, input, kept, shape, zoom) {
    if (shape.length === 1) {
      const shown = input.map((value, point) => (kept === null || kept(point) ? value : 0));
      const context = size(canvas, 200 * zoom, 70 * zoom);
      line(context, input, input, "#b9bcc2", zoom);
      line(context, shown, input, "#111", zoom);
    } else {
      const pixels = bytes(input), context = size(canvas, shape[1], shape[0]);
      const image = context.createImageData(shape[1], shape[0]);
      for (let point = 0; point < shape[0] * shape[1]; point++) {
        const visible = kept === null || kept(point);
        for (let c = 0; c < 3; c++) image.data[4 * point + c] = visible ? pixels[3 * point + c] : 0;
        image.data[4 * point + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      canvas.style.width = `${shape[1] * zoom}px`;
    }
  }

  function drawMap(canvas, level, value, signed, input, shape) {
    const table = index.colours[signed ? "signed" : "positive"];
    const sizes = value.map(Math.abs).sort();
    const limit = sizes[Math.floor(0.995 * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
    const colour = (point) => {
      const share = signed ? 0.5 + value[level[point]] / (2 * limit) : value[level[point]] / limit;
      return table[Math.max(0, Math.min(table.length - 1, Math.floor(share * table.length)))];
    };
    if (shape.length === 1) {
      const context = size(canvas, 200, 70), width = canvas.width / input.length;
      for (let point = 0; point < input.length; point++) {
        context.fillStyle = `rgb(${colour(point).join(",")})`;
        context.globalAlpha = 0.75;
        context.fillRect(point * width, 0, width + 1, canvas.height);
      }
      context.globalAlpha = 1;
      line(context, input, input, "#111", 1);
    } else {
      const context = size(canvas, shape[1], shape[0]), image = context.createImageData(shape[1], shape[0]);
      for (let point = 0; point < level.length; point++) image.data.set([...colour(point), 255], 4 * point);
      context.putImageData(image, 0, 0);
    }
  }

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

  function size(canvas, width, height) {
    canvas.width = width;
    canvas.height = height;
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
