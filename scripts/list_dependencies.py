"""The packages of ``requirements.lock`` and their licences: ``python scripts/list_dependencies.py`` writes
``docs/dependencies.md``. Licences are read from what is installed; those that it does not state stand below.
"""

import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.licenses import canonicalize_license_expression
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[1]
LOCK, PAGE = ROOT / "requirements.lock", ROOT / "docs" / "dependencies.md"
OURS = "xai-utils (pyproject.toml)"  # as the lock names what pyproject.toml asks for
ENTRY = re.compile(r"^(\S+)==(\S+)(?: ; (.+?))?((?: \\\n    --hash=\S+)*)\n((?:    #.*\n)*)", re.M)

# What packages write in "License", or choose as a classifier, and what SPDX calls it. "BSD" alone is not told.
STATED = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "ISC license": "ISC",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "PSFL": "PSF-2.0",
    "W3C-20150513": "W3C-20150513",
}
# Read in their licence files: what they state says too little, or nothing, or not what comes with them.
READ = {
    "Apache-2.0": "namex",
    "Apache-2.0 AND LGPL-2.1-or-later": "opencv-python-headless",  # FFmpeg
    "Apache-2.0 OR BSD-2-Clause": "packaging",
    "BSD-2-Clause": "lime nest-asyncio2 numba",
    "BSD-3-Clause": """astunparse cycler gitdb ipython-pygments-lexers jinja2 jupyterlab jupyterlab-pygments
        jupyterlab-server jupyterlab-widgets kiwisolver nbgrader papermill prompt-toolkit scikit-image scipy
        seaborn tinycss2 webencodings""",
    "LicenseRef-Public-Domain AND BSD-2-Clause AND BSD-3-Clause AND PSF-2.0": "docutils",
    "MIT": """conda-inject snakemake-interface-common snakemake-interface-logger-plugins
        snakemake-interface-report-plugins snakemake-interface-scheduler-plugins
        snakemake-interface-storage-plugins""",
    "MIT AND EPL-1.0": "pulp",  # the solver CBC
    "MIT AND GPL-2.0-or-later": "pypandoc-binary",  # pandoc
    "PSF-2.0": "matplotlib",
}
# Read in what the index has of them: they are for other systems or versions of Python.
ELSEWHERE = {
    "Apache-2.0": "aiosignal frozenlist importlib-metadata lazy-importer multidict overrides propcache yarl",
    "Apache-2.0 AND MIT": "aiohttp",
    "BSD-2-Clause": "appnope",
    "BSD-2-Clause AND Apache-2.0 WITH LLVM-exception": "llvmlite",
    "BSD-3-Clause": "colorama pyreadline3",
    "MIT": "pywinpty zipp",
    "PSF-2.0": "aiohappyeyeballs",
}

ABOUT = """# What is installed

The packages of `requirements.lock`, for all systems and versions of Python, as `.venv/bin/python
scripts/list_dependencies.py` lists them. Their licences are those that they state, as SPDX expressions;
where they state none, those of their licence files.

Nothing of them is in this repository, which is under MIT: they are installed from the index, unchanged. Most
are permissive. Packages under MPL, LGPL or EPL are used as they are, and can be replaced. Pandoc (in
`pypandoc-binary`, GPL) is run as a separate program, as is the solver CBC (in `pulp`). Wheels of compiled
packages carry the runtime libraries of GCC, which its exception lets programs of any licence use.

| package | version | licence | asked for by |
| --- | --- | --- | --- |
"""


class Entry(NamedTuple):
    """A package of the lock: the marker is None where it is for everybody."""

    name: str
    version: str
    marker: Marker | None
    hashes: list
    via: list


def entries(text=None):
    """The entries of the lock."""
    return [
        Entry(name, version, Marker(marker) if marker else None, _hashes(hashes), _via(comments))
        for name, version, marker, hashes, comments in ENTRY.findall(text or LOCK.read_text())
    ]


def licence(name):
    """The SPDX expression of a package; an error where it has to be read."""
    for expression, names in [*READ.items(), *ELSEWHERE.items()]:
        if name in names.split():
            return canonicalize_license_expression(expression)
    about = metadata.metadata(name)
    classifiers = about.get_all("Classifier") or []
    stated = [about.get("License-Expression"), about.get("License")]
    stated += [line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::")]
    for text in filter(None, stated):
        first = text.strip().split("\n")[0]  # some put all of their licence there
        try:
            return canonicalize_license_expression(STATED.get(first, first))
        except ValueError:
            continue
    raise ValueError(f"the licence of {name} has to be read in its files: {stated}")


def page():
    """The table of all packages."""
    rows = (
        f"| {name} | {version} | {licence(name)} | {', '.join(_asking(via))} |"
        for name, version, _, _, via in entries()
    )
    return ABOUT + "\n".join(rows) + "\n"


def _hashes(text):
    return re.findall(r"--hash=sha256:([0-9a-f]{64})\b", text)


def _via(comments):
    """``# via one``, or one a line under ``# via``."""
    lines = (re.sub(r"^ *#( via)?", "", line).strip() for line in comments.splitlines())
    return [line for line in lines if line]


def _asking(via):
    return ["**this project**"] if OURS in via else via


if __name__ == "__main__":
    PAGE.write_text(page())
