"""The authors' implementation of Integrated Grad-CAM, against formulas of each of its steps."""

import keras
import numpy as np
import pytest

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import explain
from xai_utils.data import Samples
from xai_utils.study import integrated_grad_cam
from xai_utils.study.integrated_grad_cam import STEPS, path_maps
from xai_utils.study.samples import SampleSet


def test_the_last_step_is_the_method_but_for_a_factor():
    model, x = small_network(2, pooled=True), some_inputs(2)
    target = np.array([0, 1, 2, 0, 1])
    last = path_maps(model, x, target, **list(STEPS.values())[-1]._asdict(), steps=7)
    method = explain(model, x, target, "integrated_grad_cam", steps=7)
    np.testing.assert_allclose(last / 7, method, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", STEPS)
def test_each_step_by_its_formula(name):
    """Behind an average the gradient at a feature map is the weight of the class, over the positions: so
    a point of the path adds ReLU(Σ_k w_k A^k), with or without the feature maps of the baseline."""
    model, x, step = small_network(2, pooled=True), some_inputs(2, 1), STEPS[name]
    features = keras.Model(model.inputs, model.get_layer("conv").output)
    weights = model.layers[-1].get_weights()[0][:, 2]
    shift = 0.0 if step.centred else 0.5
    start = features(0 * x + shift).numpy() if step.subtracted else 0.0
    points = [t / 5 * x + shift for t in range(step.first, step.first + 5)]
    expected = sum(np.maximum((features(point).numpy() - start) @ weights, 0) for point in points)
    found = path_maps(model, x, np.array([2]), **step._asdict(), steps=5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_each_step_changes_one_thing():
    steps = list(STEPS.values())
    for before, after in zip(steps, steps[1:]):
        assert sum(old != new for old, new in zip(before, after)) == 1
    assert steps[0] == (False, 0, False) and steps[-1] == (True, 1, True)


def test_every_step_has_its_scores_and_a_row(output):
    model, x = small_network(2, pooled=True), some_inputs(2, 4)
    samples = Samples(x, np.arange(4) % 3, np.array(["a 0", "a 1", "b 0", "c 1"]))
    truth = np.zeros((4, 16, 16), bool)
    truth[:, :8] = True
    own = SampleSet("pictures", model, samples, samples.y, {}, {"black": 0.0}, truth)
    scores = integrated_grad_cam.take_apart(own)
    assert set(scores.metric) == {"drop_rate", "increase_rate", "energy", "bounding_box", "pointing"}
    clusters = {name: name[0] for name in samples.names}
    table = integrated_grad_cam.table_of_steps(scores, clusters)
    assert table.step.tolist() == list(STEPS) and table.energy.between(0, 1).all()
    energy = scores[(scores.metric == "energy") & (scores.method == "as its code")].value
    assert table.energy[0] == pytest.approx(energy.mean())
