"""The whole run as a user starts it, what it says when it cannot, and what a change rebuilds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from report import build
from report.page import PREFIX
from tests.report import built
from tests.runs import QUICK, copy_of_tree, run_all, settings
from xai_utils.attributions import METHODS
from xai_utils.run.files import REPOSITORY
from xai_utils.run.part import REPRODUCTION_COLUMNS, SCORE_COLUMNS

NAMES = [
    "values.json", "tables.json", "made_in.json", "scores.csv", "reproduction.csv", "run.json",
]  # fmt: skip
ON_SHIPPED_NETWORKS = [
    f"results/quick/parts/{name}.json"
    for name in (
        "05_hmt_explain", "06_quantitative_eval", "08_audit", "09_localization", "10_sanity", "13_seeds",
    )
]  # fmt: skip
SLURM = (
    "--executor", "slurm", "--jobs", "2", "--",
    "--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "10",
    "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "2",
)  # fmt: skip


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--profile", "fast"], "no profile 'fast'; give one of full, quick, standard"),
        (["--cores", "0"], "--cores must be at least 1"),
        (["--executor", "slurm"], "--executor and --jobs go together"),
        (["--jobs", "4"], "--executor and --jobs go together"),
        (["--executor", "slurm", "--jobs", "4", "--cores", "2"], "with --executor give --jobs"),
        (["--profile", "quick", "--check-claims"], "the claims are about the profile standard"),
        (["--check-claims"], "values.json: run ./run_all.sh first"),
        (["--profile", "quick", "--hmt-dir", "/nowhere"], "/nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, arguments, message):
    code, said = run_all(tmp_path, *arguments)
    assert code != 0
    assert re.fullmatch(f"error: .*{re.escape(message)}.*\n", said)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and ".snakemake" not in path.parts]
    assert [path.name for path in left] in ([], [".run_all.lock"])


def test_an_incomplete_hmt_folder_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "tiles" / "01_TUMOR").mkdir(parents=True)
    code, said = run_all(tmp_path / "out", "--profile", "quick", "--hmt-dir", tmp_path / "tiles")
    assert code != 0
    assert re.fullmatch(r"error: .* has no folder 02_STROMA: .*\n", said)
    assert not (tmp_path / "out" / "results" / "quick" / "hmt.json").exists()


def test_a_folder_that_is_none_of_voc_is_one_line_before_anything_is_computed(tmp_path):
    given = {"XAI_VOC_DIR": str(tmp_path)}
    code, said = run_all(tmp_path / "out", "--profile", "quick", "--hmt-dir", "synthetic", **given)
    assert code != 0
    tiles, error = said.splitlines()
    assert tiles.startswith("HMT: ")
    assert re.fullmatch("error: .* holds no ImageSets/Main: give XAI_VOC_DIR the folder VOC2007", error)
    assert not list((tmp_path / "out" / "results").glob("*/jobs.json"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the working tree, whose files a test may edit, with the environment of this one."""
    return copy_of_tree(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def local(checkout, tmp_path_factory):
    """The quick profile from nothing on this machine: where it wrote, and what it said."""
    output = tmp_path_factory.mktemp("local")
    code, said = run_all(output, *QUICK, source=checkout)
    assert code == 0, said
    return output, said


@pytest.mark.slow
def test_the_quick_profile_from_nothing(local, monkeypatch):
    output, said = local
    _check_results(output / "results/quick")
    _check_report(output / "report/build/quick")
    _check_links(output / "report/build/quick")
    _check_pdf_without_tex(output, monkeypatch)
    assert re.search(r"^explain-small-hmt-0  \d+ s$", said, flags=re.M), "a line a stage"


@pytest.mark.slow
def test_the_pages_come_quickly(local, browser):
    built.check_first_load(local[0] / "report/build/quick", browser)
    built.check_policy(local[0] / "report/build/quick", browser)


@pytest.mark.slow
def test_a_second_run_has_nothing_to_do(local, checkout):
    started = time.time()
    code, said = run_all(local[0], *QUICK, source=checkout)
    assert code == 0 and "Nothing to do" in said
    assert time.time() - started < 10


def plan(output, source, **environment):
    """The jobs and notebooks that would be run now, by name."""
    code, said = run_all(output, *QUICK[:2], "--", "--dry-run", source=source, **environment)
    assert code == 0, said
    return set(re.findall(r"wildcards: (?:job|notebook)=([\w-]+)", said))


@pytest.mark.slow
def test_what_a_change_rebuilds(local, checkout):
    """The table of the README, from top to bottom, by the dry run."""
    output, _ = local
    every = json.loads((output / "results/quick/jobs.json").read_text())
    notebooks = {path.stem for path in (checkout / "notebooks").glob("*.ipynb")} - {"00_your_own_model"}

    def after(file, before, now):
        """What would be run with this edit, which is then taken back."""
        path = checkout / file
        text, times = path.read_text(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        assert before in text
        path.write_text(text.replace(before, now, 1))
        planned = plan(output, checkout, XAI_HMT_DIR="synthetic")
        path.write_text(text)
        os.utime(path, ns=times)
        return planned

    def jobs(rule, *methods):
        return {
            name
            for name, job in every.items()
            if job["rule"] == rule and any(set(methods) & set(own) for own in job["works"].values())
        }

    def readers(of):
        """The jobs that wait for those, and so on."""
        found = set(of)
        while more := {n for n, job in every.items() if found & set(job["needs"])} - found:
            found |= more
        return found

    assert plan(output, checkout, XAI_HMT_DIR="synthetic") == set()
    # The report's prose, the words of conclusions, statistics, plots: no map and no score.
    assert after("report/report.md", "# ", "# ") == set()
    for edit in [
        ("xai_utils/study/wording.py", "others", "more"),
        ("xai_utils/study/statistics.py", "LEVEL = 0.05", "LEVEL = 0.01"),
        ("xai_utils/study/plots.py", "COLUMN, PAGE = 3.5", "COLUMN, PAGE = 3.6"),
        ("xai_utils/attributions/masks.py", "# nothing to divide", "# a comment"),
    ]:
        assert after(*edit) == notebooks
    # One notebook: itself.
    edited = after("notebooks/02_mnist1d_classify.ipynb", "Overall accuracy", "Accuracy")
    assert edited == {"02_mnist1d_classify"}
    # A metric: its scores. A method: its maps and what reads them.
    edited = after("xai_utils/metrics/sanity.py", "win_size=7", "win_size=5")
    assert edited == notebooks | {n for n, job in every.items() if "sanity" in str(job["works"])}
    edited = after("xai_utils/attributions/masks.py", "keep=0.5", "keep=0.6")
    assert edited == notebooks | readers(jobs("explain", "rise") | jobs("score", "rise"))
    # The recipe: the training and all that its network is asked.
    edited = after("profiles/quick.yaml", "signal_epochs: 15", "signal_epochs: 16")
    assert edited == notebooks | readers({"train-signals"})
    # The lock, other tiles: everything; everything of the tiles.
    (checkout / "requirements.lock").touch()
    assert plan(output, checkout, XAI_HMT_DIR="synthetic") == notebooks | every.keys()


def fewer_instructions():
    """What oneDNN is told to make do with: less than this processor has."""
    known = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    return "AVX2" if "avx512f" in known else "AVX"


def kept(output, kind):
    """What lies in the store, ``{shelf: {sample: value}}``; a shelf's name says what it depends on."""
    found = {}
    for path in (output / "results/store" / kind).glob("*/*.*"):
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                values = dict(zip(arrays["keys"], arrays["values"]))
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
            values = dict(zip(table["keys"], table["values"]))
        else:
            continue
        found.setdefault(path.parent.name, {}).update(values)
    return found


@pytest.mark.slow
def test_another_processor_says_the_same(local, checkout, tmp_path):
    """The conclusions of the quick profile on the networks that are shipped once more, from nothing, with
    the convolutions of an older processor.

    Sums in another order differ in their last digits, so that a point changes sides where two are next
    to equal or a ReLU is next to zero. The library's map turns such digits into eight bits.
    """
    asked = *QUICK, "--", "--until", *ON_SHIPPED_NETWORKS
    code, said = run_all(tmp_path, *asked, source=checkout, ONEDNN_MAX_CPU_ISA=fewer_instructions())
    assert code == 0, said
    values, others = {}, {}
    for part in ON_SHIPPED_NETWORKS:
        values |= json.loads((local[0] / part).read_text())["values"]
        others |= json.loads((tmp_path / part).read_text())["values"]
    sentences = {name for name in values if isinstance(values[name], str)}
    assert len(sentences) > 40 and values.keys() == others.keys()
    number = r"\d+\.\d+"
    for name in sentences:
        assert re.sub(number, "", values[name]) == re.sub(number, "", others[name]), name
        # What is next to the middle of two printed numbers is printed as either.
        one, other = (re.findall(number, text) for text in (values[name], others[name]))
        units = [max(10.0 ** -len(n.split(".")[1]) for n in pair) for pair in zip(one, other)]
        apart = np.abs(np.array(one, float) - np.array(other, float))
        assert (apart <= 1.01 * np.array(units)).all(), (values[name], others[name])
    apart, lost = {}, {}
    for method, one, other in pairs(*(kept(folder, "maps") for folder in (local[0], tmp_path))):
        if method == "prediction":
            assert one.argmax() == other.argmax()
        else:
            # Of a map of one part, which has no range, the value counts.
            near = 1e-4 * np.ptp(one) + 1e-5 * np.abs(one).max() + 1e-6
            differ = np.abs(one - other) > near
            apart.setdefault(method, []).append(differ.mean())
    for metric, one, other in pairs(*(kept(folder, "scores") for folder in (local[0], tmp_path))):
        lost.setdefault(metric, []).append(np.abs(one - other).max())
    assert set(METHODS) <= apart.keys() and len(apart["grad_cam"]) > 1000
    assert {method: np.mean(own) for method, own in apart.items() if np.mean(own) >= 2e-3} == {}
    assert len(lost["drop_rate"]) > 10_000 and max(lost["drop_rate"]) < 1e-3


def pairs(one, other):
    """What two stores have in common: the name, and the values in each. A network that was trained
    anew is another one on each, and so is an input times its map."""
    for place in one.keys() & other.keys():
        for sample in one[place].keys() & other[place].keys():
            yield place.rsplit("-", 1)[0], one[place][sample], other[place][sample]


@pytest.mark.slow
def test_a_run_by_hand_changes_nothing_official(local, checkout, tmp_path):
    """A notebook with other parameters in a kernel of its own, then ``run_all.sh``."""
    output, _ = local
    before = {p: p.read_bytes() for p in (output / "results/quick").glob("*.*")}
    book = json.loads((checkout / "notebooks/03_mnist1d_explain.ipynb").read_text())
    for cell in book["cells"]:
        if cell["metadata"].get("tags") == ["parameters"]:
            cell["source"] = ['PROFILE = "quick"\n', 'METHODS_SHOWN = ["gradient"]']
    (tmp_path / "by_hand.ipynb").write_text(json.dumps(book))
    done = subprocess.run(
        [f"{sys.prefix}/bin/jupyter", "execute", "--output", "done", tmp_path / "by_hand.ipynb"],
        cwd=checkout / "notebooks",
        env=settings(output, checkout, XAI_HMT_DIR="synthetic"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "done.ipynb").read_text())["cells"][-1]["outputs"]
    assert "Run by hand: kept in results/by_hand/quick" in str(said)
    part = json.loads((output / "results/by_hand/quick/parts/03_mnist1d_explain.json").read_text())
    assert part["provenance"]["parameters"]["METHODS_SHOWN"] == ["gradient"]
    assert {p: p.read_bytes() for p in (output / "results/quick").glob("*.*")} == before


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of two one-core slots on this machine."""
    if not (shutil.which("slurmctld") and shutil.which("munged") and os.geteuid() == 0):
        pytest.skip("needs root and Debian's slurm-wlm and munge")
    command = REPOSITORY / "tests/slurm/one_machine.sh"
    subprocess.run([command, "start"], check=True)
    yield
    subprocess.run([command, "stop"], check=True)


ON_SLURM = (
    "06_quantitative_eval",
    "08_audit",
)  # these ask for maps and for scores, and take half the time


@pytest.mark.slow
def test_slurm_gives_the_same_numbers_though_a_node_fails(local, checkout, slurm, tmp_path):
    """From nothing, with a store of its own; the first job of an explanation is killed."""
    parts = [f"results/quick/parts/{name}.json" for name in ON_SLURM]
    environment = settings(tmp_path, checkout)
    with open(tmp_path / "log", "w") as log:
        running = subprocess.Popen(
            [checkout / "run_all.sh", *QUICK, *SLURM, "--until", *parts],
            cwd="/",
            env=environment,
            stderr=log,
        )
        killed = _kill_a_job(tmp_path, running)
        assert running.wait() == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()
    assert "Trying to restart job" in said and killed
    for part in parts:
        own, other = (json.loads((folder / part).read_text()) for folder in (tmp_path, local[0]))
        assert own["values"] and alike(own["values"], other["values"])
        assert alike(own["tables"], other["tables"])
        rows = part.replace(".json", "_scores.csv")
        scores = (pd.read_csv(folder / rows) for folder in (tmp_path, local[0]))
        pd.testing.assert_frame_equal(*scores, rtol=1e-5, atol=1e-6)
    records = [json.loads(p.read_text()) for p in (tmp_path / "results/quick/jobs").glob("*.json")]
    assert {record["job"] for record in records} >= {killed}


def alike(one, other):
    """Whether texts are the same and numbers next to it: a job that was killed goes on with what it lacks, in
    batches of another size, whose sums differ in the last digit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == (pytest.approx(other, rel=1e-5, abs=1e-6) if isinstance(one, float) else other)


def _kill_a_job(output, running):
    """Wait for the process of a job that explains and kill it, as a failing node would."""
    while running.poll() is None:
        listed = subprocess.run(
            ["pgrep", "-af", "study.jobs quick --do explain"], capture_output=True, text=True
        )
        for line in listed.stdout.splitlines():
            number, command = line.split(" ", 1)
            if command.startswith("python") and (output / "results/quick/jobs.json").exists():
                time.sleep(3)
                os.kill(int(number), signal.SIGKILL)
                return command.split()[-1]
        time.sleep(0.2)
    return None


def _check_pdf_without_tex(output, monkeypatch):
    monkeypatch.setenv("XAI_OUTPUT", str(output))
    monkeypatch.setattr(build, "has_tex", lambda: False)
    build.build("quick", single_file=True)
    mailed = (output / "report/build/quick/single_file.html").read_text()
    needed = re.findall(r'(?:src|href)="(?!data:|#|https?:)([^"]+)"', mailed)
    assert needed == [], "a page that is mailed needs nothing beside it"
    assert 'id="refs"' in mailed and 'id="claims"' not in mailed and 'id="audit"' in mailed
    content = (output / "report/build/quick/report.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"pdfTeX" not in content


def _check_results(folder):
    assert all((folder / name).exists() for name in NAMES)
    values = json.loads((folder / "values.json").read_text())
    assert values["hmt.source"] == "synthetic"
    assert values["mnist1d.accuracy"] > 0.8
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert set(scores.dataset) == {"mnist1d", "hmt", "synthetic", "photographs", "voc"}
    assert scores.value.notna().all()
    assert list(pd.read_csv(folder / "reproduction.csv").columns) == list(REPRODUCTION_COLUMNS)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["plan"]["networks"]["signal_epochs"] == 15
    assert facts["parameters"]["05_hmt_explain"]["EXPLORED_PER_CLASS"] == 4
    assert facts["jobs"]["explain-small-hmt-0"]["processor"] and len(facts["commits"]) == 14


def _check_report(folder):
    for document in PREFIX:
        page = (folder / f"{document}.html").read_text()
        text = re.sub(r"<[^>]+>", " ", page)
        for word in ("Undefined", "None", "nan", "TODO", "{{"):
            assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), word
        captions = re.findall(r"<caption>\s*<strong>Table S?\d+\.", page)
        assert page.count("<table") == len(captions), "a table that was taken for text"
        assert "Synthetic tissue stands in for HMT" in text
        assert (folder / f"{document}.pdf").read_bytes().startswith(b"%PDF")
        _check_latex(folder, document)
    assert r"\includegraphics{figures/mnist1d_roc.pdf}" in (folder / "report.tex").read_text()
    assert not list(folder.rglob("partial-*"))
    described = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    files = [entity["@id"] for entity in described if "File" in entity["@type"]]
    assert len(files) > 8 and all((folder / name).exists() for name in files)
    built.check_prose(folder)
    if build.has_tex() and shutil.which("pdftotext"):
        built.check_layout(folder)


def _check_latex(folder, document):
    """The PDF by LaTeX says everything, and nothing that was not filled in; where both LaTeX and
    pdftotext are installed, as on CI."""
    if not (build.has_tex() and shutil.which("pdftotext")):
        return
    log = (folder / f"{document}.log").read_text(errors="replace")
    assert "undefined" not in log
    overfull = [float(width) for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(overfull, default=0) <= 5
    pdf = folder / f"{document}.pdf"
    said = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True)
    for word in ("??", "nan", "None", "TODO", "{{"):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said.stdout), word
    text = (REPOSITORY / f"report/{document}.md").read_text()
    heads = re.findall(r"^# ([\w ]+)", text, flags=re.M)
    letters = re.sub(r"\W", "", said.stdout).lower()
    assert [head for head in heads if re.sub(r"\W", "", head).lower() not in letters] == []


def _check_links(folder):
    """Every link of every page leads somewhere, and nothing is loaded from elsewhere."""
    pages = {path: path.read_text() for path in folder.rglob("*.html")}
    assert len(pages) >= 11
    names = {path: set(re.findall(r'\sid="([^"]+)"', page)) for path, page in pages.items()}
    for path, page in pages.items():
        loaded = re.findall(r'<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="([^"]+)"', page)
        assert [address for address in loaded if re.match("https?:|//", address)] == []
        assert "@import" not in page and "url(http" not in page
        assert "Markdown object" not in page
        for address in set(re.findall(r'<a\b[^>]*?href="([^"]+)"', page)):
            if re.match("https?:|mailto:|data:", address):
                continue
            file, _, name = address.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name} leads to {address}"
            if name and target in names:
                assert unquote(name) in names[target], f"{path.name} leads to {address}"
