"""What Quantus and pytorch-grad-cam make of maps, for ``test_metric_oracles.py`` to compare with.

Run it in the environment of ``make_oracles.py`` with Quantus added, whose own requirements would
bring what is not used here:

    oracle/bin/pip install --no-deps quantus==0.6.0 pandas pytz tzdata cachetools \\
        scikit-image imageio tifffile lazy-loader
    oracle/bin/python tests/oracles/make_metric_oracles.py

It writes ``metric_oracles.npz`` beside itself: maps and truths of several kinds, and the values of
each metric for them. The network, its input and the targets are those of ``oracles.npz``. Only
``rank_tied``, ``rank_constant`` and ``rank_undefined`` may change from machine to machine, with the
order in which NumPy's unstable sort puts equal values there.
"""

from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from make_oracles import Network, import_pytorch_grad_cam

import_pytorch_grad_cam()  # with a stand-in for torchvision, before its parts are imported

import quantus
from pytorch_grad_cam.metrics import cam_mult_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

MAPS, SIZE, ROUNDS = 10, 8, 6
LOCALIZATION = {
    "mass": quantus.RelevanceMassAccuracy,
    "rank": quantus.RelevanceRankAccuracy,
    "pointing": quantus.PointingGame,
}


def localization(metric, maps, truth, **options):
    """The value of each map, at Quantus' defaults; no model is asked."""
    metric = LOCALIZATION[metric](disable_warnings=True, **options)
    maps, truth = np.asarray(maps, float)[:, np.newaxis], truth[:, np.newaxis]
    labels = np.zeros(len(maps), int)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = metric(None, maps, labels, maps, truth, channel_first=True, batch_size=len(maps))
    return np.asarray(found, float)


def make_localization(rng):
    shape = (MAPS, SIZE, SIZE)
    signed, truth = rng.standard_normal(shape), rng.random(shape) < 0.3
    truth[0] = True
    negative = -rng.random(shape)
    negative[0, 0, 0] = 0  # Quantus refuses a batch that is below 0 everywhere
    kinds = {
        "positive": rng.random(shape),
        "signed": signed,
        "negative": negative,
        "tied": rng.integers(0, 4, shape),
        "constant": np.repeat([0.0, 2.0, -2.0], [4, 3, 3])[:, None, None] * np.ones(shape),
    }
    undefined = np.where(truth & (signed > 0), np.nan, signed)
    undefined[-1] = signed[-1]
    arrays = {"truth": truth, "undefined": undefined} | kinds
    for metric in LOCALIZATION:
        arrays |= {f"{metric}_{kind}": localization(metric, kinds[kind], truth) for kind in kinds}
        arrays[f"{metric}_without_truth"] = localization(metric, signed, np.zeros(shape, bool))
        arrays[f"{metric}_undefined"] = localization(metric, undefined, truth)
    arrays["mass_positive_part"] = localization("mass", np.maximum(signed, 0), truth)
    arrays["mass_absolute"] = localization("mass", signed, truth, abs=True)
    return arrays


def make_ranks_of_ties(rng):
    """The mean over all orders of six points, of which some are equal: every choice among them."""
    orders = np.array(list(permutations(range(6))))
    maps, truth = rng.integers(0, 3, (MAPS, 6)), np.arange(6) < np.arange(MAPS)[:, None] % 5 + 1
    pairs = [(one[orders][:, None], inside[orders][:, None]) for one, inside in zip(maps, truth)]
    means = [localization("rank", *pair).mean() for pair in pairs]
    return {"six_points": maps, "six_truth": truth, "six_rank": means}


def load():
    """The network of ``oracles.npz``, its input and the targets."""
    oracles = np.load(Path(__file__).with_name("oracles.npz"))
    model = Network().eval()
    for index, parameter in enumerate(model.parameters()):
        array = oracles[f"weight_{index}"]
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        parameter.data = torch.tensor(array)
    return model, torch.tensor(oracles["x"].transpose(0, 3, 1, 2)), oracles["target"].astype(int)


def unit_scale(maps):
    low, high = (of(maps, axis=(1, 2), keepdims=True) for of in (np.min, np.max))
    return (maps - low) / (high - low)


def make_faithfulness(rng, model, x, target):
    """Several maps of each input, which keep from most of it to little of it."""
    x, target = x.repeat(ROUNDS, 1, 1, 1), np.tile(target, ROUNDS)
    drawn = rng.random((len(x), *x.shape[2:])) ** np.geomspace(0.1, 4, len(x))[:, None, None]
    maps = unit_scale(drawn).astype(np.float32)
    targets = [ClassifierOutputSoftmaxTarget(int(label)) for label in target]
    change = cam_mult_image.CamMultImageConfidenceChange()
    drop = cam_mult_image.DropInConfidence()
    return {
        "multiplied_by": maps,
        "full": change(x, np.ones_like(maps), targets, model, return_diff=False),
        "drop": drop(x, maps, targets, model),
        "drop_of_half": drop(x, maps / 2, targets, model),
        "increase": cam_mult_image.IncreaseInConfidence()(x, maps, targets, model),
    }


def sensitivity(model, x, target, maps, others):
    """For one change of the input, which gives the others."""
    metric = quantus.MaxSensitivity(
        nr_samples=1, return_nan_when_prediction_changes=False, disable_warnings=True
    )
    given = {"explain_func": lambda **asked: others[:, np.newaxis], "channel_first": True}
    with np.errstate(divide="ignore", invalid="ignore"):
        return metric(model, x.numpy(), target, maps[:, np.newaxis], **given)


def make_similarity(rng, model, x, target):
    """Pairs of maps, also rounded, with equal points, and with zeros: in one map and in both."""
    maps = rng.standard_normal((len(x), *x.shape[2:]))
    others = 0.5 * maps + rng.standard_normal(maps.shape)
    pairs = {"": (maps, others), "_of_ties": (np.round(maps), np.round(others))}
    kept = np.array([[0, 0, 1, 1], [1, 0, 1, 1]])[:, :, np.newaxis, np.newaxis]
    pairs["_of_zeros"] = tuple(np.stack(pairs[""]) * kept)
    scaled = map(unit_scale, (maps, others))
    arrays = {"maps": maps, "others": others, "kept": kept}
    for kind, pair in pairs.items():
        points = (each.reshape(len(x), -1) for each in pair)
        arrays[f"rank_correlation{kind}"] = [*map(quantus.correlation_spearman, *points)]
        arrays[f"change{kind}"] = sensitivity(model, x, target, *pair)
    return arrays | {
        "structural_similarity": quantus.ssim(*scaled, batched=True),
        "structural_similarity_unscaled": quantus.ssim(maps, others, batched=True),
    }


def main():
    rng = np.random.default_rng(0)
    np.random.seed(0)  # of the noise that Quantus adds to the input
    network = load()
    arrays = make_localization(rng) | make_ranks_of_ties(rng)
    arrays |= make_faithfulness(rng, *network) | make_similarity(rng, *network)
    np.savez_compressed(Path(__file__).with_name("metric_oracles.npz"), **arrays)


if __name__ == "__main__":
    main()
