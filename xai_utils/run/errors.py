"""What goes wrong and is no fault of the code: said in one line, with what to do."""

import contextlib
import errno
import os
import re
import sys

AGAIN = "the same command goes on from here"
NO_MEMORY = f"there is not enough memory: free some, or give --cores 1; {AGAIN}"
ADVICE = {
    errno.ENOSPC: f"the disk is full: make room; {AGAIN}",
    errno.EDQUOT: f"your quota of the disk is used up: make room; {AGAIN}",
    errno.EROFS: f"the disk is read-only: make it writable, or set XAI_OUTPUT to another folder; {AGAIN}",
    errno.EACCES: f"you may not read or write there: change that, or set XAI_OUTPUT to another folder; {AGAIN}",
    errno.ENOMEM: NO_MEMORY,
    errno.ENAMETOOLONG: "this name is too long for a file: correct it",
    errno.ELOOP: "this link leads to itself: correct it",
    errno.ENOTDIR: "a file stands where a folder should: move it away, or set XAI_OUTPUT to another folder",
}
PIPE = "XAI_ERRORS"  # the variable that names where a run hears what went wrong in its processes


class UsageError(ValueError):
    """What a user can put right; the message says what is wrong and what to do."""


@contextlib.contextmanager
def in_one_line(name=""):
    """End the process with one line on what a user can put right; anything else is a fault of ours, whose
    traceback is wanted."""
    try:
        yield
    except (UsageError, OSError, MemoryError) as error:
        message = advice(error)
        if message is None:
            raise
    else:
        return
    tell(f"error: {name}: {message}" if name else f"error: {message}")


def tell(line):
    """End the process with one line: by way of the run that it belongs to, where there is one, which says the
    same thing of several processes once."""
    try:
        pipe = os.open(os.environ[PIPE], os.O_WRONLY | os.O_NONBLOCK)
    except (KeyError, OSError):  # by itself, or that run is no more
        sys.exit(line)
    os.write(pipe, f"{line}\n".encode())
    sys.exit(1)


def advice(error):
    """What to tell a user of an exception; None where it is a fault of ours."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, OSError):
        known = ADVICE.get(error.errno)
        return f"{error.filename}: {known}" if known and error.filename else known
    return " ".join(str(error).split())


def advice_in_words(kind, text):
    """As :func:`advice`, of an exception in another process: the name of its class, and its message."""
    if re.search("MemoryError|ResourceExhausted|bad_alloc|allocate|failed to map", f"{kind} {text}"):
        return NO_MEMORY
    found = re.match(r"\[Errno (\d+)\]", text)
    if found:
        return ADVICE.get(int(found[1]))
    return " ".join(text.split()) if kind in OURS else None


OURS = ("DataError", "WeightsError", "StoreError", "ProfileError")
