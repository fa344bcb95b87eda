"""The run described for machines: a Workflow Run RO-Crate (Leo et al., 2024) beside the report.

What was run (the Snakefile, a copy of it), with which settings and data, by which versions, and what came
out: ``ro-crate-metadata.json``, in the folder of the report, whose files it names.
"""

import json
import shutil
from datetime import UTC, datetime

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from xai_utils.run.files import REPOSITORY, write

PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
LICENSE = "https://spdx.org/licenses/MIT"
MIME = {
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".tex": "application/x-tex",
    ".json": "application/json",
}
SOFTWARE = {
    "Python": "https://www.python.org",
    "tensorflow": "https://www.tensorflow.org",
    "keras": "https://keras.io",
    "numpy": "https://numpy.org",
}
PAGES = {
    "report.html": "The report",
    "report.pdf": "The report, to be printed",
    "report.tex": "The report in LaTeX",
    "supplement.html": "What the report refers to: methods, galleries, tables",
    "supplement.pdf": "The supplement, to be printed",
    "walkthrough/index.html": "Question by question, and the executed notebooks",
    "explorer/index.html": "Single samples with their maps and scores",
    "values.json": "Every number and sentence that the report is filled with",
    "run.json": "What was run, with which settings, weights, data and versions",
}


def write_crate(found, folder, epoch):
    """Write the metadata, and copy beside the report what they name and it lacks; the run ended at ``epoch``."""
    profile = found.run["profile"]
    workflow = folder / "workflow"
    workflow.mkdir()
    shutil.copy(REPOSITORY / "Snakefile", workflow)
    shutil.copy(REPOSITORY / "profiles" / f"{profile}.yaml", workflow)
    for name in ("values.json", "run.json"):
        shutil.copy(found.folder / name, folder)
    ended = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")
    crate = _described(found, folder, profile, ended)
    write(folder / "ro-crate-metadata.json", json.dumps(crate.metadata.generate(), indent=1) + "\n")


def _described(found, folder, profile, ended):
    crate = ROCrate()
    crate.name = f"Visual interpretation of convolutional networks, profile {profile}"
    crate.description = (
        "Explanation maps of convolutional networks for MNIST-1D and HMT, their scores beside controls, and the "
        f"report on them: a run of the profile {profile} at the commit {found.run['commit']}."
    )
    crate.license = _context(crate, LICENSE, "CreativeWork", "MIT License", description="MIT License")
    crate.datePublished = ended
    authors = _context(crate, "#contributors", "Organization", "The contributors")
    crate.root_dataset["author"] = crate.root_dataset["publisher"] = authors
    named = [
        _context(crate, uri, "CreativeWork", name, version=version) for uri, name, version in PROFILES
    ]
    crate.root_dataset["conformsTo"] = named

    main = crate.add_workflow(
        folder / "workflow/Snakefile", "workflow/Snakefile", main=True, lang="snakemake",
        lang_version=found.run["versions"]["snakemake"],
        properties={"name": "The pipeline", "encodingFormat": "text/x-python"},
    )  # fmt: skip
    settings = _file(
        crate, f"workflow/{profile}.yaml", f"The settings of the profile {profile}", "text/yaml"
    )
    versions = found.run["versions"] | {"Python": found.run["python"]}
    main["softwareRequirements"] = [
        _context(crate, url, "SoftwareApplication", name, version=versions[name], url=url)
        for name, url in SOFTWARE.items()
    ]
    results = [
        _file(crate, name, about, MIME[f".{name.split('.')[-1]}"]) for name, about in PAGES.items()
    ]
    action = crate.add_action(
        main,
        "#run",
        object=[settings, *_data(crate, found)],
        result=results,
        properties={
            "name": f"A run of the profile {profile}",
            "description": f"On {', '.join(found.run['processors'])}, at the commit {found.run['commit']}",
            "endTime": ended,
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    action["agent"] = authors
    crate.root_dataset["mentions"] = action
    return crate


def _data(crate, found):
    """The data and weights that the notebooks read, known by their checksums: one entity for each."""
    sums = {
        (kind, name): checksum
        for about in found.run["provenance"].values()
        for kind in ("data", "weights")
        for name, checksum in about.get(kind, {}).items()
    }
    return [
        _context(
            crate,
            f"#{kind}-{name.replace(' ', '-')}",
            "PropertyValue",
            f"{kind}: {name}",
            value=checksum,
        )
        for (kind, name), checksum in sums.items()
    ]


def _file(crate, name, about, mime):
    return crate.add_file(dest_path=name, properties={"name": about, "encodingFormat": mime})


def _context(crate, identifier, kind, name, **more):
    properties = {"@type": kind, "name": name, **more}
    return crate.add(ContextEntity(crate, identifier, properties=properties))
