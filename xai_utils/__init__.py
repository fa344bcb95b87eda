"""Visual interpretation of convolutional networks: the package behind the notebooks.

Data flows one way: ``data`` and ``models`` → ``attributions`` and ``metrics`` → ``networks`` and
``study`` → the report. ``run`` keeps what they compute and runs the whole; it knows no science.
"""

import os
import sys

from xai_utils.run.sources import remember_imports

remember_imports()  # before anything else of this package is imported

# The order in which threads add up floating-point numbers changes their last digits, so a fixed
# number of threads is part of "the same numbers on every rebuild". TensorFlow reads these once,
# when it is first imported, and this package is imported before it.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# The same convolutions on every processor, and the faster ones: TensorFlow takes those of oneDNN by
# itself only where it finds certain instructions.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what it has no graphics card for, and the like


def show_progress():
    """Whether someone watches: on a terminal or in JupyterLab, not in a log or a headless run."""
    in_notebook = "ipykernel" in sys.modules and "XAI_HEADLESS" not in os.environ
    return in_notebook or sys.stderr.isatty()
