"""Join what the notebooks of a run handed on: ``python -m xai_utils.run.join PROFILE NOTEBOOK …``."""

import argparse
import json
from itertools import combinations

import pandas as pd

from xai_utils.run.errors import UsageError, in_one_line
from xai_utils.run.files import file_sha256, results, write
from xai_utils.run.part import BESIDE, REPRODUCTION_COLUMNS, SCORE_COLUMNS, checksum


class PartsError(UsageError):
    """Parts that cannot be joined; the message names them and says what to do."""


def join(profile, notebooks):
    """Join the parts of these notebooks into values, tables, scores, reproduction and ``run.json``.

    Raises :class:`PartsError` for parts that were computed with other code, versions, data or weights
    than others, and ValueError where two record the same value.
    """
    folder = results(profile)
    parts = {name: _read(folder / "parts", name, profile) for name in notebooks}
    for first, second in combinations(parts, 2):
        _refuse_unlike(first, second, parts, profile)
    for name in ("values", "tables", "made_in"):
        joined = {}
        for part in parts.values():
            if twice := joined.keys() & part[name].keys():
                raise ValueError(f"Two notebooks record the same {name}: {sorted(twice)}")
            joined |= part[name]
        write(folder / f"{name}.json", json.dumps(joined, indent=1, sort_keys=True))
    for name, columns in (("scores", SCORE_COLUMNS), ("reproduction", REPRODUCTION_COLUMNS)):
        files = [folder / "parts" / f"{notebook}_{name}.csv" for notebook in notebooks]
        frames = [pd.read_csv(file) for file in files if file.stat().st_size > 1]
        rows = pd.concat(frames) if frames else pd.DataFrame(columns=list(columns))
        write(folder / f"{name}.csv", rows.to_csv(index=False, float_format="%.6g"))
    write(folder / "run.json", json.dumps(_run_facts(profile, parts), indent=1))


def _read(folder, name, profile):
    """A part as its notebook wrote it; refused where one of its files was changed since."""
    path = folder / f"{name}.json"
    try:
        part = json.loads(path.read_text(encoding="utf-8"))
        found = {suffix: file_sha256(folder / f"{name}{suffix}") for suffix in BESIDE}
        changed = [f"{name}{suffix}" for suffix in BESIDE if found[suffix] != part["files"][suffix]]
        changed += [path.name] * (checksum(part) != part["checksum"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        changed = [path.name]
    if changed:
        raise PartsError(
            f"{folder}/{changed[0]} is not as its notebook wrote it: delete {path}, and run ./run_all.sh "
            f"--profile {profile}"
        )
    return part


def _refuse_unlike(first, second, parts, profile):
    """Two parts fit together where they say the same of everything that both say something of."""
    own, other = parts[first]["provenance"], parts[second]["provenance"]
    for what in ("data", "weights", "versions", "code", "plan"):
        both = own[what].keys() & other[what].keys()
        if unlike := sorted(name for name in both if own[what][name] != other[what][name]):
            raise PartsError(
                f"{first} and {second} were computed with other {what} ({', '.join(unlike)}) and do "
                f"not fit together: run ./run_all.sh --profile {profile}"
            )


def _run_facts(profile, parts):
    made = {name: part["provenance"] for name, part in parts.items()}
    jobs = [json.loads(path.read_text()) for path in sorted(results(profile).glob("jobs/*.json"))]

    def every(what):
        return sorted({one[what] for one in [*made.values(), *jobs]})

    shared = ("parameters", "plan", "versions", "code", "commit", "processor")
    versions = {name: number for one in made.values() for name, number in one["versions"].items()}
    return {
        "profile": profile,
        "commit": ", ".join(every("commit")),
        "processors": every("processor"),
        "python": versions.pop("python", ""),
        "versions": versions,
        "plan": next(iter(made.values()))["plan"],
        "parameters": {name: one["parameters"] for name, one in made.items()},
        "commits": {name: one["commit"] for name, one in made.items()},
        "code": {name: digest for one in made.values() for name, digest in one["code"].items()},
        "provenance": {
            name: {key: fact for key, fact in one.items() if key not in shared}
            for name, one in made.items()
        },
        "seconds": {name: part["seconds"] for name, part in parts.items()},
        "jobs": {job["job"]: job for job in jobs},
    }


def main():
    parser = argparse.ArgumentParser(description="Join the parts of a profile.")
    parser.add_argument("profile")
    parser.add_argument("notebooks", nargs="+")
    options = parser.parse_args()
    with in_one_line():
        join(options.profile, options.notebooks)


if __name__ == "__main__":
    main()
