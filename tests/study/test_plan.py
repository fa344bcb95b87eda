"""The plan: the jobs cover it, cut it without changing what is computed, and know what concerns them."""

import dataclasses
import importlib
import re

import numpy as np
import pytest
import yaml

from tests.conftest import small_network, some_inputs
from xai_utils.attributions import METHODS, TITLES
from xai_utils.data import Samples
from xai_utils.run import store
from xai_utils.run.files import REPOSITORY
from xai_utils.study import plan, samples
from xai_utils.study.samples import SampleSet

for name in ("study.plots", "study.tables", "run.part"):  # edited below, so they must be imported
    importlib.import_module(f"xai_utils.{name}")

PROFILES = sorted(path.stem for path in (REPOSITORY / "profiles").glob("*.yaml"))
STANDARD = {"profile": "standard", "source": "local", "with_course": True, "number": 2}


def standard(**changes):
    return plan.jobs(**STANDARD | changes)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("number", [1, 2, 64])
def test_every_work_is_cut_into_jobs_that_cover_it_once(profile, number):
    found = standard(profile=profile, number=number)
    for name, work in plan.WORK.items():
        for rule in ("explain", "score"):
            own = [job for job in found.values() if job["rule"] == rule and name in job["works"]]
            assert bool(own) == (getattr(work, rule) is not None)
            asked = [(m, job["part"][0]) for job in own for m in job["works"][name] or [""]]
            parts = {job["part"][1] for job in own}
            expected = [
                (m, part) for part in range(max(parts, default=0)) for m in work.methods or [""]
            ]
            assert sorted(asked) == sorted(expected) and len(parts) <= 1


@pytest.mark.parametrize("profile", PROFILES)
def test_a_job_waits_for_jobs_only(profile):
    found = standard(profile=profile)
    for name, job in found.items():
        assert set(job["needs"]) <= found.keys() - {name}
        for work, methods in job["works"].items() if job["rule"] == "score" else ():
            explained = {
                method
                for need in job["needs"]
                for source in plan.WORK[work].after
                for method in found[need]["works"].get(source, ())
            }
            asked = set(methods) if plan.WORK[work].after else set()
            assert asked <= explained, "maps are explained before they are scored"


@pytest.mark.parametrize("number, jobs", [(1, 1), (2, 2), (64, 2)])
def test_works_of_few_samples_are_done_together(number, jobs):
    quick = standard(profile="quick", number=number, source="synthetic", with_course=False)
    explain = [job for job in quick.values() if job["rule"] == "explain" and "tiles" in job["works"]]
    assert len(explain) == jobs and all("mosaics" in job["works"] for job in explain)
    every = [set(job["works"]["tiles"]) for job in explain]
    assert set.union(*every) == set(plan.CHEAP["hmt"])
    assert {len(job["works"]) for name, job in standard().items() if "tiles-cheap" in name} == {1}


def test_the_jobs_are_in_the_order_of_the_plan():
    """Whatever the hash seed of the process that wrote them down."""
    for rule in ("explain", "score"):
        cut = [
            next(iter(job["works"]))
            for name, job in standard().items()
            if job["rule"] == rule and "-small-" not in name
        ]
        assert cut == sorted(cut, key=list(plan.WORK).index)


def test_there_are_more_jobs_for_more_workers():
    few, many = standard(profile="full"), standard(profile="full", number=64)
    assert len(many) > 3 * len(few)
    longest = [job for name, job in many.items() if name.startswith("explain-tiles-cheap")]
    assert len(longest) == 16  # 496 tiles in batches of 32


def test_the_course_is_left_out_where_its_weights_or_the_tiles_are_not_here():
    def works(**changes):
        return {name for job in standard(**changes).values() for name in job["works"]}

    every = works()
    of_tiles = {"course_tiles", "course_steps", "course_networks"}
    assert every - works(with_course=False) == of_tiles | {"course_signals"}
    assert every - works(source="synthetic") == of_tiles


MASKS, CAM, FAITHFULNESS = "attributions.masks", "attributions.cam", "metrics.faithfulness"
EDITS = [
    # Of a method: its maps, and what reads them.
    (MASKS, "keep=0.5", "keep=0.6", lambda job: "rise" in methods_of(job)),
    (CAM, "tf.nn.relu(gradient)", "tf.abs(gradient)", lambda job: "grad_cam_pp" in methods_of(job)),
    (MASKS, "threshold_otsu(later)", "later.mean()", lambda job: "sise" in methods_of(job)),
    # Of a metric: its scores.
    (FAITHFULNESS, "1 - masked_confidence / confidence", "0 * confidence", lambda job: scores(job, "drop_rate", "adcc")),
    (FAITHFULNESS, "def complexity(answers):", "def complexity(answers, more=0):", lambda job: scores(job, "complexity", "adcc")),
    ("metrics.sanity", "win_size=7", "win_size=5", lambda job: scores(job, "ssim")),
    # Of statistics, words, plots, and what no job computes: nothing.
    ("study.statistics", "LEVEL = 0.05", "LEVEL = 0.01", lambda job: False),
    ("study.conclusions", "No method beats every control", "None beats all", lambda job: False),
    ("study.plots", "COLUMN, PAGE = 3.5", "COLUMN, PAGE = 3.6", lambda job: False),
    ("study.tables", '"published"', '"exact"', lambda job: False),
    ("metrics.localization", "np.maximum(maps, 0)", "np.abs(maps)", lambda job: scores(job, "energy")),
    ("run.part", "indent=1", "indent=2", lambda job: False),
    (MASKS, "# nothing to divide", "# a comment", lambda job: False),
]  # fmt: skip


def scores(job, *names):
    asked = {metric for work in job["works"] for metric in plan.WORK[work].metrics}
    return job["rule"] == "score" and bool(set(names) & asked)


def methods_of(job):
    return {method for methods in job["works"].values() for method in methods}


@pytest.mark.parametrize("module, before, after, concerns", EDITS)
def test_an_edit_concerns_the_jobs_that_use_what_was_edited(edit, module, before, after, concerns):
    old = standard()
    edit(module, before, after)
    changed = {name for name, job in standard().items() if job["code"] != old[name]["code"]}
    assert changed == {name for name, job in old.items() if concerns(job)}


def test_what_all_use_concerns_all(edit):
    old = standard()
    edit("models", "return logits if score", "return 1.0 * logits if score")
    new = standard()
    same = {name for name in old if old[name]["code"] == new[name]["code"]}
    assert same == {"train-signals", "explain-tiles_few-tf_explain_integrated_gradients-0"}


def of_tiles(job):
    return all(plan.dataset_of(plan.WORK[name]) == "hmt" for name in job["works"])


@pytest.mark.parametrize("section", ["options", "samples", "networks"])
def test_another_profile_concerns_the_jobs_that_read_it(monkeypatch, section):
    old = standard()
    known = yaml.safe_load((REPOSITORY / "profiles/standard.yaml").read_text())
    change = {
        "options": {"hmt": known["options"]["hmt"] | {"rise": {"masks": 10}}},
        "samples": {"tiles_audited": 3},
        "networks": {"signal_epochs": 7},
    }[section]
    known[section] |= change
    monkeypatch.setattr(plan, "profile_section", lambda _, name: known[name])
    monkeypatch.setattr(samples, "profile_section", lambda _, name: known[name])
    changed = {name for name, job in standard().items() if old.get(name, {}).get("code") != job["code"]}
    if section == "options":
        own = {name: job for name, job in old.items() if "rise" in methods_of(job)}
        assert changed == {name for name, job in own.items() if of_tiles(job)}
    elif section == "networks":
        assert changed == {"train-signals"}
    else:
        assert "score-tiles_audited-cheap-0" in changed


@pytest.fixture
def own(output):
    """Seven signals in batches of two, of three classes, under one other condition."""
    store._shelves.clear()
    x, y = some_inputs(1, 7), np.array([0, 1, 2, 0, 1, 2, 0])
    found = Samples(x, y, np.array([f"signal {place}" for place in range(7)]))
    fills = {"black": 0.0, "mean": x.mean(axis=0), "blur": samples.blurred}
    options = {"rise": {"masks": 6}}
    views = {"noise": (lambda: small_network(1), Samples(x + 0.01, y, found.names))}
    return SampleSet("mnist1d", small_network(1), found, y, options, fills, views=views)


@pytest.fixture
def small(own, monkeypatch):
    """The plan on these signals only."""
    monkeypatch.setitem(samples.BATCH, "mnist1d", 2)
    work = {
        name: dataclasses.replace(work, samples=lambda profile: own)
        for name, work in plan.WORK.items()
        if name in ("signals", "signals_few", "signals_audited")
    }
    monkeypatch.setattr(plan, "WORK", work)
    monkeypatch.setattr(samples, "count", lambda profile, name: 0.7)  # times ten
    monkeypatch.setattr(plan, "TRAININGS", {})
    monkeypatch.setattr(plan, "_code", lambda *_: [])
    return own


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 9])
def test_parts_are_whole_batches_and_together_all(small, parts):
    cut = [plan.part_of(small, part, parts) for part in range(parts)]
    names = [name for own in cut for name in own.samples.names]
    assert names == small.samples.names.tolist()
    assert sum(len(own) % 2 for own in cut) == 1, "but for the last batch, none is cut"
    assert all(len(own.views["noise"][1]) == len(own) for own in cut)


def test_notebooks_find_all_that_the_jobs_computed(small, monkeypatch):
    for job in sorted(standard(profile="quick", number=6).values(), key=lambda job: job["rule"]):
        plan.run_job("quick", job)

    def nothing_new(shelf, keys, values):
        raise AssertionError(f"{len(keys)} {shelf.about['name']} were computed")

    monkeypatch.setattr(store.Shelf, "put", nothing_new)
    plan.maps(small, plan.SIGNAL_METHODS)
    plan.audit(small, plan.SIGNAL_METHODS)
    with pytest.raises(AssertionError, match="were computed"):
        plan.maps(dataclasses.replace(small, target=small.target[::-1]), ["edge"])


def test_every_seed_has_draws_of_its_own_and_everything_else_alike(own):
    """The same network under the name of two seeds: what depends on the network alone is the same."""
    twice = {f"seed {seed}": (lambda: own.model, own.samples) for seed in (0, 1)}
    every = dataclasses.replace(own, views=twice)
    seen = {seed: plan.maps(some, plan.SIGNAL_METHODS) for seed, some in plan.seeds_of(every).items()}
    for name in plan.SIGNAL_METHODS:
        same = np.array_equal(seen["seed 0"][name], seen["seed 1"][name])
        assert same != METHODS[name].stochastic, name
    scores = plan.by_seed(every, ("grad_cam", "rise"))
    assert set(scores.metric) == {"drop_rate"} and set(scores.rule) == {"exact"}
    settings = len(plan.FILLS) * len(plan.FRACTIONS)
    assert scores.groupby(["seed", "method"]).size().tolist() == 4 * [settings * len(own)]


def test_a_new_method_recomputes_no_other(own, edit, monkeypatch):
    """Written into the file of others, as the README says."""
    old = standard()
    assert plan.explained(own, ["gradient", "rise"]) == 2 * 7
    edit(
        "attributions.gradients",
        "def smooth_grad(",
        "def new(model, x, target):\n    return x\n\ndef smooth_grad(",
    )
    table = 'METHODS = {\n    "new": Method(gradients.new, "New", "", GRADIENTS, "1", SMOOTH),'
    edit("attributions", "METHODS = {", table)
    monkeypatch.setitem(METHODS, "new", dataclasses.replace(METHODS["gradient"], title="New"))
    assert plan.explained(own, ["gradient", "rise"]) == 0
    assert all(job["code"] == old[name]["code"] for name, job in standard().items())


def test_statistics_compute_no_map_and_no_score(own, edit, monkeypatch):
    methods = ("grad_cam", "random")
    first = plan.audit(own, methods)
    edit("study.statistics", "LEVEL = 0.05", "LEVEL = 0.01")
    monkeypatch.setattr(store.Shelf, "put", None)
    np.testing.assert_array_equal(plan.audit(own, methods).value, first.value)


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_say_how_many_of_everything(profile):
    known = yaml.safe_load((REPOSITORY / f"profiles/{profile}.yaml").read_text())
    standard_profile = yaml.safe_load((REPOSITORY / "profiles/standard.yaml").read_text())
    for section in ("samples", "networks"):
        assert known[section].keys() == standard_profile[section].keys()
    assert {work.number[0] for work in plan.WORK.values()} <= known["samples"].keys()


def test_the_snakefile_reads_works_of_the_plan():
    table = re.search(r"NOTEBOOKS = \{(.*?)\n\}", (REPOSITORY / "Snakefile").read_text(), flags=re.S)[1]
    names = set(re.findall(r'"([a-z]\w*[-\w]*)"', table))
    facts = {"tiles", "shallow_cnn", "recipes", "published", "pictures", "train-signals", "train-tiles"}
    assert names <= plan.WORK.keys() | facts
    assert plan.WORK.keys() <= names, "a work that no notebook reads"


def test_titles_are_there_for_every_method_of_the_plan():
    assert set(plan.TILE_METHODS) == set(TITLES)
