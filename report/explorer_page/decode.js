"use strict";

/* The arrays of data/, as report/explorer.py packs them. */
const decode = (() => {
  async function bytes(text) {
    const stream = new Blob([compressed(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /* The bytes of a text of which the lowest seven bits of every letter count. */
  function compressed(text) {
    const made = new Uint8Array(Math.floor(text.length * 7 / 8));
    let held = 0, bits = 0, place = 0;
    for (let letter = 0; letter < text.length; letter++) {
      held = (held << 7 | text.charCodeAt(letter) & 127) & 0x7fff;
      bits += 7;
      if (bits < 8) continue;
      bits -= 8;
      made[place++] = held >> bits;
    }
    return made;
  }

  async function floats(text) {
    return new Float32Array((await bytes(text)).buffer);
  }

  /* A sample: its input as the network takes it, and of each map the level of each point, from 0, the most
     salient, and the colour of each level. */
  async function sample({ data, maps }, shape) {
    const content = reader(await bytes(data)), [height, width] = rows(shape);
    const input = shape.length === 1 ? content.floats(width) : picture(content, height, width);
    const found = {};
    for (const [method, levels] of Object.entries(maps)) {
      found[method] = { level: content.plane(height, width), colours: content.take(levels) };
    }
    return { input, maps: found };
  }

  /* What the samples of a data set share: the order of equal points, fills, and the layers of the network. */
  async function shared({ order, fills, network }) {
    const made = { order: new Uint32Array((await bytes(order)).buffer), fills: {}, network: [] };
    for (const [name, { values, blur }] of Object.entries(fills)) {
      made.fills[name] = blur ? { blur } : { values: await floats(values) };
    }
    for (const layer of network) {
      const own = { ...layer };
      for (const key of ["kernel", "bias", "mean", "deviation"]) if (own[key]) own[key] = await floats(own[key]);
      made.network.push(own);
    }
    return made;
  }

  /* A signal is one row. */
  function rows(shape) {
    return shape.length === 1 ? [1, shape[0]] : shape;
  }

  function reader(content) {
    let place = 0;
    const take = (count) => content.subarray(place, place += count);
    return {
      take,
      floats: (count) => new Float32Array(take(4 * count).slice().buffer),
      plane(height, width) {
        const [isPredicted] = take(1), values = take(height * width);
        return isPredicted ? predicted(values, width) : values;
      },
    };
  }

  /* Add to each byte its prediction: the median of left, above, and left + above - left above. */
  function predicted(rest, width) {
    const values = new Uint8Array(rest.length);
    for (let point = 0; point < rest.length; point++) {
      const inside = point % width > 0;
      const left = inside ? values[point - 1] : 0, above = values[point - width] ?? 0;
      const corner = (inside && values[point - width - 1]) || 0;
      const low = Math.min(left, above), high = Math.max(left, above);
      values[point] = rest[point] + Math.min(Math.max(left + above - corner, low), high);
    }
    return values;
  }

  /* Red, green and blue in [0, 1] of the planes green, red less green, blue less green. */
  function picture(content, height, width) {
    const [green, red, blue] = [1, 2, 3].map(() => content.plane(height, width));
    const input = new Float32Array(3 * height * width);
    for (let point = 0; point < green.length; point++) {
      input[3 * point] = ((red[point] + green[point]) & 255) / 255;
      input[3 * point + 1] = green[point] / 255;
      input[3 * point + 2] = ((blue[point] + green[point]) & 255) / 255;
    }
    return input;
  }

  return { sample, shared, rows };
})();
