"""What Captum and pytorch-grad-cam say of a small network, for ``test_oracles.py`` to compare with.

Run it in an environment of its own, for PyTorch is none of the project's dependencies:

    python -m venv oracle
    oracle/bin/pip install torch==2.13.0 numpy pillow tqdm
    oracle/bin/pip install --no-deps captum==0.9.0 grad-cam==1.5.7 ttach opencv-python-headless \\
        matplotlib scikit-learn scipy joblib cloudpickle narwhals threadpoolctl packaging contourpy cycler fonttools \\
        kiwisolver pyparsing python-dateutil six
    oracle/bin/python tests/oracles/make_oracles.py

It writes ``oracles.npz`` beside itself: the weights in Keras' layout, inputs, targets, and a map for
each method. Maps of pytorch-grad-cam are scaled to [0, 1], as that library returns them.
"""

import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, Saliency
from torch import nn

SIZE, SAMPLES = 12, 4


class Network(nn.Module):
    """Two convolutions at full resolution, so that no map has to be enlarged; flattened as Keras does."""

    def __init__(self):
        super().__init__()
        self.first, self.first_relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.second, self.second_relu = nn.Conv2d(4, 5, 3, padding=1), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.hidden, self.hidden_relu = nn.Linear(5 * (SIZE // 2) ** 2, 6), nn.ReLU()
        self.scores = nn.Linear(6, 3)

    def forward(self, x):
        x = self.first_relu(self.first(x))
        x = self.second_relu(self.second(x))
        x = self.pool(x).permute(0, 2, 3, 1).flatten(1)
        return self.scores(self.hidden_relu(self.hidden(x)))


def keras_layout(parameter):
    """Kernels as (height, width, in, out), dense ones as (in, out)."""
    array = parameter.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def import_pytorch_grad_cam():
    """It imports torchvision, for methods and models that are not used here."""
    for name in ("", ".models", ".transforms", ".transforms.functional"):
        sys.modules["torchvision" + name] = MagicMock()
    import pytorch_grad_cam

    return pytorch_grad_cam


def main():
    torch.manual_seed(0)
    model = Network().eval()
    for parameter in model.parameters():  # scores of a few units, as a trained network has
        parameter.data *= 3
    x = torch.randn(SAMPLES, 3, SIZE, SIZE)
    target = model(x).argmax(dim=1)
    assert (model(x).max(dim=1).values > 0).all(), "Ablation-CAM divides by the score"
    arrays = {
        f"weight_{index}": keras_layout(parameter) for index, parameter in enumerate(model.parameters())
    }
    arrays |= {"x": x.numpy().transpose(0, 2, 3, 1), "target": target.numpy()}
    maps = {
        "gradient": Saliency(model).attribute(x, target).amax(dim=1),
        "integrated_gradients": IntegratedGradients(model)
        .attribute(x, target=target, n_steps=2000, method="riemann_middle")
        .sum(dim=1),
        "guided_backprop": GuidedBackprop(model).attribute(x, target=target).sum(dim=1),
        "grad_cam": LayerGradCam(model, model.second_relu).attribute(x, target, relu_attributions=True)[
            :, 0
        ],
    }
    arrays |= {name: made.detach().numpy() for name, made in maps.items()}
    library = import_pytorch_grad_cam()
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(int(label)) for label in target]
    for name, method in {
        "grad_cam_pp": library.GradCAMPlusPlus,
        "xgrad_cam": library.XGradCAM,
        "score_cam": library.ScoreCAM,
        "ablation_cam": library.AblationCAM,
    }.items():
        with method(model=model, target_layers=[model.second_relu]) as explainer:
            arrays[name] = explainer(input_tensor=x, targets=targets)
    np.savez_compressed(
        Path(__file__).with_name("oracles.npz"),
        **{name: np.asarray(array, np.float32) for name, array in arrays.items()},
    )


if __name__ == "__main__":
    main()
