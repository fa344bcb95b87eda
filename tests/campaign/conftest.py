import contextlib
import os

import pytest


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that all workers of a session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def record_trials(request):
    """A context for a trial among several of one test, under the row that it belongs to."""

    @contextlib.contextmanager
    def trial(row):
        held = False
        try:
            yield
            held = True
        finally:
            request.node.user_properties.append(("trial", [row, held]))

    return trial


@pytest.fixture
def canary(tmp_path):
    """A file that code in hostile input would make, if it were run. Gives its path."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code was executed"
