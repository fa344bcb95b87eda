"""What students get beside the notebooks: signals, tiles and networks, as files that need no ``xai_utils``."""

import numpy as np

from xai_utils.attributions import explain
from xai_utils.data import hmt, mnist1d, unit_range
from xai_utils.networks import long_trainings
from xai_utils.networks.architectures import shallow_cnn, vgg7
from xai_utils.networks.weights import load_weights
from xai_utils.run.files import whole
from xai_utils.study.maps import firsts
from xai_utils.study.plan import STUDIED

TILES_PER_CLASS = 20  # of the test tiles: eight megabytes
MAPS_PER_CLASS = 3  # of the tiles; of signals all


def write_data(folder, hmt_dir=None):
    """Write the data, the maps and the network of ``signals`` and ``tiles``; return where the tiles came from, as
    :func:`xai_utils.data.hmt.find` says it."""
    signals = mnist1d.load()
    with whole(folder / "signals.npz") as partial:
        np.savez_compressed(
            partial,
            x_train=signals.train.x,
            y_train=signals.train.y,
            x_test=signals.test.x,
            y_test=signals.test.y,
            inside=mnist1d.template_intervals(),
            templates=mnist1d.templates(),
        )
    model, _ = _best("shallow_cnn", shallow_cnn())
    _save(model, folder / "signals.keras")
    _save_maps(model, signals.test.x, np.arange(len(signals.test)), folder / "signals_maps.npz")

    path, source = hmt.find(hmt_dir)
    tissue = hmt.load(path)
    model, facts = _best(long_trainings.name_of(source), vgg7())
    _save(model, folder / "tiles.keras")
    test = tissue.test.take(firsts(tissue.test.y, TILES_PER_CLASS))
    _save_maps(model, unit_range(test.x), firsts(test.y, MAPS_PER_CLASS), folder / "tiles_maps.npz")
    with whole(folder / "tiles.npz") as partial:
        np.savez_compressed(
            partial,
            x=test.x,
            y=test.y,
            classes=np.array([name[3:].capitalize() for name in tissue.classes]),
            mean=tissue.train.x.mean(axis=0).astype(np.float32),
            source=source,
            **{f"history {name}": values for name, values in facts["history"].items()},
        )
    return source


def _best(name, model):
    """A network with its weights of the seed that does best on held-out samples, and its training's facts."""
    path, facts = long_trainings.best(long_trainings.shipped_seeds(name))
    return load_weights(model, path), facts


def _save_maps(model, x, places, path):
    """The maps of the samples at ``places``, for the class that is predicted."""
    maps = {method: explain(model, x[places], method=method) for method in STUDIED}
    with whole(path) as partial:
        np.savez_compressed(partial, places=places, **maps)


def _save(model, path):
    with whole(path) as partial:
        model.save(partial)
