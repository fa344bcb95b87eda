"""How a submission is run: in a copy of its folder, to the end whatever it does, and with nothing else harmed."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import Execute
from traitlets import List, Unicode

KNOWN = {}  # of all guarded files the state and the content, from one notebook to the next
TIMEOUTS = 2  # in one notebook; a loop that cannot be interrupted keeps all cells behind it waiting


class ExecuteApart(Execute):
    """nbgrader's Execute, for code that nobody has read.

    The kernel works in a temporary copy of the submission, with the data of the assignment beside it. What
    it changes in ``guarded`` folders is changed back. When it dies, or runs out of time twice, the cells
    behind have an error in the place of an output. Of what a test prints only errors count.
    """

    data = Unicode(help="The folder of the assignment's data, copied beside each submission").tag(
        config=True
    )
    guarded = List(Unicode(), help="Folders that no submission may change").tag(config=True)

    def preprocess(self, notebook, resources):
        """Run all cells; whatever a cell does, the others keep their marks."""
        self.ended, self.timeouts = "", 0
        submission = Path(resources["metadata"]["path"])
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            work = Path(folder) / "project_a"
            shutil.copytree(submission, work)
            shutil.copytree(self.data, work / "data")
            resources["metadata"]["path"] = str(work)
            with utils.setenv(PYTHONDONTWRITEBYTECODE="1"), unchanged(self.guarded, KNOWN) as touched:
                notebook, resources = super().preprocess(notebook, resources)
            resources["metadata"]["path"] = str(submission)
        for path in touched:
            self.log.warning("%s wrote to %s, which was changed back", submission, path)
        return notebook, resources

    def preprocess_cell(self, cell, resources, index):
        """Run one cell, unless the kernel is lost."""
        if cell.cell_type == "code" and not self.ended:
            try:
                cell, resources = super().preprocess_cell(cell, resources, index)
            except DeadKernelError:
                self.ended = "The kernel ended in a cell of this notebook"
            except CellTimeoutError:
                self.ended = "A cell of this notebook writes without end"
            self.timeouts += any(output.get("ename") == "CellTimeoutError" for output in cell.outputs)
            if self.timeouts == TIMEOUTS:
                self.ended = "Cells of this notebook ran out of time"
        if cell.cell_type == "code":
            if self.ended:
                told = {
                    "ename": "NotRun",
                    "evalue": self.ended,
                    "traceback": [f"NotRun: {self.ended}."],
                }
                cell.outputs.append(new_output("error", **told))
            if utils.is_grade(cell):
                cell.outputs = [_without_marks(output) for output in cell.outputs]
        return cell, resources


def _without_marks(output):
    """An output that nbgrader takes for no mark: it reads results as partial credit, and stderr as failure."""
    if output.output_type == "execute_result":
        return new_output("display_data", data=output.data, metadata=output.metadata)
    if output.output_type == "stream":
        return new_output("stream", name="stdout", text=output.text)
    return output


@contextlib.contextmanager
def unchanged(folders, known):
    """Whatever happens inside, all files of the folders are afterwards what they were before.

    ``known`` keeps ``{path: (state, content)}`` from one time to the next, so that only what changed meanwhile is
    read again. Yields a list that is filled with the paths that had to be changed back.
    """
    before = {
        path: known[path] if path in known and known[path][0] == state else (state, _content(path))
        for path, state in _states(folders).items()
    }
    touched = []
    try:
        yield touched
    finally:
        after = _states(folders)
        for path in after.keys() - before.keys():
            path.unlink()
            touched.append(path)
        for path, (state, content) in before.items():
            if after.get(path) != state:
                _restore(path, state, content)
                before[path] = (_state(path), content)
                touched.append(path)
        known.clear()
        known.update(before)


def _states(folders):
    """What tells of each file or link whether it changed, ``{path: state}``."""
    paths = (path for folder in folders for path in Path(folder).rglob("*"))
    return {path: _state(path) for path in paths if path.is_symlink() or not path.is_dir()}


def _state(path):
    about = path.lstat()
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_mode


def _content(path):
    """Where a link leads, or the bytes of a file."""
    return path.readlink() if path.is_symlink() else path.read_bytes()


def _restore(path, state, content):
    """Put a link or a file back, whatever is there by now."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        path.symlink_to(content)
    else:
        path.write_bytes(content)
        path.chmod(state[-1])
