"""How fast our methods are beside those of Xplique, tf-explain, Captum, pytorch-grad-cam and Quantus.

``python benchmarks/peers.py`` first installs the other libraries into environments of their own,
``benchmarks/peers/.NAME``, as their lock files say; pip must find PyTorch's builds for the processor. All
explain the same images by networks with the same weights; every library has a process of its own, of
which one works at a time. For each network and method it asks one library after the other, ``ROUNDS``
times, fewer where that takes longer than ``PATIENCE``: how long for one image, and for many. It prints,
as a table, how alike the maps are where the definition is the same (their correlation, of one image),
how long one image takes, how many a second are done of many, and of both the median ratio, how many
times as fast ours is, with its range; at last, in a table of all, the ratios to the fastest library.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from xai_utils.attributions import TITLES
from xai_utils.models import passes_at_once
from xai_utils.networks.architectures import shallow_cnn, vgg7

HERE = Path(__file__).parent / "peers"
ROUNDS = 5
PATIENCE = 30  # seconds
NETWORKS = {
    "vgg7": (lambda: vgg7(average=1, normalize=False), (224, 224, 3), "conv2d_3"),
    "shallow_cnn": (shallow_cnn, (40, 1), "conv1d_2"),
    "resnet50": (lambda: keras.applications.ResNet50(weights=None), (224, 224, 3), "conv5_block3_out"),
    "mobilenetv2": (lambda: keras.applications.MobileNetV2(weights=None), (224, 224, 3), "out_relu"),
}
# Each library: the environment that it is in, and the script that speaks for it.
LIBRARIES = {
    "ours": ("project", "on_tensorflow.py"),
    "by hand": ("project", "on_tensorflow.py"),
    "tf-explain": ("project", "on_tensorflow.py"),
    "Xplique": ("xplique", "on_xplique.py"),
    "Captum": ("torch", "on_torch.py"),
    "pytorch-grad-cam": ("torch", "on_torch.py"),
    "Quantus": ("torch", "on_torch.py"),
}
PEERS = [library for library in LIBRARIES if library not in ("ours", "by hand")]
# Each method: how many images are many, who has it, and who defines it as we do.
METHODS = {
    "forward": (64, [], []),
    "grad_cam": (64, ["Xplique", "tf-explain", "Captum", "pytorch-grad-cam", "Quantus"], ["Xplique", "Captum", "pytorch-grad-cam"]),
    "grad_cam_pp": (64, ["Xplique", "pytorch-grad-cam"], []),
    "xgrad_cam": (64, ["pytorch-grad-cam"], ["pytorch-grad-cam"]),
    "gradient": (64, ["by hand", "Xplique", "tf-explain", "Captum", "Quantus"], ["by hand", "Captum"]),
    "gradient_x_input": (64, ["Xplique", "Captum", "Quantus"], ["Captum"]),
    "guided_backprop": (64, ["Xplique", "Captum", "Quantus"], ["Captum"]),
    "guided_grad_cam": (64, ["Captum"], []),
    "integrated_gradients": (8, ["Xplique", "tf-explain", "Captum", "Quantus"], ["Captum"]),
    "smooth_grad": (8, ["Xplique", "tf-explain", "Captum"], []),
    "ablation_cam": (8, ["pytorch-grad-cam"], ["pytorch-grad-cam"]),
    "score_cam": (2, ["pytorch-grad-cam"], []),
    "rise": (2, ["Xplique"], []),
    "lime": (2, ["Xplique", "Captum"], []),
    "shap": (2, ["Xplique", "Captum"], []),
}  # fmt: skip


def write_networks(folder, names):
    """Leave the networks and their inputs where the libraries find them."""
    for name in names:
        keras.utils.set_random_seed(0)
        build, shape, last = NETWORKS[name]
        network = build()
        network.layers[-1].activation = keras.activations.linear
        network.name = name
        network.save(folder / f"{name}.keras")
        # Smooth enough that superpixels find parts in it.
        coarse = np.random.default_rng(0).random((64, *(4,) * (len(shape) - 1), shape[-1]), np.float32)
        x = ndimage.zoom(coarse, (1, *(size / 4 for size in shape[:-1]), 1), order=1)
        target = np.full(len(x), network.predict_on_batch(x[:1]).argmax())
        size = passes_at_once(network, shape)
        np.savez(folder / f"{name}.npz", x=x, target=target, size=size)
        weights, layers = {}, []
        for layer in network.layers:
            own = {f"{layer.name}/{index}": array for index, array in enumerate(layer.get_weights())}
            weights |= own
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            before = [tensor._keras_history.operation.name for tensor in inputs]
            layers.append(
                {
                    "name": layer.name.replace(".", "_"),
                    "kind": type(layer).__name__,
                    "config": layer.get_config(),
                    "weights": list(own),
                    "inputs": [] if isinstance(layer, keras.layers.InputLayer) else before,
                }
            )
        about = {
            "layers": layers,
            "last_convolution": last,
        }
        (folder / f"{name}.json").write_text(json.dumps(about, default=repr))
        np.savez(folder / f"{name}_weights.npz", **weights)


def python_of(environment):
    """The interpreter of an environment, which is made first where there is none yet."""
    if environment == "project":
        return sys.executable
    place, lock = HERE / f".{environment}", HERE / f"{environment}.lock"
    if not (place / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        how = ["--quiet", "--require-hashes", "--no-deps", "-r", lock]
        subprocess.run([place / "bin" / "python", "-m", "pip", "install", *how], check=True)
        (place / "made").touch()
    return place / "bin" / "python"


class Process:
    """A library's process, which answers one question at a time."""

    def __init__(self, environment, script, folder):
        self.command = [python_of(environment), HERE / script, folder]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TF_NUM_INTRAOP_THREADS": "2", "OMP_NUM_THREADS": "2"},
            text=True,
        )

    def ask(self, **question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:  # it was killed, for memory say
            self.process.wait()
            self.start()
            return {"error": "its process ended"}
        return json.loads(answer)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def first_maps(processes, folder, question, libraries):
    """``{library: its map of one image}`` of those that can; what they build is built then."""
    maps = {}
    for library in libraries:
        answer = processes[library].ask(library=library, keep=True, count=1, **question)
        if "error" in answer:
            print(f"  {library} cannot: {answer['error']}", file=sys.stderr)
        else:
            maps[library] = np.load(folder / "maps.npy").ravel()
    return maps


def timed(processes, question, libraries, count, rounds=ROUNDS):
    """``{library: seconds of each round}`` of those that can, as many as begin within ``PATIENCE``."""
    found, started = {library: [] for library in libraries}, time.monotonic()
    for round_ in range(rounds):
        if round_ and time.monotonic() - started > PATIENCE:
            break
        for library in list(found):
            answer = processes[library].ask(library=library, keep=False, count=count, **question)
            if "error" in answer:
                print(f"  {library} cannot: {answer['error']}", file=sys.stderr)
                del found[library]
            else:
                found[library].append(answer["seconds"])
    return found


def ratios(ours, other):
    """How many times as fast we are, of each round, the least first."""
    return sorted(b / a for a, b in zip(ours, other))


def told(each):
    """The median and range of ratios."""
    return f"{statistics.median(each):.2f} ({each[0]:.2f}–{each[-1]:.2f})"


def print_summary(found):
    """The ratios to the fastest other library, one image · many; ``found`` is ``{(network, method):
    {library: (ratio of one, ratio of many)}}``."""
    networks, methods = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    print(f"\n| method | {' | '.join(networks)} |")
    print("| --- |" + " --- |" * len(networks))
    for method in methods:
        others = [found.get((network, method), {}).values() for network in networks]
        cells = [" · ".join(f"{min(each):.2f}" for each in zip(*both)) for both in others]
        print(f"| {TITLES[method]} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description="Time our methods beside those of other libraries.")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print("| network | method | library | same map | one, ms | ratio | of | images/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_networks(folder, asked.networks)
        running = {where: Process(*where, folder) for where in dict.fromkeys(LIBRARIES.values())}
        processes = {library: running[where] for library, where in LIBRARIES.items()}
        found = {}
        for network in asked.networks:
            for method in asked.methods:
                question = {"network": network, "method": method}
                many, others, same = METHODS[method]
                maps = first_maps(processes, folder, question, ["ours", *others])
                if "ours" not in maps:
                    continue
                one = timed(processes, question, maps, 1)
                # So many that a round of all takes no longer than it should.
                slow = sum(min(seconds) for seconds in one.values())
                count = max(1, min(many, int(PATIENCE / ROUNDS / slow)))
                several = one
                if count > 1:  # what the first batch of this size builds is not counted
                    several = timed(processes, question, maps, count, rounds=1)
                    several = timed(processes, question, several, count)
                for library in several:
                    latency = statistics.median(one[library]) * 1e3
                    rate = count / statistics.median(several[library])
                    against = [ratios(each["ours"], each[library]) for each in (one, several)]
                    if library in PEERS:
                        medians = tuple(map(statistics.median, against))
                        found.setdefault((network, method), {})[library] = medians
                    alike = ""
                    if library in same:
                        alike = f"{np.corrcoef(maps['ours'], maps[library])[0, 1]:.3f}"
                    print(
                        f"| {network} | {method} | {library} | {alike} | {latency:.1f} | {told(against[0])} "
                        f"| {count} | {rate:.2f} | {told(against[1])} |",
                        flush=True,
                    )
        print_summary(found)
        for process in running.values():
            process.stop()


if __name__ == "__main__":
    main()
