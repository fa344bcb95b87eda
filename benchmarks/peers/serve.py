"""What the process of every library does: explain what it is asked to, and say how long that took."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from skimage.segmentation import slic

LEAST = 0.3  # seconds: what takes less is done again and again, as a warm call takes


def segments_of(one, parts=40):
    """The parts of an input ``(*space, channels)``: superpixels of an image, windows of a signal.

    As our surrogates take them; whoever explains by parts has to find them.
    """
    if one.ndim == 2:
        return np.arange(len(one)) * min(parts, len(one)) // len(one)
    unit = (one - one.min()) / (np.ptp(one) or 1)
    _, segments = np.unique(slic(unit, parts, channel_axis=-1), return_inverse=True)
    return segments.reshape(one.shape[:-1])


def serve(load, methods):
    """Answer one question a line, in JSON, until there are no more.

    ``load(folder, network)`` makes a network of what :mod:`peers` left in the folder; ``methods`` is
    ``{(library, method): function}`` of a network, inputs ``(n, *space, channels)``, targets, and how many
    copies of inputs may go through the network at once, as many as ours do; it returns maps ``(n, *space)``.
    """
    folder, answers = Path(sys.argv[1]), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    loaded = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["network"]
        if name not in loaded:
            given = np.load(folder / f"{name}.npz")
            loaded = {name: (load(folder, name), given)}  # one network at a time
        network, given = loaded[name]
        inputs = [given[part][: asked["count"]] for part in ("x", "target")]
        try:
            calls, started = 0, time.perf_counter()
            while calls == 0 or time.perf_counter() - started < LEAST:
                maps = methods[asked["library"], asked["method"]](network, *inputs, int(given["size"]))
                calls += 1
            answer = {"seconds": (time.perf_counter() - started) / calls}
            if asked["keep"]:
                np.save(folder / "maps.npy", np.asarray(maps))
        except Exception as error:  # the row says that this library cannot
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=answers, flush=True)
