# What depends on what. `./run_all.sh` calls it; on a cluster, so can you:
#   snakemake --directory . --config profile=full --executor slurm --jobs 6

import os
from glob import glob

from xai_utils.data import hmt
from xai_utils.execute import notebook_settings

SOURCE = workflow.basedir
PROFILE = config.get("profile", "standard")
RESULTS, FIGURES = f"results/{PROFILE}", f"figures/{PROFILE}"
REPORT = f"report/build/{PROFILE}"

# Each notebook, and those whose results it uses.
NOTEBOOKS = {
    "01_mnist1d_train": [],
    "02_mnist1d_classify": ["01_mnist1d_train"],
    "03_mnist1d_explain": ["01_mnist1d_train"],
    "04_hmt_classify": [],
    "05_hmt_explain": ["04_hmt_classify"],
    "06_quantitative_eval": ["01_mnist1d_train", "04_hmt_classify"],
}
COLLECTED = [
    f"{RESULTS}/{name}"
    for name in ("values.json", "tables.json", "scores.csv", "reproduction.csv", "run.json")
]


def tile_files():
    """The tiles that the user gave, or the archive in the cache; none before a download."""
    asked = os.environ.get("XAI_HMT_DIR", "")
    if os.path.isdir(asked):
        return sorted(glob(f"{asked}/*/*"))
    return [path for path in (asked, str(hmt.CACHED)) if os.path.isfile(path)][:1]


def course_files():
    return sorted(glob(os.path.join(os.environ.get("XAI_COURSE_MODELS", ""), "*.h5")))


rule all:
    input:
        f"{REPORT}/report.html",
        f"{REPORT}/report.pdf",


rule find_hmt:
    input:
        tile_files(),
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
        data=glob(f"{SOURCE}/data/*.csv") + glob(f"{SOURCE}/data/weights/*"),
        course=course_files(),
        hmt=f"{RESULTS}/hmt.json",
        used=lambda wildcards: [
            f"{RESULTS}/parts/{name}.json" for name in NOTEBOOKS[wildcards.notebook]
        ],
    output:
        f"{RESULTS}/notebooks/{{notebook}}.ipynb",
        f"{RESULTS}/parts/{{notebook}}.json",
        f"{RESULTS}/parts/{{notebook}}_scores.csv",
        f"{RESULTS}/parts/{{notebook}}_reproduction.csv",
        directory(f"{FIGURES}/{{notebook}}"),
    params:
        settings=lambda wildcards: notebook_settings(PROFILE, wildcards.notebook),
    threads: 2
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
        expand(f"{FIGURES}/{{notebook}}", notebook=NOTEBOOKS),
        glob(f"{SOURCE}/report/*.*"),
        glob(f"{SOURCE}/report/templates/*"),
    output:
        f"{REPORT}/report.html",
        f"{REPORT}/report.tex",
        f"{REPORT}/report.pdf",
    shell:
        f"python {SOURCE}/report/build.py {PROFILE}"
