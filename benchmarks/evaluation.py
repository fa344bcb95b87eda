"""What it saves to ask the model once for all metrics, against each metric on its own.

``python benchmarks/evaluation.py`` takes about two minutes: a random map of 16 synthetic tiles, all
metrics of faithfulness that need no second explanation, in all settings of the audit.
"""

import time

import numpy as np

from xai_utils import metrics, models, training
from xai_utils.data import Samples, synthetic_tissue
from xai_utils.metrics.faithfulness import blurred

FRACTIONS, RULES = [0.15, 0.3, 0.5, 0.9], ["exact", "published"]


def main():
    x = training.unit_range(synthetic_tissue.generate(2, seed=1)[0])
    model = models.load_weights(models.vgg7(), models.shipped_weights("synthetic"))
    target = models.predict(model, x).argmax(axis=1)
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
