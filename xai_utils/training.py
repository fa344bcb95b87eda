"""How the two networks are trained.

``python -m xai_utils.training hmt`` makes the weights that ``data/weights`` ships, with their
provenance.
"""

import argparse
import json
import platform
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import GroupShuffleSplit
from tqdm.keras import TqdmCallback

from xai_utils import show_progress
from xai_utils.data import hmt
from xai_utils.models import WEIGHTS, load_weights, shallow_cnn, shipped_weights, vgg7

BATCH_SIZE = 32
SHALLOW_CNN_EPOCHS, VGG7_EPOCHS = 100, 40


def shallow_cnn_at(path, samples):
    """The 1-D CNN with the weights at ``path``, trained first on ``samples`` if there are none."""
    if not path.exists():
        model, history = train_shallow_cnn(samples, epochs=SHALLOW_CNN_EPOCHS, seed=0)
        save(model, path, epochs=SHALLOW_CNN_EPOCHS, seed=0, history=history)
    return load_weights(shallow_cnn(), path)


def vgg7_at(path, source):
    """The VGG-7 with the weights at ``path``, by default those shipped for data of ``source``."""
    if not path.exists():
        shipped = shipped_weights(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(provenance_path(shipped), provenance_path(path))
        shutil.copy(shipped, path)
    return load_weights(vgg7(), path)


def train_shallow_cnn(samples, *, epochs, seed):
    """Train the 1-D CNN; returns the model and its history, a dict of one list a curve.

    A tenth of the training signals is held out to draw the validation curves; nothing is chosen
    by them.
    """
    _make_reproducible(seed)
    order = np.random.default_rng(seed).permutation(len(samples))
    held_out = samples.take(order[: len(order) // 10])
    kept = samples.take(order[len(order) // 10 :])
    model = shallow_cnn()
    history = _fit(model, kept, held_out, augment_signals, epochs=epochs, seed=seed)
    return model, history


def train_vgg7(samples, *, epochs, seed):
    """Train the VGG-7 on uint8 tiles; returns the model and its history, as above.

    What is held out are the tiles of a tenth of the parent images.
    """
    _make_reproducible(seed)
    kept, held_out = hold_out_images(samples, seed)
    model = vgg7()
    few = np.random.default_rng(seed).choice(kept, min(256, len(kept)), replace=False)
    batch = unit_range(samples.x[few])
    model.get_layer("normalization").adapt(batch)
    scale_initial_weights(model, batch)
    history = _fit(
        model, samples.take(kept), samples.take(held_out), augment_tiles, epochs=epochs, seed=seed
    )
    return model, history


def hold_out_images(samples, seed):
    """The indices of the tiles to train on, and of those from a tenth of the parent images."""
    splitter = GroupShuffleSplit(1, test_size=0.1, random_state=seed)
    return next(splitter.split(samples.y, groups=hmt.parent_images(samples.names)))


def unit_range(tiles):
    """uint8 tiles as float32 in [0, 1], the input of the networks."""
    return tiles.astype(np.float32) / 255


def scale_initial_weights(model, batch):
    """Scale each layer's kernel so that its pre-activations on ``batch`` have unit variance.

    Without it the VGG-7 stays for dozens of epochs where it starts (Mishkin & Matas, 2016, All
    you need is a good init; the part of their method that matters here).
    """
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            before = keras.Model(model.inputs[0], layer.input).predict(batch, verbose=0)
            activation, layer.activation = layer.activation, keras.activations.linear
            deviation = tf.math.reduce_std(layer(before))
            layer.activation = activation
            layer.kernel.assign(layer.kernel / deviation)


def augment_signals(x, rng):
    """Roll by up to 6 points, scale by 0.8 to 1.2, add a slope and a little noise."""
    rolled = np.stack([np.roll(signal, rng.integers(-6, 7), axis=0) for signal in x])
    scale = rng.uniform(0.8, 1.2, (len(x), 1, 1))
    slope = rng.uniform(-0.5, 0.5, (len(x), 1, 1)) * np.linspace(-1, 1, x.shape[1])[:, None]
    noise = rng.normal(0, 0.05, x.shape)
    return (scale * rolled + slope + noise).astype(np.float32)


def augment_tiles(tiles, rng):
    """Flip and rotate by quarter turns, and jitter each colour channel by a few percent."""
    turned = np.empty_like(tiles)
    for index, tile in enumerate(tiles):
        tile = np.rot90(tile, rng.integers(4))
        turned[index] = tile[::-1] if rng.integers(2) else tile
    gain = rng.uniform(0.95, 1.05, (len(tiles), 1, 1, 3))
    shift = rng.uniform(-0.03, 0.03, (len(tiles), 1, 1, 3))
    return (unit_range(turned) * gain + shift).astype(np.float32)


def _make_reproducible(seed):
    """The same seed on the same machine gives the same weights."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _fit(model, kept, held_out, augment, *, epochs, seed):
    """AdamW from 3e-3 with cosine decay on augmented batches; returns the history."""
    steps = len(kept) // BATCH_SIZE
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(3e-3, epochs * steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    held_out_x = unit_range(held_out.x) if held_out.x.dtype == np.uint8 else held_out.x
    history = model.fit(
        _batches(kept, augment, np.random.default_rng(seed)),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=(held_out_x, held_out.y),
        callbacks=[TqdmCallback(verbose=0)] if show_progress() else [],
        verbose=0,
    )
    return {curve: [float(value) for value in values] for curve, values in history.history.items()}


def _batches(samples, augment, rng):
    """Augmented batches without end, each epoch in a new order."""
    while True:
        order = rng.permutation(len(samples))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            yield augment(samples.x[chosen], rng), samples.y[chosen]


def save(model, path, **provenance):
    """Write the weights to ``path`` (``….weights.h5``), and how they were made beside them."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    provenance |= {
        "parameters": model.count_params(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "machine": platform.machine(),
    }
    partial = path.with_name("partial-" + path.name)
    bare = model.__class__.from_config(model.get_config())  # without the optimizer's state
    bare.set_weights(model.get_weights())
    bare.save_weights(partial)
    provenance_path(path).write_text(json.dumps(provenance, indent=1) + "\n")
    partial.rename(path)


def provenance_path(path):
    """The file beside a weight file that says how it was made."""
    return Path(path).with_name(Path(path).name.replace(".weights.h5", ".json"))


def main():
    parser = argparse.ArgumentParser(description="Train the VGG-7 whose weights are shipped.")
    parser.add_argument("dataset", choices=["hmt", "synthetic"])
    parser.add_argument("--hmt-dir")
    parser.add_argument("--epochs", type=int, default=VGG7_EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    data = hmt.load("synthetic" if options.dataset == "synthetic" else options.hmt_dir)
    model, history = train_vgg7(data.train, epochs=options.epochs, seed=options.seed)
    predicted = model.predict(unit_range(data.test.x), verbose=0).argmax(axis=1)
    save(
        model,
        options.output / f"vgg7_{options.dataset}.weights.h5",
        data=data.source,
        data_sha256=data.train.checksum(),
        epochs=options.epochs,
        seed=options.seed,
        test_accuracy=float(np.mean(predicted == data.test.y)),
        history=history,
    )


if __name__ == "__main__":
    main()
