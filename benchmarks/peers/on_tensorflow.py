"""Our methods and those of tf-explain, in the environment of the project."""

import functools
import json
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from serve import serve
from tf_explain.core.grad_cam import GradCAM
from tf_explain.core.integrated_gradients import IntegratedGradients
from tf_explain.core.smoothgrad import SmoothGrad
from tf_explain.core.vanilla_gradients import VanillaGradients

from xai_utils.attributions import explain
from xai_utils.models import predict

OPTIONS = {
    "integrated_gradients": {"steps": 10, "limit": 1},
    "smooth_grad": {"samples": 10},
    "rise": {"masks": 100, "score": "logit"},
    "lime": {"samples": 100, "score": "logit"},
    "shap": {"samples": 100},
}
OURS = [
    "grad_cam", "grad_cam_pp", "xgrad_cam", "score_cam", "ablation_cam", "guided_grad_cam", "gradient",
    "gradient_x_input", "guided_backprop", "integrated_gradients", "smooth_grad", "rise", "lime", "shap",
]  # fmt: skip


def ours(method, network, x, target, size):
    options = {"layer": network.last_convolution} if method.endswith(("cam", "cam_pp")) else {}
    return explain(network, x, target, method, **OPTIONS.get(method, options))


def forward(network, x, target, size):
    return predict(network, x)[:, 0]


@functools.cache
def best_graph(network, shape, label):
    """The gradient, in a graph that was written for this network: what can be had."""

    @tf.function(input_signature=[tf.TensorSpec((None, *shape))])
    def gradient(x):
        scores = network(x, training=False)[:, label]
        return tf.reduce_max(tf.abs(tf.gradients(scores, x)[0]), axis=-1)

    return gradient


def by_hand(network, x, target):
    return best_graph(network, x.shape[1:], int(target[0]))(x)


def tf_explain_grad_cam(network, x, target):
    given = network, x, network.last_convolution, int(target[0])
    features, gradients = GradCAM.get_gradients_and_filters(*given, False)
    maps = tf.nn.relu(GradCAM.generate_ponderated_output(features, gradients))
    return tf.image.resize(maps[..., tf.newaxis], (*x.shape[1:-1], 1)[:2])


def tf_explain_gradient(network, x, target):
    return tf.abs(VanillaGradients.compute_gradients(x, network, int(target[0])))


def tf_explain_path(network, x, target):
    points = IntegratedGradients.generate_interpolations(x, 10)
    return IntegratedGradients.get_integrated_gradients(points, network, int(target[0]), 10)


def tf_explain_noise(network, x, target):
    noisy = SmoothGrad.generate_noisy_images(x, 10, 0.15)
    return SmoothGrad.get_averaged_gradients(noisy, network, int(target[0]), 10)


def in_parts(explained, copies=1):
    """As many inputs at a time as ours; where each goes through in copies, as many copies."""

    def explained_in_parts(network, x, target, size):
        many = 32 if copies == 1 else max(1, size // copies)
        parts = [slice(start, start + many) for start in range(0, len(x), many)]
        return np.concatenate([explained(network, x[part], target[part]) for part in parts])

    return explained_in_parts


METHODS = {("ours", method): partial(ours, method) for method in OURS} | {
    ("ours", "forward"): forward,
    ("by hand", "gradient"): in_parts(by_hand),
    ("tf-explain", "grad_cam"): in_parts(tf_explain_grad_cam),
    ("tf-explain", "gradient"): in_parts(tf_explain_gradient),
    ("tf-explain", "integrated_gradients"): in_parts(tf_explain_path, 10),
    ("tf-explain", "smooth_grad"): in_parts(tf_explain_noise, 10),
}


def load(folder, name):
    network = keras.models.load_model(folder / f"{name}.keras")
    network.last_convolution = json.loads((folder / f"{name}.json").read_text())["last_convolution"]
    return network


if __name__ == "__main__":
    serve(load, METHODS)
