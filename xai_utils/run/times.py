"""Where the seconds of a run went: ``python -m xai_utils.run.times PROFILE``.

A job or a notebook a line, the longest first, as the run recorded them. A job counts from when it has
imported what it needs; several are at work at once, so that the sum is longer than the run.
"""

import argparse
import json
import sys

import pandas as pd

from xai_utils.run.files import results


def times(profile):
    """A table of what was computed: what, seconds, share of all seconds, peak_mb (NaN for notebooks).

    Raises ValueError where the profile has not been run.
    """
    path = results(profile) / "run.json"
    if not path.exists():
        raise ValueError(f"{profile} has not been run: ./run_all.sh --profile {profile}")
    run = json.loads(path.read_text())
    rows = [{"what": name, **job} for name, job in run["jobs"].items()]
    rows += [{"what": name, "seconds": seconds} for name, seconds in run["seconds"].items()]
    table = pd.DataFrame(rows, columns=["what", "seconds", "share", "peak_mb"])
    table["share"] = table.seconds / table.seconds.sum()
    return table.sort_values("seconds", ascending=False, ignore_index=True)


def main():
    parser = argparse.ArgumentParser(description="Say where the seconds of a run went.")
    parser.add_argument("profile")
    try:
        table = times(parser.parse_args().profile)
    except ValueError as error:
        sys.exit(f"error: {error}")
    for row in table.itertuples():
        memory = "" if pd.isna(row.peak_mb) else f"{row.peak_mb:6.0f} MB"
        print(f"{row.seconds:8.1f} s {row.share:6.1%} {memory:9s}  {row.what}")
    print(f"{table.seconds.sum():8.1f} s in all")


if __name__ == "__main__":
    main()
