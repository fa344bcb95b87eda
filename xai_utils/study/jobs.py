"""The jobs of the plan, for Snakemake.

``python -m xai_utils.study.jobs PROFILE --for N`` writes down the jobs of a profile in
``results/<profile>/jobs.json``, for about N at a time, with a hash of the code and settings that each
depends on: from it Snakemake sees which jobs a change concerns. ``… PROFILE --do NAME`` does one of
them. When that has left its maps or scores in the store, it writes down with what it was done in
``results/<profile>/jobs/<name>.json``.
"""

import argparse
import json
import os
import resource
import sys
import time

from xai_utils.run.errors import in_one_line
from xai_utils.run.files import results, send_chatter_to, write
from xai_utils.run.provenance import commit, processor, versions
from xai_utils.run.store import digest


def write_down(profile, number):
    """Write down the jobs of a profile, for about ``number`` at a time."""
    from xai_utils.study import plan  # TensorFlow talks when it is imported, which goes to the log

    source = json.loads((results(profile) / "hmt.json").read_text())["source"]
    with_course = bool(os.environ.get("XAI_COURSE_MODELS"))
    found = plan.jobs(profile, source, with_course, number)
    write(results(profile) / "jobs.json", json.dumps(found, indent=1))


def do(profile, name):
    """Do a job and record when, where and with what it was done."""
    from xai_utils.study import plan

    job = json.loads((results(profile) / "jobs.json").read_text())[name]
    started = time.time()
    plan.run_job(profile, job)
    record = {
        "job": name,
        "code": job["code"],
        "commit": commit(),
        "versions": digest(versions()),
        "processor": processor(),
        "seconds": round(time.time() - started, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    write(results(profile) / "jobs" / f"{name}.json", json.dumps(record, indent=1))
    print(f"{name}  {record['seconds']:.0f} s", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Write down the jobs of a profile, or do one.")
    parser.add_argument("profile")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--for", type=int, dest="number", help="how many there may be at a time")
    what.add_argument("--do", metavar="NAME", help="the job to do")
    options = parser.parse_args()
    name = options.do or "plan"
    with in_one_line(name):
        send_chatter_to(results(options.profile) / "logs" / f"{name}.log")
        if options.do:
            do(options.profile, options.do)
        else:
            write_down(options.profile, options.number)


if __name__ == "__main__":
    main()
