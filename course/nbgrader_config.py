"""How nbgrader makes and marks the assignment; read by every ``nbgrader`` command that is run in this folder."""

from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)

import xai_utils
from course.execute import ExecuteApart

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "project_a"
c.CourseDirectory.root = str(HERE)
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "data"]
c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("Write your answer here")'
}
c.ClearMarkScheme.enforce_metadata = (
    False  # mark schemes stand in locked cells, which are restored as well
)

c.Autograde.autograde_preprocessors = [
    ExecuteApart,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.ExecuteApart.timeout = 120  # seconds a cell; Task 1 trains a network in one
c.ExecuteApart.iopub_timeout = 30  # a busy machine is late with what a cell printed
c.ExecuteApart.data = str(HERE / "source" / "project_a" / "data")
c.ExecuteApart.guarded = [str(HERE), str(Path(xai_utils.__file__).parent)]
