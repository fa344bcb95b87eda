"""What it saves to ask the model once for all metrics, against each metric on its own.

``python benchmarks/evaluation.py`` takes about two minutes: a random map of 16 synthetic tiles, all
metrics of faithfulness that need no second explanation, in all settings of the audit.
"""

import time

import numpy as np

from xai_utils import metrics
from xai_utils.data import Samples, synthetic_tissue, unit_range
from xai_utils.metrics.faithfulness import blurred
from xai_utils.models import predict
from xai_utils.networks.architectures import vgg7
from xai_utils.networks.weights import load_weights, shipped_weights

FRACTIONS, RULES = [0.15, 0.3, 0.5, 0.9], ["exact", "published"]


def main():
    x = unit_range(synthetic_tissue.generate(2, seed=1)[0])
    model = load_weights(vgg7(), shipped_weights("vgg7_synthetic", 0))
    target = predict(model, x).argmax(axis=1)
    samples = Samples(x, target, np.arange(len(x)).astype(str))
    fills = {"black": 0.0, "mean": x.mean(axis=0), "blur": blurred(x)}
    maps = {"random": np.random.default_rng(0).random(x.shape[:-1])}
    names = [n for n in metrics.of_family("faithfulness") if n not in metrics.NEEDS_AGAIN]

    def timed(*groups):
        started = time.perf_counter()
        for group in groups:
            metrics.evaluate(
                model, samples, target, maps,
                metrics=group, fills=fills, fractions=FRACTIONS, rules=RULES,
            )  # fmt: skip
        return time.perf_counter() - started

    timed(names[:1])  # builds the graph
    shared, apart = timed(names), timed(*([name] for name in names))
    print(f"all at once {shared:.1f} s, one after the other {apart:.1f} s")
    print(f"shared / apart = {shared / apart:.2f}")


if __name__ == "__main__":
    main()
