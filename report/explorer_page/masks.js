"use strict";

/* Which points a map keeps, and what stands in the place of the others, as in xai_utils/metrics/faithfulness.py. */
const masks = (() => {
  /* A 1 for each point of the top percent, by a rule: "exact" takes equal points in the order drawn, "first"
     in reading order, "published" only what is above the value at that place. */
  function kept(level, percent, rule, order) {
    const mask = new Uint8Array(level.length);
    if (percent === 0) return mask;
    const sizes = new Uint32Array(256);
    for (const one of level) sizes[one]++;
    const share = (percent / 100) * level.length;
    const count = rule === "published" ? Math.max(Math.floor(share), 1) : Math.floor(share + 0.5);
    let last = 0, above = 0; // the level in which that place lies, and how many points are above it
    while (last < 255 && above + sizes[last] < count) above += sizes[last++];
    for (let point = 0; point < level.length; point++) mask[point] = level[point] < last ? 1 : 0;
    if (rule === "published") return mask;
    for (let place = 0, missing = count - above; missing > 0; place++) {
      const point = rule === "exact" ? order[place] : place;
      if (level[point] !== last) continue;
      mask[point] = 1;
      missing--;
    }
    return mask;
  }

  /* The input where the mask is 1, elsewhere the fill. */
  function masked(input, mask, fill) {
    const made = fill.slice(), channels = input.length / mask.length;
    for (let point = 0; point < mask.length; point++) {
      if (!mask[point]) continue;
      for (let place = point * channels; place < (point + 1) * channels; place++) made[place] = input[place];
    }
    return made;
  }

  /* A fill for an input [height, width]: an array, or the input blurred by a Gaussian that is the share
     ``blur`` of its size wide. */
  function filled({ values, blur }, input, [height, width]) {
    if (values) return values;
    const channels = input.length / (height * width);
    const columns = smooth(input, height, width * channels, blur * height);
    return smooth(columns, width, channels, blur * width);
  }

  /* Smooth along the axis of this length whose neighbours lie a stride apart; its ends go on for ever. */
  function smooth(values, length, stride, sigma) {
    const radius = Math.floor(4 * sigma + 0.5), made = new Float32Array(values.length);
    const weights = Array.from({ length: 2 * radius + 1 }, (_, place) =>
      Math.exp(-((place - radius) ** 2) / (2 * sigma ** 2)));
    const total = weights.reduce((sum, weight) => sum + weight);
    for (let start = 0; start < values.length; start++) {
      const middle = Math.floor(start / stride) % length, first = start - middle * stride;
      let sum = 0;
      for (let offset = -radius; offset <= radius; offset++) {
        const place = Math.min(Math.max(middle + offset, 0), length - 1);
        sum += weights[offset + radius] * values[first + place * stride];
      }
      made[start] = sum / total;
    }
    return made;
  }

  return { kept, masked, filled };
})();
