# What depends on what, written once. `./run_all.sh` calls it.

import os
from glob import glob

from xai_utils.results import profile_section

SOURCE = workflow.basedir
PROFILE = config.get("profile", "standard")
RESULTS, FIGURES = f"results/{PROFILE}", f"figures/{PROFILE}"
REPORT = f"report/build/{PROFILE}"

# Each notebook, and what it uses: other notebooks' results, the tiles and our weights, recorded
# trainings, the published numbers.
NOTEBOOKS = {
    "01_mnist1d_train": ["recipes"],
    "02_mnist1d_classify": ["01_mnist1d_train", "published"],
    "03_mnist1d_explain": ["01_mnist1d_train"],
    "04_hmt_classify": ["tiles", "published"],
    "05_hmt_explain": ["04_hmt_classify", "tiles"],
    "06_quantitative_eval": ["03_mnist1d_explain", "05_hmt_explain", "tiles", "published"],
    "07_localization": ["03_mnist1d_explain", "05_hmt_explain", "tiles", "published"],
    "08_sanity": ["03_mnist1d_explain", "05_hmt_explain", "tiles"],
}
COLLECTED = [
    f"{RESULTS}/{name}"
    for name in (
        "values.json", "tables.json", "made_in.json", "scores.csv", "reproduction.csv", "run.json"
    )
]


def tile_files():
    """The tiles or the archive that the user gave."""
    asked = os.path.join(SOURCE, os.environ.get("XAI_HMT_DIR", "synthetic"))
    return sorted(glob(f"{asked}/*/*")) or glob(asked)


def course_files():
    asked = os.environ.get("XAI_COURSE_MODELS")
    return sorted(glob(os.path.join(SOURCE, asked, "*.h5"))) if asked else []


def files_used(wildcards):
    """The files behind the names in the table of notebooks."""
    files = {name: [f"{RESULTS}/parts/{name}.json"] for name in NOTEBOOKS}
    files["tiles"] = [f"{RESULTS}/hmt.json", *glob(f"{SOURCE}/data/weights/vgg7_*")]
    files["recipes"] = [f"{SOURCE}/data/weights/shallow_cnn_recipes.json"]
    facts = [f"{SOURCE}/data/published_results.csv", f"{SOURCE}/data/recorded_course.json"]
    files["published"] = [*facts, *course_files()]
    return [file for name in NOTEBOOKS[wildcards.notebook] for file in files[name]]


rule all:
    input:
        f"{REPORT}/report.html",
        f"{REPORT}/report.pdf",


rule find_hmt:
    input:
        tile_files(),
        f"{SOURCE}/data/hmt_split.csv",
    output:
        f"{RESULTS}/hmt.json",
    params:
        asked=os.environ.get("XAI_HMT_DIR", ""),
    shell:
        "python -m xai_utils.data.hmt {output}"


rule notebook:
    input:
        notebook=f"{SOURCE}/notebooks/{{notebook}}.ipynb",
        package=glob(f"{SOURCE}/xai_utils/**/*.py", recursive=True),
        used=files_used,
    output:
        f"{RESULTS}/notebooks/{{notebook}}.ipynb",
        f"{RESULTS}/parts/{{notebook}}.json",
        f"{RESULTS}/parts/{{notebook}}_scores.csv",
        f"{RESULTS}/parts/{{notebook}}_reproduction.csv",
        f"{RESULTS}/parts/{{notebook}}_samples.npz",
        directory(f"{FIGURES}/{{notebook}}"),
    params:
        settings=lambda wildcards: profile_section(PROFILE, wildcards.notebook),
        options=profile_section(PROFILE, "options"),
    threads: 1  # of the many that a notebook uses, one is idle half of the time
    # The longest first: what is left fills the other core.
    priority: lambda wildcards: int(wildcards.notebook in ("05_hmt_explain", "06_quantitative_eval"))
    shell:
        f"python -m xai_utils.execute {{wildcards.notebook}} {PROFILE}"


rule collect:
    input:
        expand(f"{RESULTS}/parts/{{notebook}}.json", notebook=NOTEBOOKS),
    output:
        COLLECTED,
    shell:
        f"python -m xai_utils.results {PROFILE}"


rule report:
    input:
        COLLECTED,
        expand(f"{RESULTS}/notebooks/{{notebook}}.ipynb", notebook=NOTEBOOKS),
        expand(f"{RESULTS}/parts/{{notebook}}_samples.npz", notebook=NOTEBOOKS),
        expand(f"{FIGURES}/{{notebook}}", notebook=NOTEBOOKS),
        glob(f"{SOURCE}/report/*.*"),
        glob(f"{SOURCE}/report/templates/*"),
        glob(f"{SOURCE}/report/explorer/*"),
    output:
        f"{REPORT}/report.html",
        f"{REPORT}/report.tex",
        f"{REPORT}/report.pdf",
        f"{REPORT}/walkthrough/index.html",
        f"{REPORT}/explorer/index.html",
    shell:
        f"python {SOURCE}/report/build.py {PROFILE}"
