"use strict";

const explorer = (() => {
  const get = (id) => document.getElementById(id);
  const bounds = ["confidence-low", "confidence-high", "drop-low", "drop-high"];
  const filters = ["true", "predicted", "outcome", ...bounds];
  const rules = ["exact", "first", "published"];
  const steps = [50, 25, 10, 5]; // the percents of which the network is asked by itself, coarse to fine
  const parts = new Map(); // of each file of data/, what waits for it
  const answers = new Map(); // the probabilities that the network gave, by the key of the question
  let index, dataset, chosen; // chosen: [name, true, predicted, confidence, drop, part]
  let common, sample; // what the samples share, and the one that is shown; undefined while they are loaded
  let preferred = "grad_cam"; // the method whose mask is asked, where the sample has its map
  let painted; // the mask that was painted by hand, if that is what is asked
  let strokes = 0; // every stroke makes another mask
  let centerBrush; // put the brush of the keyboard into the middle
  let panels = []; // what the slider changes: a function for each panel
  let worker, waiting = false; // whether the worker is at work; it has one question at a time
  let writing; // the timer that writes the address

  /* Every file of data/ calls this with its name and content. */
  function receive(name, content) {
    if (name === "index") start(content);
    else parts.get(name).resolve(content);
  }

  function start(content) {
    index = content;
    fill(get("dataset"), Object.entries(index.datasets).map(([name, own]) => [name, own.title]));
    fill(get("rule"), rules.map((name) => [name, name]));
    get("dataset").addEventListener("change", () => openDataset());
    for (const id of filters) get(id).addEventListener("input", () => list());
    get("filters").addEventListener("submit", (event) => event.preventDefault());
    get("samples").addEventListener("change", () => choose(get("samples").value));
    get("fraction").addEventListener("input", () => askOfMap(preferred));
    get("method").addEventListener("change", () => (get("method").value ? askOfMap(get("method").value) : paint()));
    get("rule").addEventListener("change", () => askOfMap(preferred));
    get("fill").addEventListener("change", draw);
    get("score").addEventListener("input", drawPanels);
    startPainting();
    window.addEventListener("hashchange", followAddress);
    window.addEventListener("resize", () => sample && drawAnswers());
    followAddress();
  }

  /* The address ends in #dataset/sample. */
  function followAddress() {
    const [asked, encoded = ""] = location.hash.slice(1).split("/");
    const own = Object.hasOwn(index.datasets, asked) && index.datasets[asked];
    const named = own && own.samples.map(([name]) => name).find((name) => encodeURIComponent(name) === encoded);
    const known = own ? asked : Object.keys(index.datasets)[0];
    if (dataset === known && chosen && chosen[0] === named) return;
    get("dataset").value = known;
    openDataset(named);
  }

  function writeAddress() {
    clearTimeout(writing); // browsers refuse to write it too often
    const address = `#${dataset}/${encodeURIComponent(chosen[0])}`;
    writing = setTimeout(() => history.replaceState(null, "", address), 300);
  }

  function openDataset(named) {
    dataset = get("dataset").value;
    chosen = common = undefined;
    const own = index.datasets[dataset];
    const classes = [["", "any"], ...own.classes.map((name, label) => [label, name])];
    fill(get("true"), classes);
    fill(get("predicted"), classes);
    fill(get("score"), own.settings.map((name, place) => [place, name]));
    fill(get("fill"), own.fills.map((name) => [name, name]));
    get("outcome").value = "";
    for (const id of bounds) get(id).value = "";
    get("score").value = own.usual;
    get("rule").value = "exact";
    get("fraction").value = 100 * own.fraction;
    get("brush").max = Math.floor(own.shape.at(-1) / 3);
    get("brush").value = Math.floor(own.shape.at(-1) / 8);
    get("brush-size").textContent = get("brush").value;
    centerBrush();
    get("credits").textContent = own.credits;
    document.body.classList.toggle("asks", own.answers);
    document.body.classList.toggle("signals", own.shape.length === 1);
    list(named);
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
    const inWords = (row) => {
      const [name, label, said, sure] = row;
      return [name, `${own.samples.indexOf(row)}: ${own.classes[label]} → ${own.classes[said]} (${sure.toFixed(2)})`];
    };
    fill(get("samples"), passing.map(inWords));
    get("count").textContent = passing.length
      ? `${passing.length} of ${own.samples.length} samples: true → predicted (confidence)`
      : "No sample passes these filters";
    get("sample").hidden = passing.length === 0;
    const next = passing.find(([name]) => name === wanted) || passing.find((row) => row === chosen) || passing[0];
    if (next) choose(next[0]);
  }

  async function choose(name) {
    const own = index.datasets[dataset], asked = own.samples.find((row) => row[0] === name);
    get("samples").value = name;
    if (asked === chosen && sample) return;
    chosen = asked;
    sample = painted = undefined;
    writeAddress();
    get("name").textContent = `Loading ${name} …`;
    get("sample").classList.add("loading"); // what is drawn is of the last one
    get("methods").replaceChildren();
    try {
      const [shared, part] = await Promise.all([load(dataset, decode.shared), load(chosen[5])]);
      const decoded = await decode.sample(part[name], own.shape);
      if (chosen !== asked) return; // another was chosen meanwhile
      sample = { ...part[name], ...decoded };
      if (common !== shared) open(shared);
      get("sample").classList.remove("loading");
      drawSample();
    } catch (error) {
      if (chosen === asked) get("name").textContent = error.message;
    }
  }

  /* The content of a file of data/, changed by a function when it comes. */
  function load(name, change = (content) => content) {
    if (!parts.has(name)) {
      const part = {}, script = element("script", { src: `data/${name}.js` });
      part.content = new Promise((resolve, reject) => Object.assign(part, { resolve, reject })).then(change);
      parts.set(name, part);
      script.addEventListener("error", () => {
        parts.delete(name);
        part.reject(new Error(`${script.src} could not be loaded`));
      });
      document.head.append(script);
    }
    return parts.get(name).content;
  }

  /* Make the network of a data set the one that is asked. */
  function open(shared) {
    common = shared;
    if (!common.network.length) return;
    if (!worker) {
      worker = startWorker();
      worker.addEventListener("message", ({ data }) => receiveAnswer(data));
      worker.addEventListener("error", (event) => {
        get("answer").textContent = `The network could not be asked: ${event.message}`;
      });
    }
    worker.postMessage({ layers: common.network, shape: [...space(), sample.input.length / points()] });
  }

  function space() {
    return decode.rows(index.datasets[dataset].shape);
  }

  function points() {
    const [height, width] = space();
    return height * width;
  }

  /* What is asked: the network's answer to the sample with only some points kept. */
  function question(by, percent) {
    const mask = () => masks.kept(sample.maps[by].level, percent, get("rule").value, common.order);
    return { key: key(by, percent, get("rule").value), percent, mask };
  }

  function questionOfPainted() {
    const count = painted.reduce((sum, one) => sum + one);
    return { key: key("painted", strokes), percent: 100 * count / points(), mask: () => painted };
  }

  function key(...how) {
    return JSON.stringify([dataset, chosen[0], get("fill").value, ...how]);
  }

  /* What the page shows now. */
  function questionShown() {
    return painted ? questionOfPainted() : question(method(), percentKept());
  }

  /* The same of the random map, at a whole percent. */
  function questionBeside() {
    return sample.maps.random && question("random", Math.round(questionShown().percent));
  }

  /* All that there is to ask, the most urgent first; what is no longer shown is not among it. */
  function questions() {
    const lines = ["random", method()].filter((by) => sample.maps[by]);
    const curves = steps.flatMap((step) =>
      Array.from({ length: 100 / step + 1 }, (_, place) => lines.map((by) => question(by, place * step))).flat());
    return [questionShown(), questionBeside(), ...curves].filter(Boolean);
  }

  /* Ask the next question as soon as the worker is free. */
  function ask() {
    if (waiting || !sample || !common.network.length) return;
    const next = questions().find((one) => !answers.has(one.key));
    if (!next) return;
    waiting = true;
    worker.postMessage({ key: next.key, input: maskedBy(next.mask()) });
  }

  function receiveAnswer({ key, probabilities }) {
    waiting = false;
    answers.set(key, probabilities);
    if (sample) drawAnswers();
    ask();
  }

  function method() {
    return preferred in sample.maps ? preferred : Object.keys(sample.maps)[0];
  }

  function percentKept() {
    return Number(get("fraction").value);
  }

  /* The sample with the chosen fill where the mask is 0. */
  function maskedBy(mask) {
    const name = get("fill").value, made = (sample.filled ??= {});
    made[name] ??= masks.filled(common.fills[name], sample.input, space());
    return masks.masked(sample.input, mask, made[name]);
  }

  function askOfMap(by) {
    preferred = by;
    painted = undefined;
    draw();
  }

  function startPainting() {
    const brush = () => Number(get("brush").value);
    centerBrush = makePainting(get("asked"), get("brush-cursor"), space, brush, stroke);
    get("brush").addEventListener("input", () => { get("brush-size").textContent = brush(); });
    get("clear").addEventListener("click", () => paint((mask) => mask.fill(0)));
    get("whole").addEventListener("click", () => paint((mask) => mask.fill(1)));
    get("invert").addEventListener("click", () => paint((mask) => mask.map((one) => 1 - one)));
  }

  /* Keep or remove the points under the brush. */
  function stroke(under) {
    const now = Number(document.querySelector("[name=stroke]:checked").value), width = space()[1];
    paint((mask) => {
      for (const [row, column] of under) mask[row * width + column] = now;
      return mask;
    });
  }

  /* Ask of a mask that is made of the one that is shown. */
  function paint(change = (mask) => mask) {
    if (!sample) return;
    painted = change(questionShown().mask().slice());
    strokes++;
    drawAsked();
  }

  function drawSample() {
    const own = index.datasets[dataset], [name, label, said, , drop] = chosen;
    const taken = label === said ? "classified correctly" : `taken for ${own.classes[said]}`;
    const dropped = drop === null ? "" : `, drop with Grad-CAM ${drop.toFixed(2)}`;
    get("name").textContent = `${name}: ${own.classes[label]}, ${taken}${dropped}`;
    drawing.input(get("input"), sample.input, own.shape, 2);
    get("input").setAttribute("aria-label", `Input ${name}`);
    get("explained").textContent = own.classes[said];
    const titles = Object.entries(index.methods).filter(([by]) => by in sample.maps).map(([by, { title }]) => [by, title]);
    fill(get("method"), [...titles, ["", "painted by hand"]]);
    drawPanels();
  }

  function drawPanels() {
    if (!sample) return;
    const own = index.datasets[dataset], scores = sample.scores[get("score").value] ?? [];
    const scored = Object.keys(sample.maps);
    const families = new Map();
    panels = [];
    for (const [by, about] of Object.entries(index.methods)) {
      if (!(by in sample.maps)) continue;
      if (!families.has(about.family)) families.set(about.family, []);
      families.get(about.family).push(panel(by, about.title, own, scores[scored.indexOf(by)]));
    }
    const made = [...families].flatMap(([family, boxes]) => {
      const grid = element("div", { className: "panels" });
      grid.append(...boxes);
      return [element("h3", { className: "family", textContent: family }), grid];
    });
    const missing = Object.entries(index.methods)
      .filter(([by]) => own.signed[by] !== undefined && !(by in sample.maps))
      .map(([, about]) => about.title);
    if (missing.length) {
      const text = `Not computed for this sample: ${missing.join(", ")}.`;
      made.push(element("p", { className: "hint", textContent: text }));
    }
    get("methods").replaceChildren(...made);
    draw();
  }

  /* A method's map, the input under its mask, and its score. */
  function panel(by, title, own, score) {
    const box = element("div", { className: "panel" }), pair = element("div", { className: "pair" });
    const map = element("canvas"), masked = element("canvas"), heading = element("h4");
    const name = own.answers ? element("button", { type: "button", textContent: title }) : title;
    box.dataset.method = by;
    map.setAttribute("role", "img");
    map.setAttribute("aria-label", `Map by ${title}`);
    masked.setAttribute("role", "img");
    masked.setAttribute("aria-label", `Input under the mask of ${title}`);
    drawing.map(map, sample.maps[by], index.colours[own.signed[by] ? "signed" : "positive"], sample.input, own.shape);
    if (own.answers) box.addEventListener("click", () => askOfMap(by));
    panels.push(() => {
      const kept = question(by, percentKept()).mask();
      drawing.input(masked, maskedBy(kept), own.shape, 1, sample.input);
    });
    heading.append(name);
    pair.append(map, masked);
    const text = typeof score === "number" ? `score ${score.toFixed(3)}` : "no score";
    box.append(heading, pair, element("p", { textContent: text }));
    return box;
  }

  /* Draw all that depends on the share, the fill and the rule. */
  function draw() {
    if (!sample) return;
    get("kept").textContent = `${percentKept()} %`;
    for (const drawPanel of panels) drawPanel();
    drawAsked();
  }

  /* Draw what is asked, and ask it. */
  function drawAsked() {
    const mask = questionShown().mask();
    get("method").value = painted ? "" : method();
    get("method-title").textContent = index.methods[method()].title;
    for (const name of get("methods").querySelectorAll("button")) {
      name.setAttribute("aria-pressed", !painted && name.closest(".panel").dataset.method === method());
    }
    drawing.input(get("asked"), maskedBy(mask), index.datasets[dataset].shape, 2, sample.input);
    get("asked").setAttribute("aria-label", `Mask to paint on: ${kept(mask)}`);
    drawAnswers();
    ask();
  }

  function kept(mask) {
    return `${mask.reduce((sum, one) => sum + one)} of ${mask.length} points kept`;
  }

  /* The recorded probabilities and, once the network has given it, the answer to what is shown. */
  function drawAnswers() {
    const own = index.datasets[dataset], [, label, said] = chosen, shown = questionShown(), beside = questionBeside();
    const asked = answers.get(shown.key), recorded = sample.probabilities;
    const rows = recorded.map((probability, place) => {
      const row = element("tr", { className: place === said ? "said" : "" }), bars = element("td", { className: "bars" });
      const title = own.classes[place] + (place === label ? " (true)" : "");
      row.append(element("th", { textContent: title, scope: "row" }), bars);
      for (const [name, value] of [["recorded", probability], ["method", asked?.[place]]]) {
        if (name === "method" && !own.answers) continue;
        const bar = element("div", { className: `bar ${name}` }), cell = element("td", { className: name });
        bar.style.width = `${100 * (value ?? 0)}%`;
        bars.append(bar);
        cell.append(value === undefined ? "…" : element("data", { value, textContent: value.toFixed(3) }));
        row.append(cell);
      }
      return row;
    });
    get("probabilities").tBodies[0].replaceChildren(...rows);
    if (!own.answers) return;
    const value = (one) => answers.get(one?.key)?.[said], number = (one) => value(one)?.toFixed(3) ?? "…";
    const line = (by) => Array.from({ length: 101 }, (_, percent) => question(by, percent))
      .filter((one) => answers.has(one.key)).map((one) => [one.percent, value(one)]);
    const lines = ["random", method()].map((by, place) => [place ? "method" : "random", sample.maps[by] ? line(by) : []]);
    const marks = [["random", beside], ["method", shown]].filter(([, one]) => value(one) !== undefined)
      .map(([name, one]) => [name, [one.percent, value(one)]]);
    drawing.curves(get("curves"), lines, recorded[said], shown.percent, marks);
    const how = painted ? "painted by hand" : `by ${index.methods[method()].title}`;
    const random = beside ? `; ${number(beside)} by the random map at ${beside.percent} %` : "";
    const told = `${own.classes[said]}: ${number(shown)} with ${kept(shown.mask())}, ${how}${random}; ` +
      `recorded ${recorded[said].toFixed(3)}.`;
    if (get("answer").textContent !== told) get("answer").textContent = told; // it is read aloud
  }

  function element(kind, properties = {}) {
    return Object.assign(document.createElement(kind), properties);
  }

  function fill(select, options) {
    select.replaceChildren(...options.map(([value, textContent]) => element("option", { value, textContent })));
  }

  return { receive };
})();
