"""How the two networks are trained: recipes, augmentation, initial weights, checkpoints."""

import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xai_utils import show_progress
from xai_utils.data import hmt
from xai_utils.models import load_weights, shallow_cnn, shipped_weights, vgg7
from xai_utils.results import write

BATCH_SIZE = 32


@dataclass(frozen=True)
class Recipe:
    """How long, with which optimizer and on which variants of the samples a network is trained.

    ``optimizer`` takes the number of steps; ``augment(x, rng)`` turns samples into a batch of
    network input. With ``crop``, the batch is cut to squares of that many pixels, but for the last
    eighth of the epochs, which show whole tiles.
    """

    epochs: int
    optimizer: Callable
    augment: Callable
    crop: int | None = None


def adamw(steps):
    """AdamW, its learning rate falling from 3e-3 to zero on a cosine."""
    return keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(3e-3, steps))


def sgd(steps):
    """Plain stochastic gradient descent, as the reports used it: Keras' default, at 0.01."""
    return keras.optimizers.SGD(0.01)


def shallow_cnn_at(path, samples):
    """The 1-D CNN with the weights at ``path``, trained first on ``samples`` if there are none."""
    if not path.exists():
        model, history = train_shallow_cnn(samples, STRONG, seed=0)
        save(model, path, epochs=STRONG.epochs, seed=0, history=history)
    return load_weights(shallow_cnn(), path)


def vgg7_at(path, source):
    """The VGG-7 with the weights at ``path``, by default those shipped for data of ``source``."""
    if not path.exists():
        shipped = shipped_weights(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(provenance_path(shipped), provenance_path(path))
        shutil.copy(shipped, path)
    return load_weights(vgg7(), path)


def train_shallow_cnn(samples, recipe, *, seed):
    """Train the 1-D CNN; returns the model and its history, a dict of one list a curve.

    A tenth of the training signals is held out for the validation curves.
    """
    _make_reproducible(seed)
    order = np.random.default_rng(seed).permutation(len(samples))
    held_out = samples.take(order[: len(order) // 10])
    kept = samples.take(order[len(order) // 10 :])
    return _fit(shallow_cnn(), recipe, kept, (held_out.x, held_out.y), seed=seed)


def train_vgg7(samples, recipe, *, seed, held_out=None, checkpoint=None):
    """Train the VGG-7 on uint8 tiles; returns the model and its history, as above.

    ``held_out`` are the indices of the tiles to validate on, by default :func:`hold_out_images`.
    With a ``checkpoint``, a path that ends in ``.keras``, every epoch is saved there, and a
    training that was interrupted goes on after the last one.
    """
    _make_reproducible(seed)
    held_out = hold_out_images(samples) if held_out is None else held_out
    kept = samples.take(np.setdiff1d(np.arange(len(samples)), held_out))
    model = vgg7(dtype=convolution_dtype())
    few = np.random.default_rng(seed).choice(len(kept), min(256, len(kept)), replace=False)
    batch = unit_range(kept.x[few])
    # NumPy's float32 sum over millions of pixels is off by a percent, its float64 sum is not.
    model.get_layer("normalization").adapt(batch.astype(np.float64))
    scale_initial_weights(model, batch)
    validation = unit_range(samples.x[held_out]), samples.y[held_out]
    model, history = _fit(model, recipe, kept, validation, seed=seed, checkpoint=checkpoint)
    trained = vgg7()  # in float32, whatever the convolutions were trained in
    trained.set_weights(model.get_weights())
    trained.get_layer("normalization").finalize_state()  # set_weights alone does not
    return trained, history


def convolution_dtype():
    """The precision to train convolutions in: bfloat16 where the processor computes in it.

    There it takes little more than half the time of float32 (``benchmarks/precision.py``); where it
    is emulated, it takes longer. The other layers stay in float32.
    """
    flags = Path("/proc/cpuinfo")
    words = flags.read_text().split() if flags.exists() else []
    native = "avx512_bf16" in words or "amx_bf16" in words
    return "mixed_bfloat16" if native else "float32"


def hold_out_images(samples):
    """The indices of the tiles to validate on, about a twentieth, of parent images of their own.

    Of twenty stratified folds, it is the one that shows the most classes and, of those, the most
    parent images; the fewest tiles if that is not enough to decide.
    """
    images = hmt.parent_images(samples.names)
    splitter = StratifiedGroupKFold(20, shuffle=True, random_state=0)
    folds = [fold for _, fold in splitter.split(samples.y, samples.y, images)]
    return max(folds, key=lambda fold: (len({*samples.y[fold]}), len({*images[fold]}), -len(fold)))


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


def as_they_are(x, rng):
    """No augmentation."""
    return x


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


def random_crop(tiles, size, rng):
    """A square of ``size`` pixels from a random place of each tile."""
    places = rng.integers(0, np.array(tiles.shape[1:3]) - size + 1, (len(tiles), 2))
    return np.stack(
        [tile[top : top + size, left : left + size] for tile, (top, left) in zip(tiles, places)]
    )


COURSE = Recipe(200, sgd, as_they_are)  # as report 003 prints it: the schedule there is not used
STRONG = Recipe(100, adamw, augment_signals)
VGG7 = Recipe(80, adamw, augment_tiles, crop=96)


def _make_reproducible(seed):
    """The same seed on the same machine gives the same weights."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _fit(model, recipe, kept, validation, *, seed, checkpoint=None):
    """Train, from the checkpoint where there is one; returns the model and its history."""
    steps = len(kept) // BATCH_SIZE
    model.compile(
        recipe.optimizer(recipe.epochs * steps),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    epochs = []
    if checkpoint and checkpoint.exists():
        model, epochs = _read_checkpoint(checkpoint, steps)
    left = range(len(epochs), recipe.epochs)
    for epoch in tqdm(left, desc=model.name, unit="epoch", disable=not show_progress()):
        fitted = model.fit(
            _batches(kept, recipe, epoch, seed),
            steps_per_epoch=steps,
            validation_data=validation,
            verbose=0,
        )
        epochs.append({curve: round(value, 5) for curve, [value] in fitted.history.items()})
        if checkpoint:
            _write_checkpoint(model, epochs, checkpoint)
    return model, {curve: [epoch[curve] for epoch in epochs] for curve in epochs[0]}


def _batches(samples, recipe, epoch, seed):
    """The augmented batches of one epoch; a random state of its own lets a training go on there."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(samples))
    for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        x = samples.x[chosen]
        if recipe.crop and epoch < recipe.epochs - recipe.epochs // 8:
            x = random_crop(x, recipe.crop, rng)
        yield recipe.augment(x, rng), samples.y[chosen]


def _write_checkpoint(model, epochs, path):
    """The history first: a kill in between leaves one epoch too many there, which is dropped."""
    write(path.with_suffix(".json"), json.dumps(epochs))
    partial = path.with_name("partial-" + path.name)
    model.save(partial)
    partial.rename(path)


def _read_checkpoint(path, steps):
    model = keras.models.load_model(path)
    epochs = json.loads(path.with_suffix(".json").read_text())
    return model, epochs[: int(model.optimizer.iterations) // steps]


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
