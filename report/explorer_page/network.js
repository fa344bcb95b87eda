"use strict";

/* A network as a list of layers, each a function of an array (height, width, channels) in one Float32Array;
   a signal is one row high. Nothing here is from outside the function: its source is all that a worker gets. */
function makeNetwork() {
  const layers = { convolution, pooling, globalAverage, flatten, normalization };
  const activations = { linear: (values) => values, relu, softmax };

  /* The output of the last layer, for values of the shape [height, width, channels]. */
  function run(network, values, shape) {
    return network.reduce((given, layer) => layers[layer.kind](layer, given), { values, shape }).values;
  }

  /* A dense layer is a convolution of one point. The innermost loop runs along the kernel in memory; what a
     ReLU has set to 0 is passed over. */
  function convolution({ kernel, bias, size, filters, strides, padding, activation }, { values, shape }) {
    const [height, width, channels] = shape;
    const [rows, top] = windows(height, size[0], strides[0], padding);
    const [columns, left] = windows(width, size[1], strides[1], padding);
    const made = new Float32Array(rows * columns * filters), sums = new Float64Array(filters);
    for (let row = 0, place = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      sums.set(bias);
      for (let i = 0; i < size[0]; i++) {
        const y = row * strides[0] + i - top;
        if (y < 0 || y >= height) continue;
        for (let j = 0; j < size[1]; j++) {
          const x = column * strides[1] + j - left;
          if (x < 0 || x >= width) continue;
          const from = (y * width + x) * channels;
          let weight = (i * size[1] + j) * channels * filters;
          for (let channel = 0; channel < channels; channel++, weight += filters) {
            const value = values[from + channel];
            if (value === 0) continue;
            for (let filter = 0; filter < filters; filter++) sums[filter] += value * kernel[weight + filter];
          }
        }
      }
      made.set(sums, place);
      place += filters;
    }
    return { values: activations[activation](made, filters), shape: [rows, columns, filters] };
  }

  /* The largest value or, of those that there are, the mean of each window. */
  function pooling({ average, size, strides, padding }, { values, shape }) {
    const [height, width, channels] = shape;
    const [rows, top] = windows(height, size[0], strides[0], padding);
    const [columns, left] = windows(width, size[1], strides[1], padding);
    const made = new Float32Array(rows * columns * channels);
    for (let row = 0, place = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const first = row * strides[0] - top, start = column * strides[1] - left;
      const up = Math.max(first, 0), down = Math.min(first + size[0], height);
      const near = Math.max(start, 0), far = Math.min(start + size[1], width);
      for (let channel = 0; channel < channels; channel++, place++) {
        let sum = 0, largest = -Infinity;
        for (let y = up; y < down; y++) for (let x = near; x < far; x++) {
          const value = values[(y * width + x) * channels + channel];
          sum += value;
          if (value > largest) largest = value;
        }
        made[place] = average ? sum / ((down - up) * (far - near)) : largest;
      }
    }
    return { values: made, shape: [rows, columns, channels] };
  }

  function globalAverage(_, given) {
    const [height, width] = given.shape;
    return pooling({ average: true, size: [height, width], strides: [1, 1], padding: "valid" }, given);
  }

  function flatten(_, { values }) {
    return { values, shape: [1, 1, values.length] };
  }

  function normalization({ mean, deviation }, { values, shape }) {
    const made = values.map((value, place) => {
      const channel = place % mean.length;
      return (value - mean[channel]) / deviation[channel];
    });
    return { values: made, shape };
  }

  /* How many windows there are along an axis, and how many points of the first lie before the input. */
  function windows(length, size, stride, padding) {
    if (padding === "valid") return [Math.floor((length - size) / stride) + 1, 0];
    const count = Math.ceil(length / stride);
    return [count, Math.max(0, (count - 1) * stride + size - length) >> 1];
  }

  function relu(values) {
    return values.map((value) => Math.max(value, 0));
  }

  /* Over the channels of each point. */
  function softmax(values, channels) {
    for (let start = 0; start < values.length; start += channels) {
      const own = values.subarray(start, start + channels), largest = Math.max(...own);
      const powers = Array.from(own, (value) => Math.exp(value - largest));
      const sum = powers.reduce((total, power) => total + power);
      own.set(powers.map((power) => power / sum));
    }
    return values;
  }

  return { run };
}

/* What a worker does with a network: it is given layers and a shape, and from then on answers inputs. */
function answerInputs(network) {
  let layers, shape;
  onmessage = ({ data }) => {
    if (data.layers) ({ layers, shape } = data);
    else postMessage({ key: data.key, probabilities: network.run(layers, data.input, shape) });
  };
}

/* A worker of these functions alone: a page of the file system may not load one from a file. */
function startWorker() {
  const source = `"use strict"; (${answerInputs})((${makeNetwork})());`;
  return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
}
