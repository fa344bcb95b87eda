"""Claims: one source, and a run that differs from it by hand fails."""

import json
import subprocess
import sys

import pytest

from report import claims
from report.page import PREFIX
from xai_utils.run.files import REPOSITORY, results

KNOWN, TOLD = claims.read()
REPORT = "".join((REPOSITORY / f"report/{name}.md").read_text() for name in PREFIX)


def borne_out():
    """The values of a run that is as expected, with all data."""
    values = {name: "local" for name, _ in claims.STAND_INS.values()} | {"hmt.over_course": [0.1]}
    for claim in KNOWN.values():
        values[claim["value"]] = claim["expected"]
        if not isinstance(claim["samples"], int):
            values[claim["samples"]] = 496
    return values


def verdicts(values):
    return {name: row["verdict"] for name, row in zip(KNOWN, claims.check(values, KNOWN))}


@pytest.mark.parametrize("name", KNOWN)
def test_a_claim_says_of_what_and_leads_to_where_it_is_shown(name):
    claim = KNOWN[name]
    assert all(claim[field] for field in ("claim", "network", "data", "samples"))
    assert (REPOSITORY / "notebooks" / f"{claim['notebook']}.ipynb").exists()
    shown = claim["shown"]
    dataset, _, rest = shown.partition("_")
    assert f'"{shown}"' in REPORT or f'dataset ~ "_{rest}"' in REPORT
    assert (isinstance(claim["expected"], str) or claim["tolerance"] >= 0) and set(
        claim.get("needs", ())
    ) <= {
        *claims.STAND_INS,
        "course weights",
    }


def test_every_claim_is_told_and_nothing_else():
    told = "".join(TOLD)
    assert len(KNOWN) >= 10 and all(told.count(f"{{{name}}}") == 1 for name in KNOWN)
    assert told.count("{") == len(KNOWN)


def test_the_readme_tells_the_findings_as_they_are():
    text = (REPOSITORY / "README.md").read_text()
    block = text.split(claims.BEGIN)[1].split(claims.END)[0].strip()
    assert block == claims.findings()


def test_a_run_as_expected_holds():
    assert set(verdicts(borne_out()).values()) == {"holds"}


@pytest.mark.parametrize("name", KNOWN)
def test_a_value_that_was_changed_fails_its_claim_alone(name):
    claim, values = KNOWN[name], borne_out()
    is_verdict = isinstance(claim["expected"], str)
    off = "no sample" if is_verdict else claim["expected"] + 1.5 * claim["tolerance"] + 1e-6
    values[claim["value"]] = off
    assert {n for n, verdict in verdicts(values).items() if verdict == "fails"} == {name}
    near = claim["expected"] if is_verdict else claim["expected"] - 0.9 * claim["tolerance"]
    values[claim["value"]] = near
    assert verdicts(values)[name] == "holds"


def test_what_a_run_has_no_data_for_is_not_tried():
    values = borne_out() | {"hmt.source": "synthetic", "voc.source": "generated"}
    del values["hmt.over_course"]
    found = verdicts(values)
    assert found["tiles_accuracy"] == "not tried: no tiles"
    assert found["voc_center"] == "not tried: no VOC"
    assert {found[n] for n in ("rates_hmt", "probability", "random_ours")} == {
        "not tried: no course weights"
    }
    assert found["signals_accuracy"] == found["bears_random"] == "holds"


def checked(output):
    command = [sys.executable, "-P", "-m", "report.claims", "standard"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def test_the_command_fails_where_a_claim_does(output):
    assert "run ./run_all.sh first" in checked(output).stderr
    folder = results("standard")
    folder.mkdir(parents=True)
    values = borne_out()
    (folder / "values.json").write_text(json.dumps(values))
    done = checked(output)
    assert done.returncode == 0 and f"{len(KNOWN)} of {len(KNOWN)} claims hold" in done.stdout
    (folder / "values.json").write_text(json.dumps(values | {"hmt.accuracy_mean": 0.99}))
    done = checked(output)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()].count("fails") == 1
