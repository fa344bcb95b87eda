"""What bfloat16 convolutions save in training the VGG-7, against float32, on this processor.

``python benchmarks/precision.py`` takes about a minute. The two take turns, so that a machine that
slows down slows down both.
"""

import time

import numpy as np

from xai_utils.networks.architectures import vgg7
from xai_utils.networks.recipes import VGG7, adamw
from xai_utils.networks.training import BATCH_SIZE

ROUNDS, STEPS = 5, 4
DTYPES = ("float32", "mixed_bfloat16")


def main():
    rng = np.random.default_rng(0)
    size, labels = VGG7.crop, rng.integers(0, 8, BATCH_SIZE)
    x = rng.random((BATCH_SIZE, size, size, 3), np.float32)
    models = {dtype: vgg7(average=1, batch_normalization=True, dtype=dtype) for dtype in DTYPES}
    for model in models.values():
        model.compile(adamw(1000), loss="sparse_categorical_crossentropy")
        model.train_on_batch(x, labels)
    seconds = {dtype: [] for dtype in DTYPES}
    for _ in range(ROUNDS):
        for dtype, model in models.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(x, labels)
            seconds[dtype].append((time.perf_counter() - started) / STEPS)
    float32, bfloat16 = (np.median(seconds[dtype]) for dtype in DTYPES)
    print(f"float32 {float32 * 1e3:.0f} ms a step, bfloat16 {bfloat16 * 1e3:.0f} ms")
    print(f"bfloat16 / float32 = {bfloat16 / float32:.2f}")


if __name__ == "__main__":
    main()
