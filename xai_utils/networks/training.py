"""Training: what is held out, batches, checkpoints."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xai_utils import show_progress
from xai_utils.data import Samples, hmt, unit_range
from xai_utils.networks.architectures import folded, shallow_cnn, vgg7
from xai_utils.networks.recipes import draw, random_crop
from xai_utils.run.files import whole, write

BATCH_SIZE = 32


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

    ``samples.y`` are classes ``(n,)``, or the probability of each, ``(n, classes)``. ``held_out`` are tiles for the validation curves; without them there are none. With a
    ``checkpoint``, a path that ends in ``.keras``, every epoch is saved there, and a training that was
    interrupted goes on after the last one.
    """
    _make_reproducible(seed)
    # What the first layer of the network does is done once, and not in every epoch.
    kept = Samples(_averaged(samples.x), samples.y, samples.names)
    validation = None if held_out is None else (_averaged(held_out.x), held_out.y)
    model = vgg7(average=1, batch_normalization=True, dtype=convolution_dtype())
    few = np.random.default_rng(seed).choice(len(kept), min(256, len(kept)), replace=False)
    # NumPy's float32 sum over millions of pixels is off by a percent, its float64 sum is not.
    model.get_layer("normalization").adapt(kept.x[few].astype(np.float64))
    model, history = _fit(model, recipe, kept, validation, seed=seed, checkpoint=checkpoint)
    return folded(model), history  # in float32, whatever the convolutions were trained in


def _averaged(tiles, size=3):
    """uint8 tiles as the first layer of the network makes them: floats, ``size`` × ``size`` averaged."""
    count, height, width, channels = tiles.shape
    blocks = unit_range(tiles[:, : height // size * size, : width // size * size])
    blocks = blocks.reshape(count, height // size, size, width // size, size, channels)
    return blocks.mean(axis=(2, 4))


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


def _make_reproducible(seed):
    """The same seed on the same machine gives the same weights."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _fit(model, recipe, kept, validation, *, seed, checkpoint=None):
    """Train, from the checkpoint where there is one; returns the model and its history."""
    steps = len(kept) // BATCH_SIZE
    model.compile(
        recipe.optimizer(recipe.epochs * steps),
        loss="categorical_crossentropy" if kept.y.ndim == 2 else "sparse_categorical_crossentropy",
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
    classes = samples.y.argmax(axis=1) if samples.y.ndim == 2 else samples.y
    order = draw(classes, recipe.balance, rng)
    for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        x = samples.x[chosen]
        if recipe.crop and epoch < recipe.epochs - recipe.epochs // 8:
            x = random_crop(x, recipe.crop, rng)
        yield recipe.augment(x, rng), samples.y[chosen]


def _write_checkpoint(model, epochs, path):
    """The history first: a kill in between leaves one epoch too many there, which is dropped."""
    write(path.with_suffix(".json"), json.dumps(epochs))
    with whole(path) as partial:
        model.save(partial)


def _read_checkpoint(path, steps):
    model = keras.models.load_model(path)
    epochs = json.loads(path.with_suffix(".json").read_text())
    return model, epochs[: int(model.optimizer.iterations) // steps]
