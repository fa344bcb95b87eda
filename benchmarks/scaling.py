"""How fast jobs are on their own, beside each other, and with two threads; and what that predicts.

``python benchmarks/scaling.py`` takes about five minutes. It measures, for the VGG-7 on synthetic tiles of
150 pixels: samples a second of one job of one thread, of two of these at once, and of one job of two
threads; what a job costs before its first batch; and seconds a sample of every method at its default
settings and of the audit. From these it predicts how long the ``full`` profile and 100,000 tiles would take
on 1, 8 and 64 nodes of two cores. That is a prediction: nothing of it was run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

NODES, CORES = (1, 8, 64), 2  # cores of a node
THROUGHPUT = {"grad_cam": 256, "integrated_gradients": 32, "rise": 1}  # tiles to measure each with
MANY = 100_000
VIEWS = {
    "signals_sanity": 9,
    "tiles_sanity": 11,
    "signals_seeds": 5,
    "tiles_seeds": 3,
}  # networks asked


def worker(kind):
    """One job; prints its numbers as JSON. What it imports counts as its overhead."""
    started = time.perf_counter()
    import numpy as np

    from xai_utils.attributions import explain
    from xai_utils.data import Samples, mnist1d, synthetic_tissue, unit_range
    from xai_utils.models import predict
    from xai_utils.networks.architectures import shallow_cnn
    from xai_utils.study import plan, samples

    x = unit_range(synthetic_tissue.generate(4, seed=1)[0])
    model = samples.synthetic_network()
    target = predict(model, x).argmax(axis=1)
    found = {"overhead": time.perf_counter() - started}

    def rate(model, x, target, method, count, batch=32):
        """Tiles a second, the graphs built before."""
        places = np.arange(count) % len(x)
        explain(model, x[places[:batch]], target[places[:batch]], method, batch_size=batch)
        begun = time.perf_counter()
        explain(model, x[places], target[places], method, batch_size=batch)
        return count / (time.perf_counter() - begun)

    if kind == "throughput":
        for method, count in THROUGHPUT.items():
            found[method] = rate(model, x, target, method, count)
    else:
        signals, network = mnist1d.load().test, shallow_cnn()
        said = predict(network, signals.x).argmax(axis=1)
        for name in plan.TILE_METHODS:
            costly = name in plan.COSTLY
            found[f"tiles {name}"] = rate(model, x, target, name, 1 if costly else 32)
            if name in plan.SIGNAL_METHODS:
                count = 10 if costly else 250
                found[f"signals {name}"] = rate(network, signals.x, said, name, count, 250)
        for dataset, own in {
            "tiles": samples.SampleSet("hmt", model, Samples(x, target, x[:, 0, 0, 0]), target, {}),
            "signals": samples.SampleSet("mnist1d", network, signals.take(slice(250)), said[:250], {}),
        }.items():
            own.fills.update(black=0.0, mean=own.samples.x.mean(axis=0), blur=samples.blurred)
            plan.audit(own.take(np.arange(2)), ["random"])
            begun = time.perf_counter()
            plan.audit(own, ["center"])
            found[f"{dataset} audit"] = len(own) / (time.perf_counter() - begun)
    print(json.dumps(found))


def start(kind, threads, folder):
    settings = {"XAI_OUTPUT": folder, "TF_NUM_INTRAOP_THREADS": str(threads)}
    command = [sys.executable, __file__, kind]
    return subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.PIPE, text=True)


def measure(kind, workers, threads):
    """The numbers of so many jobs at once."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [start(kind, threads, folder) for _ in range(workers)]
        return [json.loads(job.communicate()[0]) for job in jobs]


def seconds_of_full(rates, overhead, nodes):
    """The predicted seconds of the jobs of ``full``: the longest job, or all on so many cores."""
    from xai_utils.study import plan

    jobs = plan.jobs("full", "local", False, nodes * CORES)
    seconds = []
    for job in jobs.values():
        seconds.append(overhead * (job["rule"] != "train"))
        for name, methods in job["works"].items():
            work = plan.WORK[name]
            dataset = "tiles" if plan.dataset_of(work) == "hmt" else "signals"
            count = plan.number_of("full", work) / job["part"][1]
            if job["rule"] == "explain" or "again" in name or not work.after:
                views = VIEWS.get(name, 1)
                each = views * sum(1 / rates[f"{dataset} {method}"] for method in methods)
            else:  # of the settings of the audit, the rates are about a tenth
                share = 1 if methods else 0.1
                each = share * (len(methods) or 11) / rates[f"{dataset} audit"]
            seconds[-1] += count * each
    return max(max(seconds), sum(seconds) / (nodes * CORES))


def hours(seconds):
    return f"{seconds / 3600:.1f} h" if seconds > 3600 else f"{seconds / 60:.0f} min"


def main():
    if len(sys.argv) > 1:
        return worker(sys.argv[1])
    ways = {"1 × 1 thread": (1, 1), "2 × 1 thread": (2, 1), "1 × 2 threads": (1, 2)}
    found = {way: measure("throughput", *how) for way, how in ways.items()}
    for method in THROUGHPUT:
        speeds = {way: sum(job[method] for job in jobs) for way, jobs in found.items()}
        said = ", ".join(f"{way}: {speed:.2f}" for way, speed in speeds.items())
        print(f"{method}, tiles a second: {said}", flush=True)
    overhead = found["1 × 1 thread"][0]["overhead"]
    print(f"a job before its first batch: {overhead:.1f} s")
    (rates,) = measure("rates", 1, 1)
    audited = sum(
        1 / rates[name] + 1 / rates["tiles audit"]
        for name in rates
        if name[:6] == "tiles " and name != "tiles audit"
    )
    print(f"one tile by all methods and the whole audit: {audited:.1f} s on one core")
    print("predicted, not run; without the trainings:")
    for nodes in NODES:
        full = seconds_of_full(rates, overhead, nodes)
        many = MANY * audited / (nodes * CORES)
        print(f"  {nodes} nodes: full {hours(full)}, {MANY} tiles {hours(many)}")


if __name__ == "__main__":
    main()
