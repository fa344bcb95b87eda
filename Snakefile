# What depends on what, written once. `./run_all.sh` calls it.

import json
import os
from glob import glob

from xai_utils.run.files import profile_section

SOURCE = workflow.basedir
PROFILE = config.get("profile", "standard")
RESULTS, FIGURES = f"results/{PROFILE}", f"figures/{PROFILE}"
REPORT = f"report/build/{PROFILE}"
LOCK = f"{SOURCE}/requirements.lock"
PACKAGE = sorted(glob(f"{SOURCE}/xai_utils/**/*.py", recursive=True))

# A process that was killed says nothing itself.
shell.prefix(
    "trap 'if [ $? -gt 128 ]; then echo \"error: $BASH_COMMAND: killed, perhaps for want of memory: "
    "the same command goes on from here\" >> ${{XAI_ERRORS:-/dev/stderr}}; fi' EXIT; "
)

# The jobs of the plan, by name; none before the tiles are found and the plan is made.
JOBS = json.load(open(f"{RESULTS}/jobs.json")) if os.path.exists(f"{RESULTS}/jobs.json") else {}

# Each notebook, and what it reads: works of the plan, trainings, and facts.
NOTEBOOKS = {
    "01_mnist1d_train": ["train-signals", "shallow_cnn"],
    "02_mnist1d_classify": ["shallow_cnn", "published"],
    "03_mnist1d_explain": ["signals", "signals_few"],
    "04_hmt_classify": ["train-tiles", "tiles", "recipes", "published"],
    "05_hmt_explain": ["tiles", "tiles_few"],
    "06_quantitative_eval": ["signals_rates", "tiles_rates"],
    "07_published_comparison": [
        "course_signals", "course_tiles", "course_steps", "course_networks", "signals_steps", "tiles_steps",
        "signals_rates", "tiles_rates", "train-tiles", "tiles", "published",
    ],
    "08_audit": ["signals_audited", "signals_again", "tiles_audited", "tiles_again"],
    "09_localization": ["signals", "signals_few", "mosaics", "mosaics_twice", "synthetic", "published"],
    "10_sanity": ["signals_sanity", "tiles_sanity"],
    "11_photographs": ["photographs", "photographs_few", "bears", "voc_several", "pictures"],
    "12_voc": ["voc", "voc_some", "voc_few", "voc_steps", "pictures", "published"],
    "13_seeds": ["signals_seeds", "tiles_seeds"],
    "14_answer": [
        "course_signals", "course_steps", "signals_rates", "tiles_rates", "signals", "signals_few", "mosaics",
        "tiles", "published",
    ],
}
JOINED = [
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


def picture_files():
    """The photographs and the networks of others that the user gave."""
    folders = [os.environ.get(name) for name in ("XAI_PHOTOS", "XAI_PRETRAINED")]
    asked = [os.path.join(SOURCE, folder, "*.*") for folder in folders if folder]
    return sorted(file for pattern in asked for file in glob(pattern))


def voc_files():
    """The lists of the images of VOC that the user gave."""
    asked = os.path.join(SOURCE, os.environ.get("XAI_VOC_DIR", "synthetic"))
    return sorted(glob(f"{asked}/**/ImageSets/Main/*.txt", recursive=True))


def record(job):
    return f"{RESULTS}/jobs/{job}.json"


FACTS = {
    "pictures": [f"{RESULTS}/voc.json", *picture_files()],
    "signals": glob(f"{SOURCE}/data/weights/shallow_cnn_*"),
    "shallow_cnn": glob(f"{SOURCE}/data/weights/shallow_cnn_*"),  # before anything is explained
    "tiles": [f"{RESULTS}/hmt.json", *glob(f"{SOURCE}/data/weights/vgg7_*")],
    "recipes": [f"{SOURCE}/data/hmt_references.csv", f"{SOURCE}/data/hmt_candidates.csv"],
    "published": [
        f"{SOURCE}/data/published_results.csv", f"{SOURCE}/data/recorded_course.json", *course_files()
    ],
}


def files_read(wildcards):
    """The files behind the names in the table of notebooks."""
    names = NOTEBOOKS[wildcards.notebook]
    jobs = [record(job) for job, about in JOBS.items() if {job, *about["works"]} & set(names)]
    return [file for name in names for file in FACTS.get(name, [])] + jobs


def files_of_job(wildcards):
    """The records of the jobs that one waits for, and what its samples come from."""
    about = JOBS[wildcards.job]
    sources = [file for name in about["uses"] for file in FACTS.get(name, [])]
    return sources + (course_files() if "course" in about["uses"] else []) + list(map(record, about["needs"]))


localrules: all, find_hmt, find_voc, plan, join, report


rule all:
    input:
        f"{REPORT}/report.html",
        f"{REPORT}/report.pdf",
        f"{REPORT}/supplement.pdf",


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


# After the tiles, so that what is wrong with them is said alone.
rule find_voc:
    input:
        ancient(f"{RESULTS}/hmt.json"),
        voc_files(),
    output:
        f"{RESULTS}/voc.json",
    params:
        asked=os.environ.get("XAI_VOC_DIR", ""),
    shell:
        "python -m xai_utils.data.voc {output}"


rule plan:
    input:
        f"{RESULTS}/hmt.json",
        f"{RESULTS}/voc.json",
        f"{SOURCE}/profiles/{PROFILE}.yaml",
        LOCK,
        PACKAGE,
        course_files(),
    output:
        f"{RESULTS}/jobs.json",
    params:
        jobs=config.get("jobs", 1),
    shell:
        f"python -m xai_utils.study.jobs {PROFILE} --for {{params.jobs}}"


# A training: two threads, on however many cores, since their number decides about the last digits.
rule train:
    input:
        files_of_job,
        LOCK,
    output:
        f"{RESULTS}/jobs/{{job,train-.*}}.json",
    params:
        code=lambda wildcards: JOBS[wildcards.job]["code"],
    threads: 1
    priority: lambda wildcards: JOBS[wildcards.job]["priority"]
    resources:
        mem_mb=4000,
        runtime=1440,
    shell:
        f"python -m xai_utils.study.jobs {PROFILE} --do {{wildcards.job}}"


# Maps of a set of samples by a group of methods, into the store. One thread: many jobs with one are
# faster than one with many, and give the same maps.
rule explain:
    input:
        files_of_job,
        LOCK,
    output:
        f"{RESULTS}/jobs/{{job,explain-.*}}.json",
    params:
        code=lambda wildcards: JOBS[wildcards.job]["code"],
    threads: 1
    priority: lambda wildcards: JOBS[wildcards.job]["priority"]
    resources:
        mem_mb=4000,
        runtime=720,
    shell:
        f"TF_NUM_INTRAOP_THREADS=1 python -m xai_utils.study.jobs {PROFILE} --do {{wildcards.job}}"


# Scores of maps, into the store.
use rule explain as score with:
    output:
        f"{RESULTS}/jobs/{{job,score-.*}}.json",


rule notebook:
    input:
        notebook=f"{SOURCE}/notebooks/{{notebook}}.ipynb",
        package=PACKAGE,
        lock=LOCK,
        used=files_read,
    output:
        f"{RESULTS}/notebooks/{{notebook}}.ipynb",
        f"{RESULTS}/parts/{{notebook}}.json",
        f"{RESULTS}/parts/{{notebook}}_scores.csv",
        f"{RESULTS}/parts/{{notebook}}_reproduction.csv",
        f"{RESULTS}/parts/{{notebook}}_samples.npz",
        directory(f"{FIGURES}/{{notebook}}"),
    params:
        settings=lambda wildcards: profile_section(PROFILE, wildcards.notebook),
        plan=[profile_section(PROFILE, name) for name in ("options", "samples", "networks")],
    threads: 1
    resources:
        mem_mb=6000,
        runtime=240,
    shell:
        f"python -m xai_utils.run.notebook {{wildcards.notebook}} {PROFILE}"


rule join:
    input:
        expand(f"{RESULTS}/parts/{{notebook}}.json", notebook=NOTEBOOKS),
    output:
        JOINED,
    shell:
        f"python -m xai_utils.run.join {PROFILE} {' '.join(NOTEBOOKS)}"


rule report:
    input:
        JOINED,
        expand(f"{RESULTS}/notebooks/{{notebook}}.ipynb", notebook=NOTEBOOKS),
        expand(f"{RESULTS}/parts/{{notebook}}_samples.npz", notebook=NOTEBOOKS),
        expand(f"{FIGURES}/{{notebook}}", notebook=NOTEBOOKS),
        glob(f"{SOURCE}/report/*.*"),
        glob(f"{SOURCE}/report/templates/*"),
        glob(f"{SOURCE}/report/explorer_page/*"),
    output:
        f"{REPORT}/report.html",
        f"{REPORT}/report.tex",
        f"{REPORT}/report.pdf",
        f"{REPORT}/supplement.html",
        f"{REPORT}/supplement.pdf",
        f"{REPORT}/walkthrough/index.html",
        f"{REPORT}/explorer/index.html",
        f"{REPORT}/ro-crate-metadata.json",
    shell:
        f"python -P -m report.build {PROFILE}"  # the folder of that name here is what it writes
