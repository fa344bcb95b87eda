import json

import pytest

from xai_utils.run import times


def test_jobs_and_notebooks_stand_by_their_seconds(output, capsys, monkeypatch):
    job = {"job": "explain-tiles", "seconds": 30.0, "peak_mb": 900}
    facts = {"jobs": {"explain-tiles": job}, "seconds": {"01_train": 60.0, "02_classify": 10.0}}
    (output / "results" / "quick").mkdir(parents=True)
    (output / "results" / "quick" / "run.json").write_text(json.dumps(facts))
    table = times.times("quick")
    assert table.what.tolist() == ["01_train", "explain-tiles", "02_classify"]
    assert table.share.tolist() == [0.6, 0.3, 0.1]
    monkeypatch.setattr("sys.argv", ["times", "quick"])
    times.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["30.0", "s", "30.0%", "900", "MB", "explain-tiles"]
    assert lines[-1].split() == ["100.0", "s", "in", "all"]


def test_a_profile_that_was_not_run_is_named(output, monkeypatch):
    monkeypatch.setattr("sys.argv", ["times", "quick"])
    with pytest.raises(SystemExit, match="error: quick has not been run"):
        times.main()
