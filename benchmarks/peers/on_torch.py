"""The methods of Captum, pytorch-grad-cam and Quantus, on the same networks built of PyTorch's layers."""

import json
import sys
from unittest.mock import MagicMock

import numpy as np
import torch
from serve import segments_of, serve
from torch import nn
from torch.nn import functional

for name in ("", ".models", ".transforms", ".transforms.functional"):
    sys.modules["torchvision" + name] = MagicMock()  # pytorch-grad-cam imports it, for other methods
import pytorch_grad_cam  # noqa: E402
import quantus  # noqa: E402
from captum import attr  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

RELUS = {"relu": nn.ReLU, "linear": nn.Identity}


class Same(nn.Module):
    """Zeros around an input, as TensorFlow puts them for a stride: more of them at the end."""

    def __init__(self, kernel, strides):
        super().__init__()
        self.kernel, self.strides = kernel, strides

    def forward(self, x):
        wide = []
        for size, kernel, stride in reversed(list(zip(x.shape[2:], self.kernel, self.strides))):
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            wide += [missing // 2, missing - missing // 2]
        return functional.pad(x, wide)


class ChannelsLast(nn.Module):
    """Flattened as Keras does it."""

    def forward(self, x):
        return x.movedim(1, -1).flatten(1)


def layer(kind, config, weights):
    """A layer of Keras as one or several of PyTorch; weights ``[kernel, bias]`` and the like."""
    arrays = [torch.tensor(array) for array in weights]
    made = []
    if kind in ("Conv1D", "Conv2D", "DepthwiseConv2D"):
        depthwise = kind == "DepthwiseConv2D"
        dimensions = arrays[0].ndim - 2
        kernel = (
            arrays[0].movedim((-2, -1), (1, 0))
            if not depthwise
            else arrays[0].movedim((-2, -1), (0, 1))
        )
        channels = kernel.shape[0] if depthwise else kernel.shape[1]
        if config["padding"] == "same":
            made.append(Same(kernel.shape[2:], config["strides"]))
        convolution = (nn.Conv1d if dimensions == 1 else nn.Conv2d)(
            channels, kernel.shape[0], kernel.shape[2:], tuple(config["strides"]),
            groups=channels if depthwise else 1, bias=len(arrays) > 1,
        )  # fmt: skip
        convolution.weight.data = kernel.contiguous()
        if len(arrays) > 1:
            convolution.bias.data = arrays[1]
        made.append(convolution)
    elif kind == "BatchNormalization":
        scale, shift, mean, variance = arrays
        norm = nn.BatchNorm2d(len(scale), eps=config["epsilon"])
        norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = (
            scale,
            shift,
            mean,
            variance,
        )
        made.append(norm)
    elif kind == "Dense":
        dense = nn.Linear(*arrays[0].shape)
        dense.weight.data, dense.bias.data = arrays[0].T.contiguous(), arrays[1]
        made.append(dense)
    elif kind == "ZeroPadding2D":
        (top, bottom), (left, right) = config["padding"]
        made.append(nn.ZeroPad2d((left, right, top, bottom)))
    elif kind == "MaxPooling2D":
        made.append(nn.MaxPool2d(config["pool_size"], config["strides"]))
    elif kind == "ReLU":
        made.append(nn.ReLU6() if config["max_value"] == 6 else nn.ReLU())
    elif kind == "GlobalAveragePooling2D":
        made += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    elif kind == "Flatten":
        made.append(ChannelsLast())
    elif kind not in ("InputLayer", "Add", "Activation", "Dropout"):
        raise ValueError(f"{kind} has no counterpart here")
    made.append(RELUS[config.get("activation") or "linear"]())
    return nn.Sequential(*made)


class Network(nn.Module):
    """The layers of a Keras network, called as they are there."""

    def __init__(self, nodes, weights):
        super().__init__()
        self.nodes = nodes
        self.parts = nn.ModuleDict(
            {
                node["name"]: layer(
                    node["kind"], node["config"], [weights[key] for key in node["weights"]]
                )
                for node in nodes
            }
        )

    def forward(self, x):
        made = {}
        for node in self.nodes:
            inputs = [made[name] for name in node["inputs"]] or [x]
            made[node["name"]] = self.parts[node["name"]](sum(inputs[1:], inputs[0]))
        return made[self.nodes[-1]["name"]]


def load(folder, name):
    nodes = json.loads((folder / f"{name}.json").read_text())
    network = Network(nodes["layers"], np.load(folder / f"{name}_weights.npz")).eval()
    network.last = network.parts[nodes["last_convolution"]]
    return network


def first(x):
    """Channels first, as PyTorch has them."""
    return torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def in_parts(explained, network, x, target, size):
    """Maps of 32 inputs at a time; ``size`` copies of them may go through the network at once."""
    maps = []
    for start in range(0, len(x), 32):
        part = slice(start, start + 32)
        made = explained(network, first(x[part]), torch.tensor(target[part]), size)
        maps.append(np.asarray(made.detach() if torch.is_tensor(made) else made))
    return np.concatenate(maps)


def captum(make, reduce, options=lambda count, size: {}):
    def explained(network, x, target, size):
        return reduce(make(network).attribute(x, target=target, **options(len(x), size)))

    return lambda *given: in_parts(explained, *given)


def steepest(maps):
    return maps.abs().amax(1)


def summed(maps):
    return maps.sum(1)


def captum_grad_cam(network, x, target, size):
    maps = attr.LayerGradCam(network, network.last).attribute(x, target, relu_attributions=True)
    return attr.LayerAttribution.interpolate(
        maps, x.shape[2:], "linear" if x.ndim == 3 else "bilinear"
    )[:, 0]


def surrogate(make):
    """LIME and Kernel SHAP of Captum take one input a call."""

    def explained(network, x, target, size):
        found = np.stack([segments_of(one.movedim(0, -1).numpy()) for one in x])
        parts = torch.tensor(found)[:, None].expand(-1, x.shape[1], *found.shape[1:])
        explainer = make(network)
        maps = [
            explainer.attribute(
                x[index : index + 1], target=int(label), feature_mask=parts[index : index + 1],
                n_samples=100, perturbations_per_eval=size,
            )
            for index, label in enumerate(target)
        ]  # fmt: skip
        return torch.cat(maps)[:, 0]

    return lambda *given: in_parts(explained, *given)


def grad_cam(kind):
    def explained(network, x, target, size):
        with getattr(pytorch_grad_cam, kind)(network, [network.last]) as cam:
            cam.batch_size = max(32, size)
            return cam(x, [ClassifierOutputTarget(int(label)) for label in target])

    return lambda *given: in_parts(explained, *given)


def of_quantus(method, **options):
    def explained(network, x, target, size):
        if method == "GradCam":
            options["gc_layer"] = network.last
        return quantus.explain(network, x, target, method=method, **options)[:, 0]

    return lambda *given: in_parts(explained, *given)


METHODS = {
    ("Captum", "grad_cam"): lambda *given: in_parts(captum_grad_cam, *given),
    ("Captum", "gradient"): captum(attr.Saliency, steepest),
    ("Captum", "gradient_x_input"): captum(attr.InputXGradient, summed),
    ("Captum", "guided_backprop"): captum(attr.GuidedBackprop, summed),
    ("Captum", "guided_grad_cam"): captum(lambda network: attr.GuidedGradCam(network, network.last), summed),
    ("Captum", "integrated_gradients"): captum(
        attr.IntegratedGradients, summed,
        lambda count, size: {
            "n_steps": 10, "method": "riemann_middle", "internal_batch_size": max(size, count),
        },
    ),
    ("Captum", "smooth_grad"): captum(
        lambda network: attr.NoiseTunnel(attr.Saliency(network)), steepest,
        lambda count, size: {
            "nt_type": "smoothgrad", "nt_samples": 10, "stdevs": 0.15, "abs": False,
            "nt_samples_batch_size": min(10, max(1, size // count)),
        },
    ),
    ("Captum", "lime"): surrogate(attr.Lime),
    ("Captum", "shap"): surrogate(attr.KernelShap),
    ("pytorch-grad-cam", "grad_cam"): grad_cam("GradCAM"),
    ("pytorch-grad-cam", "grad_cam_pp"): grad_cam("GradCAMPlusPlus"),
    ("pytorch-grad-cam", "xgrad_cam"): grad_cam("XGradCAM"),
    ("pytorch-grad-cam", "score_cam"): grad_cam("ScoreCAM"),
    ("pytorch-grad-cam", "ablation_cam"): grad_cam("AblationCAM"),
    ("Quantus", "gradient"): of_quantus("Saliency"),
    ("Quantus", "gradient_x_input"): of_quantus("InputXGradient"),
    ("Quantus", "guided_backprop"): of_quantus("GuidedBackprop"),
    ("Quantus", "integrated_gradients"): of_quantus("IntegratedGradients"),
    ("Quantus", "grad_cam"): of_quantus("GradCam"),
}  # fmt: skip

if __name__ == "__main__":
    torch.set_num_threads(2)
    serve(load, METHODS)
