"""Several at once: runs in one folder, a notebook by hand, jobs on one store."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.runs import QUICK, copy_of_tree, run_all, settings, start
from tests.test_pipeline import kept
from xai_utils.run import pipeline

pytestmark = pytest.mark.campaign(
    "Several at once: runs, profiles, notebooks by hand, jobs on one store"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_tree(tmp_path_factory.mktemp("several"))


@pytest.mark.parametrize("profile", ["quick", "standard"])
def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(profile, checkout, tmp_path):
    first = start(tmp_path, *QUICK, "--", "--until", "results/quick/hmt.json", source=checkout)
    while not (tmp_path / ".run_all.lock").exists() or not (tmp_path / ".run_all.lock").read_text():
        time.sleep(0.05)
    began = time.time()
    code, said = run_all(tmp_path, "--profile", profile, source=checkout)
    assert code == 1 and time.time() - began < 2
    assert said == f"error: another run is at work in {tmp_path}: wait for it or stop it\n"
    assert first.communicate()[1] is None and first.returncode == 0
    assert (tmp_path / "results/quick/hmt.json").exists()


@pytest.mark.parametrize("content", ["", "999999999", "not a number", "\x00"])
def test_a_lock_that_a_dead_process_left_keeps_nobody(content, tmp_path, capsys):
    (tmp_path / ".run_all.lock").write_text(content)
    with pipeline._alone(tmp_path):
        assert (tmp_path / ".run_all.lock").read_text() == str(os.getpid())
    assert ("The last run here was killed" in capsys.readouterr().err) == bool(content)
    assert (tmp_path / ".run_all.lock").read_text() == ""


def test_what_was_made_while_the_clock_was_ahead_is_made_again_once(checkout, tmp_path):
    """A day ahead, then set back: no change would be noticed for a day."""
    asked = *QUICK, "--", "--until", "results/quick/voc.json"
    assert run_all(tmp_path, *asked, source=checkout)[0] == 0
    tomorrow = time.time() + 24 * 3600
    for file in (tmp_path / "results").rglob("*"):
        os.utime(file, (tomorrow, tomorrow))
    said = [run_all(tmp_path, *asked, source=checkout) for _ in range(2)]
    assert [("HMT: 640 tiles" in text, code) for code, text in said] == [(True, 0), (False, 0)]


@pytest.mark.slow
def test_a_notebook_by_hand_and_a_run_do_not_meet(checkout, tmp_path):
    """The same notebook, once by hand with other parameters and once by the run, at the same time."""
    name = "03_mnist1d_explain"
    book = json.loads((checkout / f"notebooks/{name}.ipynb").read_text())
    for cell in book["cells"]:
        if cell["metadata"].get("tags") == ["parameters"]:
            cell["source"] = ['PROFILE = "quick"\n', 'METHODS_SHOWN = ["gradient"]']
    (tmp_path / "by_hand.ipynb").write_text(json.dumps(book))
    output = tmp_path / "output"
    running = start(
        output, *QUICK, "--", "--until", f"results/quick/parts/{name}.json", source=checkout
    )
    while not (output / "results/quick/jobs.json").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    by_hand = subprocess.run(
        [f"{sys.prefix}/bin/jupyter", "execute", tmp_path / "by_hand.ipynb"],
        cwd=checkout / "notebooks",
        env=settings(output, checkout, XAI_HMT_DIR="synthetic"),
        capture_output=True,
        text=True,
    )
    said, _ = running.communicate()
    assert by_hand.returncode == 0, by_hand.stderr
    assert running.returncode == 0, said
    parts = [
        json.loads((output / f"results/{of}/parts/{name}.json").read_text())
        for of in ("quick", "by_hand/quick")
    ]
    official, own = (part["provenance"] for part in parts)
    assert not official["by_hand"] and own["by_hand"]
    assert official["parameters"] != own["parameters"]


@pytest.mark.slow
def test_eight_jobs_on_one_store_leave_what_one_does(checkout, tmp_path):
    """Eight processes that do the same job at the same time."""
    job, alone, together = "explain-small-mnist1d-0", tmp_path / "alone", tmp_path / "together"
    code, said = run_all(
        alone, *QUICK, "--", "--until", f"results/quick/jobs/{job}.json", source=checkout
    )
    assert code == 0, said
    shutil.copytree(alone, together)
    shutil.rmtree(together / "results/store/maps")
    command = [f"{sys.prefix}/bin/python", "-m", "xai_utils.study.jobs", "quick", "--do", job]
    given = settings(together, checkout, XAI_HMT_DIR="synthetic", TF_NUM_INTRAOP_THREADS="1")
    eight = [
        subprocess.Popen(command, cwd=together, env=given, stderr=subprocess.DEVNULL) for _ in range(8)
    ]
    assert [process.wait() for process in eight] == [0] * 8
    assert not list(together.rglob("partial-*"))
    one, other = (kept(folder, "maps") for folder in (alone, together))
    assert one.keys() == other.keys() and len(one) > 5
    for shelf, values in one.items():
        assert values.keys() == other[shelf].keys()
        assert all(np.array_equal(values[key], other[shelf][key]) for key in values)
    files = [sorted(os.listdir(folder / "results/store/maps")) for folder in (alone, together)]
    assert files[0] == files[1]
