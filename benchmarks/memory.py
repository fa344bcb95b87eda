"""Peak memory of explaining and scoring many tiles beside that of a few.

``python benchmarks/memory.py`` takes about ten minutes: Grad-CAM of 500 and of 20,000 synthetic
tiles, the drop and increase rate of each, and the intervals of their means, every number of tiles in a
process of its own. The tiles are made when they are asked for, as a job would read them.
"""

import os
import resource
import subprocess
import sys
import tempfile

import numpy as np

from xai_utils.data import Samples, synthetic_tissue, unit_range
from xai_utils.metrics import settings
from xai_utils.models import predict
from xai_utils.study import maps, samples, scores, statistics

FEW, MANY, ALLOWED = 500, 20_000, 500  # tiles, tiles, megabytes
RATES = ("drop_rate", "increase_rate")


class Tiles:
    """``count`` tiles, no two alike, none in memory: a few drawn ones, moved by their number."""

    dtype = np.dtype(np.float32)

    def __init__(self, count):
        self.drawn = unit_range(synthetic_tissue.generate(1, seed=1)[0])
        self.shape = (count, *self.drawn.shape[1:])

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, places):
        if np.ndim(places) == 0 and not isinstance(places, slice):
            turns, which = divmod(places, len(self.drawn))
            if places >= len(self):
                raise IndexError(places)
            return np.roll(self.drawn[which], divmod(turns, self.shape[2]), axis=(0, 1))
        return np.stack([self[int(place)] for place in np.arange(len(self))[places]])


def explain_and_score(count):
    """Do it, and print the peak memory of this process in megabytes, and the seconds of computing."""
    model, tiles = samples.synthetic_network(), Tiles(count)
    own = Samples(tiles, np.zeros(count, int), np.arange(count).astype(str))
    parts = [slice(start, start + 32) for start in range(0, count, 32)]
    target = np.concatenate([predict(model, tiles[part]).argmax(axis=1) for part in parts])
    stored, _ = maps.compute_maps(model, own, target, "grad_cam", {})
    asked = settings(RATES, fractions=[0.9], fills=["black"], rules=["exact"])
    table = scores.faithfulness_scores(
        model, own, target, {"grad_cam": stored}, asked=asked, fills={"black": 0.0}
    )
    statistics.summarize(table)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main():
    if len(sys.argv) > 1:
        return explain_and_score(int(sys.argv[1]))
    peaks = {}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, str(count)],
                env=os.environ | {"XAI_OUTPUT": folder},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        peaks[count] = int(done.stdout)
        print(f"{count} tiles: {peaks[count]} MB at most", flush=True)
    more = peaks[MANY] - peaks[FEW]
    print(f"{MANY} tiles need {more} MB more than {FEW} (allowed: {ALLOWED})")


if __name__ == "__main__":
    main()
