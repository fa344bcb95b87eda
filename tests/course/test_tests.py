"""The tests of the assignment: the model solution passes, and each common mistake loses its points and no others."""

import copy
import sys

import numpy as np
import pytest

from tests.course import notebook
from tests.course.conftest import TASKS

pytestmark = pytest.mark.slow  # all cells of four notebooks are run

IG = "task-2-1-integrated-gradients"
TILE_IG = "task-3-2-integrated-gradients"
# What is changed in which solution, which tests then fail, and what the first of them says.
MISTAKES = {
    "two convolutions": (
        "task-1-1",
        ('keras.layers.Conv1D(25, 3, padding="same", activation="relu"),\n            keras.layers.F', "keras.layers.F"),
        ["task-1-1-visible", "task-1-1-hidden"],
        "a convolution is missing",
    ),
    "no ReLU in the network": (
        "task-1-1", (', activation="relu"', ""), ["task-1-1-hidden"], "the ReLUs are missing",
    ),
    "precision for accuracy of a class": (
        "task-1-3c",
        ("np.mean(predicted[y == label] == label)", "np.mean(y[predicted == label] == label) if (predicted == label).any() else 0"),
        ["task-1-3c-visible"],
        "which is its precision",
    ),
    "percent": ("task-1-3b", ("np.mean(", "100 * np.mean("), ["task-1-3b-visible"], "the share is in percent"),
    "ties in the ROC curve": (
        "task-1-3d",
        (
            "thresholds = np.unique(score)[::-1]\n    reached = score >= thresholds[:, np.newaxis]",
            'rank = np.argsort(np.argsort(-score, kind="stable"))\n'
            "    reached = rank <= np.arange(len(score))[:, np.newaxis]",
        ),
        ["task-1-3d-visible", "task-1-3d-hidden"],
        "equal scores are taken one after the other",
    ),
    "rectangles for trapezoids": (
        "task-1-3d",
        ("(true_positive_rate[1:] + true_positive_rate[:-1]) / 2", "true_positive_rate[1:]"),
        ["task-1-3d-visible", "task-1-3d-hidden"],
        "as high as the curve at their end",
    ),
    "columns of the confusion matrix": (
        "task-1-3e",
        ("counts.sum(axis=1, keepdims=True)", "np.maximum(counts.sum(axis=0), 1)"),
        ["task-1-3e-visible"],
        "the columns are normalized, not the rows",
    ),
    "a confusion matrix that is transposed": (
        "task-1-3e",
        ("    return counts / counts.sum(axis=1, keepdims=True)", "    return (counts / counts.sum(axis=1, keepdims=True)).T"),
        ["task-1-3e-visible"],
        "rows and columns are exchanged",
    ),
    "0 divided by 0": (
        "task-1-3f",
        ("right / max(np.sum(predicted == label), 1)", "right / np.sum(predicted == label)"),
        ["task-1-3f-visible", "task-1-3f-hidden"],
        "divides 0 by 0",
    ),
    "sum for the mean of the gradients": (
        "task-2-1-grad-cam",
        ("gradients.mean(", "gradients.sum("),
        ["task-2-1-grad-cam-visible", "task-2-1-grad-cam-hidden"],
        "the weights are sums over the places, not means",
    ),
    "ReLU before the sum": (
        "task-2-1-grad-cam",
        ("np.maximum((features * weights).sum(axis=-1), 0)", "np.maximum(features * weights, 0).sum(axis=-1)"),
        ["task-2-1-grad-cam-visible", "task-2-1-grad-cam-hidden"],
        "the ReLU comes before the sum over the maps",
    ),
    "no ReLU": (
        "task-2-1-grad-cam",
        ("np.maximum((features * weights).sum(axis=-1), 0)", "(features * weights).sum(axis=-1)"),
        ["task-2-1-grad-cam-visible", "task-2-1-grad-cam-hidden"],
        "the ReLU at the end is missing",
    ),
    "no input factor": (
        IG,
        ("(way * mean)", "mean"),
        [f"{IG}-visible", f"{IG}-hidden"],
        "the factor x - baseline is missing",
    ),
    "no division by the steps": (
        IG,
        (") / steps\n    return", ")\n    return"),
        [f"{IG}-visible", f"{IG}-hidden"],
        "the gradients are summed, not averaged",
    ),
    "mean over the channels": (
        IG, ("(way * mean).sum(axis=-1)", "(way * mean).mean(axis=-1)"), [f"{IG}-visible"], "the channels are averaged, not summed",
    ),
    "absolute channels": (
        TILE_IG,
        ("(x * sum(gradient(a * x) for a in places) / 20)", "abs(x * sum(gradient(a * x) for a in places) / 20)"),
        [f"{TILE_IG}-visible", f"{TILE_IG}-hidden"],
        "absolute values of the channels are summed",
    ),
    "probability for logit": (
        "task-2-2",
        ('"logit"', '"probability"'),
        ["task-2-2-visible", "task-2-2-hidden"],
        "the probability is explained, not the logit",
    ),
    "the predicted class for the target": (
        "task-2-2",
        ("inside = project_a", "target = project_a.probabilities(model, x[np.newaxis]).argmax()\n    inside = project_a"),
        ["task-2-2-hidden"],
        "the predicted class is explained, not the target",
    ),
    "probability for logit, tiles": (
        "task-3-2-grad-cam",
        ('"logit"', '"probability"'),
        ["task-3-2-grad-cam-hidden"],
        "the probability is explained, not the logit",
    ),
    "values for ranks": (
        "task-3-inverted",
        ("[0, 1]", "[0, 1] * 0 + np.corrcoef(one_map.ravel(), other.ravel())[0, 1]"),
        ["task-3-inverted-visible", "task-3-inverted-hidden"],
        "the values are correlated, not their ranks",
    ),
    "ties kept": (
        "task-4-signals-mask",
        (
            '    kept[np.argsort(-one_map.ravel(), kind="stable")[:count]] = True',
            "    kept = one_map.ravel() >= np.sort(one_map.ravel())[::-1][count - 1]",
        ),
        ["task-4-signals-mask-visible", "task-4-signals-mask-hidden"],
        "all points are kept that are equal to the last one",
    ),
    "wrong side of the mask": (
        "task-4-signals-mask",
        ("np.argsort(-one_map", "np.argsort(one_map"),
        ["task-4-signals-mask-visible", "task-4-signals-mask-hidden"],
        "the least salient points are kept",
    ),
    "rounded down": (
        "task-4-signals-mask",
        ("int(fraction * one_map.size + 0.5)", "int(fraction * one_map.size)"),
        ["task-4-signals-mask-visible", "task-4-signals-mask-hidden"],
        "the number of points is rounded down",
    ),
    "a drop below 0": (
        "task-4-signals-rates",
        ("np.maximum(0, 1 - masked / full)", "1 - masked / full"),
        ["task-4-signals-drop-visible"],
        "a confidence that rises counts as a negative drop",
    ),
    "an absolute drop": (
        "task-4-signals-rates",
        ("1 - masked / full", "full - masked"),
        ["task-4-signals-drop-visible"],
        "the drop is not divided by the full confidence",
    ),
    "equal is an increase": (
        "task-4-signals-rates",
        ("masked > full", "masked >= full"),
        ["task-4-signals-increase-visible"],
        "an equal confidence counts as an increase",
    ),
    "the largest probability": (
        "task-4-signals-score",
        ("[each, target]", ".max(axis=1)"),
        ["task-4-signals-score-hidden"],
        "the largest probability is taken, not that of the target",
    ),
    "zero for the mean": (
        "task-4-tiles-fill",
        ('"mean": tiles["mean"]', '"mean": 0'),
        ["task-4-tiles-fill-hidden"],
        "a fill of 0 is used for the mean",
    ),
    "one colour for the mean": (
        "task-4-tiles-fill",
        ('"mean": tiles["mean"]', '"mean": tiles["mean"].mean(axis=(0, 1))'),
        ["task-4-tiles-fill-hidden"],
        "the mean of all pixels is used, one colour",
    ),
    "a control without its seed": (
        "task-4-signals-control",
        ("default_rng(seed)", "default_rng()"),
        ["task-4-signals-control-visible"],
        "Is the seed used?",
    ),
    "one control for all samples": (
        "task-4-signals-control",
        (".random(shape)", ".random(shape[1:]) * np.ones(shape)"),
        ["task-4-signals-control-hidden"],
        "expected 200 different maps, found 1",
    ),
    "best and worst exchanged": (
        "task-4-cases",
        ("int(gap.argmin()), int(gap.argmax())", "int(gap.argmax()), int(gap.argmin())"),
        ["task-4-cases-visible"],
        "the two are exchanged",
    ),
    "a pooling that keeps the length": (
        "task-1-1",
        ("keras.layers.Flatten(),", 'keras.layers.MaxPooling1D(3, strides=1, padding="same"),\n            keras.layers.Flatten(),'),
        ["task-1-1-hidden"],
        "the answers of the network",
    ),
    "a constant for the accuracy": ("task-1-3b", ("np.mean(predicted == y)", "4 / 6"), ["task-1-3b-visible"], "of 200 labels"),
    "one axis of the image": (
        "task-2-1-grad-cam",
        ("tuple(range(features.ndim - 1))", "0"),
        ["task-2-1-grad-cam-visible"],
        "the gradients are averaged over one axis of the image",
    ),
    "a map that is normalized": (
        "task-2-1-grad-cam",
        ("np.maximum((features * weights).sum(axis=-1), 0)", "(m := np.maximum((features * weights).sum(axis=-1), 0)) / m.max()"),
        ["task-2-1-grad-cam-visible", "task-2-1-grad-cam-hidden"],
        "the map is divided by its largest value",
    ),
    "a path from 0": (IG, ("baseline + a * way", "a * x"), [f"{IG}-visible"], "the path begins at 0, not at the baseline"),
    "the predicted class for the target, tiles": (
        TILE_IG,
        ("gradient_function(model, target", "gradient_function(model, project_a.probabilities(model, x[np.newaxis]).argmax()"),
        [f"{TILE_IG}-hidden"],
        "the predicted class is explained, not the target",
    ),
    "rounded up": (
        "task-4-signals-mask",
        ("int(fraction * one_map.size + 0.5)", "int(np.ceil(fraction * one_map.size))"),
        ["task-4-signals-mask-visible"],
        "the number of points is rounded up",
    ),
    "no fill": (
        "task-4-signals-score",
        ("np.where(keep[..., np.newaxis], x, fill)", "np.where(keep[..., np.newaxis], x, 0)"),
        ["task-4-signals-score-visible", "task-4-signals-score-hidden"],
        "the others are 0, whatever the fill",
    ),
    "samples that are changed": (
        "task-4-signals-score",
        ("    return np.where(keep[..., np.newaxis], x, fill)", "    np.copyto(x, fill, where=~keep[..., np.newaxis])\n    return x"),
        ["task-4-signals-score-visible"],
        "it is changed itself",
    ),
    "other tiles than those given": (
        "task-4-tiles-fill",
        ("rates(model, x, target, maps, fraction, fill)", "rates(tile_model, images, tile_target, maps, fraction, fill)"),
        ["task-4-tiles-fill-hidden"],
        "other tiles are scored than those that are given",
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_the_model_solution_passes_every_test(solved, task):
    cells, _, failed = solved[task]
    assert failed == {} and sum(notebook.points(cells).values()) > 0


def failed_with(solved, question, before, after):
    """Which tests fail, ``{name: message}``, where the solution of a question is changed."""
    cells, namespace, _ = solved[f"task_{question[5]}"]
    changed = copy.deepcopy(cells)
    own = changed[f"{question}-solution"]
    assert before in own.source
    own.source = own.source.replace(before, after)
    answers = {name for name in cells if name.endswith("-solution")}
    return notebook.run(changed, dict(namespace), only=answers | notebook.points(cells).keys())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_loses_its_points_and_no_others(solved, mistake):
    question, change, lost, said = MISTAKES[mistake]
    failed = failed_with(solved, question, *change)
    assert sorted(failed) == sorted(lost)
    assert any(said in message for message in failed.values()), failed


def test_a_network_that_saw_the_test_signals_is_found(solved):
    """Trained on them alone, it knows them better than signals that nobody has seen."""
    cells, namespace, _ = solved["task_1"]
    changed = copy.deepcopy(cells)
    changed["task-1-2-solution"].source = (
        "def train(model, x, y):\n"
        '    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])\n'
        '    seen = data["x_test"], data["y_test"]\n'
        "    return model.fit(*seen, batch_size=50, epochs=30, validation_data=seen, verbose=0)\n"
    )
    asked = {"task-1-2-solution", "task-1-2-run", *notebook.points(cells)}
    failed = notebook.run(changed, dict(namespace), only=asked)
    assert list(failed) == ["task-1-2-hidden"]
    assert "trained on the test signals" in failed["task-1-2-hidden"]


@pytest.mark.parametrize(
    "held_out, said",
    [
        ('data["x_test"], data["y_test"]', "it is validated on the test signals"),
        ("x, y", "it is validated on the signals that it is trained on"),
    ],
)
def test_a_validation_that_is_none_is_found(solved, held_out, said):
    change = "validation_split=0.1", f"validation_data=({held_out})"
    failed = failed_with(solved, "task-1-2", *change)
    assert list(failed) == ["task-1-2-hidden"] and said in failed["task-1-2-hidden"]


@pytest.mark.parametrize("task", TASKS)
def test_no_two_mistakes_of_a_test_give_the_same_value(solved, task, monkeypatch):
    """Nor any the expected one: what a test says must be true."""
    cells, namespace, _ = solved[task]
    checks, asked = sys.modules["checks"], []

    def looked_at(what, found, expected, mistakes=None, tolerance=1e-5):
        expected = np.asarray(expected, float)
        values = {"what is expected": expected} | {
            why: np.asarray(value, float) for why, value in (mistakes or {}).items()
        }
        for why, value in values.items():
            alike = [
                other
                for other, one in values.items()
                if one.shape == value.shape and checks._same(one, value, tolerance)
            ]
            assert alike == [why], f"{what}: {alike}"
        asked.append(what)

    monkeypatch.setattr(checks, "expect", looked_at)
    assert notebook.run(cells, dict(namespace), only=notebook.points(cells)) == {}
    assert len(asked) > 3


# Right answers that are written otherwise: of which question, and how.
OTHERWISE = {
    "layers for the ReLUs": (
        "task-1-1", (', activation="relu"),', "),\n            keras.layers.ReLU(),"),
    ),
    "a look at the network first": ("task-1-2", ("model.compile(", "model.summary()\n    model.compile(")),
    "accuracies on the left": ("task-1-3a", ('("loss", "accuracy")', '("accuracy", "loss")')),
    "named arguments": (
        "task-2-2",
        ("integrated_gradients(gradient, x, np.zeros_like(x), 50)", "integrated_gradients(gradient=gradient, x=x, baseline=0 * x, steps=50)"),
    ),
    "imported functions": (
        "task-2-2",
        ("    inside = project_a.features_and_gradients", "    from project_a import features_and_gradients\n\n    inside = features_and_gradients"),
    ),
    "lists": ("task-1-3d", ("return np.append(0, false), np.append(0, true)", "return [0, *false], [0, *true]")),
    "areas by scikit-learn alone": (
        "task-3-1d",
        (
            "return np.array([roc_auc_score(y == label, own) for label, own in enumerate(probabilities.T)])",
            'return roc_auc_score(y, probabilities, multi_class="ovr", average=None)',
        ),
    ),
    "named confidences": (
        "task-4-signals-score",
        ("drop(full, masked).mean(), increase(full, masked).mean()", "drop(full=full, masked=masked).mean(), increase(full=full, masked=masked).mean()"),
    ),
    "a normal control": ("task-4-signals-control", (".random(shape)", ".normal(size=shape)")),
}  # fmt: skip


@pytest.mark.parametrize("way", OTHERWISE)
def test_a_right_answer_that_is_written_otherwise_passes(solved, way):
    question, change = OTHERWISE[way]
    assert failed_with(solved, question, *change) == {}
