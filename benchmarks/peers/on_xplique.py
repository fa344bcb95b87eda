"""The methods of Xplique, which pins a TensorFlow below ours: in an environment of its own."""

import keras
import numpy as np
import tensorflow as tf
from serve import segments_of, serve
from xplique import attributions

OPTIONS = {
    "integrated_gradients": {"steps": 10},
    "smooth_grad": {"nb_samples": 10, "noise": 0.15},
    "rise": {"nb_samples": 100, "grid_size": 7, "preservation_probability": 0.5},
    "lime": {"nb_samples": 100},
    "shap": {"nb_samples": 100},
}
CLASSES = {
    "grad_cam": attributions.GradCAM,
    "grad_cam_pp": attributions.GradCAMPP,
    "gradient": attributions.Saliency,
    "gradient_x_input": attributions.GradientInput,
    "guided_backprop": attributions.GuidedBackprop,
    "integrated_gradients": attributions.IntegratedGradients,
    "smooth_grad": attributions.SmoothGrad,
    "rise": attributions.Rise,
    "lime": attributions.Lime,
    "shap": attributions.KernelShap,
}
_explainers = {}


def explained(method, network, x, target, size):
    """The explainer is made once, as its users make it."""
    if (method, network) not in _explainers:
        _explainers.clear()
        _explainers[method, network] = CLASSES[method](
            network, batch_size=max(32, size), **OPTIONS.get(method, {})
        )
    explainer = _explainers[method, network]
    if method in ("lime", "shap"):
        explainer.map_to_interpret_space = lambda one: np.int32(segments_of(np.float32(one)))
    classes = network.output_shape[-1]
    maps = explainer(x, tf.one_hot(target, classes))
    return np.asarray(maps).reshape(x.shape[:-1])


METHODS = {
    ("Xplique", method): lambda *given, method=method: explained(method, *given) for method in CLASSES
}

if __name__ == "__main__":
    serve(lambda folder, name: keras.models.load_model(folder / f"{name}.keras"), METHODS)
