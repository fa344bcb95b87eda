"""What counts as the code of a function, and that it is the code in memory."""

import shutil
import subprocess
import sys
import textwrap

import pytest

from xai_utils.run import sources
from xai_utils.run.files import REPOSITORY

SCIENCE = '''
"""A module."""
import numpy as np
from xai_utils.tools import scaled as scale
from xai_utils import tools

LIMIT = 3

def mean(x, limit=LIMIT):
    """The mean."""
    return scale(np.mean(x)) + tools.shift(x)

@tools.marked
def other(x):
    return x
'''
TOOLS = """
STEP = 2

def scaled(x):
    return STEP * x

def shift(x):
    return x + 1

def unused(x):
    return x

def marked(function):
    return function
"""


def hashes(monkeypatch, science=SCIENCE, tools=TOOLS):
    """The hash of each function of ``science``."""
    monkeypatch.setitem(sources._imported, "xai_utils.science", science)
    monkeypatch.setitem(sources._imported, "xai_utils.tools", tools)
    sources._hash_of_imported.cache_clear()
    found = [
        sources._hash_of_imported("xai_utils.science", name, frozenset()) for name in ("mean", "other")
    ]
    sources._hash_of_imported.cache_clear()
    return found


@pytest.mark.parametrize(
    "old, new, counts",
    [
        ("scale(np.mean(x))", "scale(np.median(x))", [True, False]),
        ("LIMIT = 3", "LIMIT = 4", [True, False]),
        ("import numpy as np", "import cupy as np", [True, False]),
        ("STEP = 2", "STEP = 3", [True, False]),
        ("return x + 1", "return x + 2", [True, False]),
        ("return function", "return None", [False, True]),
        ("def unused(x):\n    return x", "def unused(x):\n    return -x", [False, False]),
        ('"""The mean."""', '"""Something else."""', [False, False]),
        ("LIMIT = 3", "LIMIT = 3  # a comment", [False, False]),
        ("def mean(x, limit=LIMIT):", "def mean(\n    x, limit=LIMIT,\n):", [False, False]),
        ("\n@tools.marked", "\ndef new(x):\n    return mean(x)\n\n@tools.marked", [False, False]),
    ],
)
def test_a_function_is_its_definition_and_all_that_it_uses(monkeypatch, old, new, counts):
    before = hashes(monkeypatch)
    assert old in SCIENCE + TOOLS
    after = hashes(monkeypatch, SCIENCE.replace(old, new), TOOLS.replace(old, new))
    assert [a != b for a, b in zip(before, after)] == counts


def test_a_module_that_is_used_as_a_whole_counts_as_a_whole(monkeypatch):
    science = SCIENCE.replace("tools.shift(x)", "getattr(tools, 'shift')(x)")
    first = hashes(monkeypatch, science)
    second = hashes(monkeypatch, science, TOOLS.replace("def unused(x):", "def unused(x, y):"))
    assert first[0] != second[0] and first[1] == second[1]


def test_names_that_are_not_followed_do_not_count(monkeypatch):
    def found(tools):
        hashes(monkeypatch, tools=tools)
        return sources._hash("xai_utils.science", "mean", frozenset({"scale"}), sources._imported.get)

    assert found(TOOLS) == found(TOOLS.replace("STEP = 2", "STEP = 3"))


def test_a_function_from_elsewhere_is_refused():
    with pytest.raises(ValueError, match="cannot be watched"):
        sources.code_of(hashes)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(REPOSITORY / "xai_utils", tmp_path / "xai_utils")
    shutil.copy(REPOSITORY / "requirements.lock", tmp_path)
    return tmp_path


def run_in(folder, script):
    """What a script prints that imports the package from ``folder``, a line each."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "XAI_OUTPUT": str(folder / "out"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_an_edit_counts_when_it_is_imported(copy):
    script = """
        import importlib
        from pathlib import Path
        from xai_utils.data import mosaics
        from xai_utils.run import sources

        file = Path(mosaics.__file__)
        print(sources.code_of(mosaics.grid))
        file.write_text(file.read_text().replace("seed=0", "seed=1"))
        print(sources.code_of(mosaics.grid))
        print(sources.code_in_files("xai_utils.data.mosaics", "grid"))
        print(sources.code_of(importlib.reload(mosaics).grid))
    """
    first, edited, in_file, imported_again = run_in(copy, script)
    assert first == edited != in_file == imported_again


def test_what_an_edited_kernel_computes_is_not_kept_as_the_new_code(copy):
    """Two processes: one imports, then the file is edited, then it computes; the other has the edit."""
    compute = """
        import keras, numpy as np
        from pathlib import Path
        from xai_utils.data import Samples
        from xai_utils.study import maps

        EDIT
        keras.utils.set_random_seed(0)
        layers = [keras.Input((8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
        samples = Samples(np.ones((3, 8, 1), "float32"), np.zeros(3, int), np.array(list("abc")))
        for _ in range(2):
            stored, count = maps.compute_maps(keras.Sequential(layers), samples, samples.y, "constant", {})
            print(count, stored[:3].max())
    """
    edit = """
        file = Path("xai_utils/attributions/controls.py")
        file.write_text(file.read_text().replace("return np.ones(x.shape[:-1])", "return 2 * np.ones(x.shape[:-1])"))
    """
    before = run_in(copy, textwrap.dedent(compute).replace("EDIT", textwrap.dedent(edit)))
    after = run_in(copy, textwrap.dedent(compute).replace("EDIT", ""))
    assert before == ["3 1.0", "0 1.0"] and after == ["3 2.0", "0 2.0"]
