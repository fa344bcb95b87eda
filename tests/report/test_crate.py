"""The description of a run for machines is valid by each of the profiles that it says it follows."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import rocrate
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

from report import crate

PROFILES = ("ro-crate-1.1", "process-run-crate-0.5", "workflow-run-crate-0.5", "workflow-ro-crate-1.0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a report with its description, and no need of a connection to validate it."""
    results, report = tmp_path / "results", tmp_path / "report"
    results.mkdir()
    for name in crate.PAGES:
        for place in (results, report) if name.endswith(".json") else (report,):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text("{}")
    versions = dict.fromkeys(("tensorflow", "keras", "numpy", "snakemake"), "1.0")
    run = {"profile": "quick", "commit": "0123abcd", "versions": versions, "python": "3.11.7"}
    weights = {"data": {"voc": "a" * 64}, "weights": {"voc": "b" * 64}}
    run |= {"processors": ["AMD EPYC (x86_64)"], "provenance": {"04": weights, "05": {}}}
    crate.write_crate(SimpleNamespace(run=run, folder=results), report, epoch=1_700_000_000)
    monkeypatch.setattr(HttpRequester, "get", _from_the_package, raising=False)
    return report


def _from_the_package(self, url, **options):
    assert url == "https://w3id.org/ro/crate/1.1/context"
    answer = requests.Response()
    answer.status_code, answer.headers["Content-Type"] = 200, "application/ld+json"
    answer._content = (Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_bytes()
    return answer


def issues(folder, profile):
    """What is wrong with the crate, by a profile and those that it builds on."""
    settings = models.ValidationSettings(
        rocrate_uri=str(folder), profile_identifier=profile, offline=True
    )
    return [issue.message for issue in services.validate(settings).get_issues()]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_described_run_is_valid(folder, profile):
    assert issues(folder, profile) == []


@pytest.mark.parametrize("profile", PROFILES[1:])
def test_a_run_that_names_no_workflow_is_not(folder, profile):
    path = folder / "ro-crate-metadata.json"
    known = json.loads(path.read_text())
    known["@graph"] = [entity for entity in known["@graph"] if entity["@id"] != "workflow/Snakefile"]
    path.write_text(json.dumps(known))
    assert issues(folder, profile)


def test_it_says_what_was_read_and_what_came_out(folder):
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    known = {entity["@id"]: entity for entity in graph}
    run = known["#run"]
    assert {entity["@id"] for entity in run["result"]} == set(crate.PAGES)
    assert run["endTime"] == known["./"]["datePublished"] == "2023-11-14T22:13:20+00:00"
    read = [known[entity["@id"]] for entity in run["object"]]
    assert {entity.get("value") for entity in read} == {None, "a" * 64, "b" * 64}
    assert all(
        (folder / name).exists() for name in (*crate.PAGES, "workflow/Snakefile", "workflow/quick.yaml")
    )
