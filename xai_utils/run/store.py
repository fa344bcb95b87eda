"""What was computed, kept sample by sample under all that it depends on.

A *shelf* is a folder under ``results/store``. Its name is a hash of what all values on it share, which
``about.json`` spells out: the code, the options, the network, the versions. On it lie files, each a
batch of values with the keys of their samples. Files are written whole under names of their own, so
any number of processes may write at once, without a lock, on a network file system too; two that
compute the same value write the same.

``python -m xai_utils.run.store`` lists the store; with ``--free`` it deletes what the current code
and versions would not ask for.
"""

import argparse
import hashlib
import json
import shutil
import time
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from xai_utils import show_progress
from xai_utils.run.errors import UsageError
from xai_utils.run.files import output_root, whole, write
from xai_utils.run.provenance import commit, processor, versions
from xai_utils.run.sources import code_in_files, code_of

MAPS, SCORES, TRAININGS, DATA = "maps", "scores", "trainings", "data"
A_DAY = 24 * 3600


class StoreError(UsageError):
    """A file of the store that is not as it was written; the message says which."""


def root():
    """The folder of the store."""
    return output_root() / "results" / "store"


def digest(*things):
    """A short hash of arrays, texts, numbers, and lists and dicts of them."""
    found = hashlib.blake2b(digest_size=16)
    for thing in things:
        if isinstance(thing, np.ndarray):
            found.update(f"{thing.dtype}{thing.shape}".encode())
            found.update(np.ascontiguousarray(thing).data)
        elif isinstance(thing, dict):
            found.update(digest(*(part for item in sorted(thing.items()) for part in item)).encode())
        elif isinstance(thing, (list, tuple)):
            found.update(digest(*thing).encode())
        else:
            found.update(repr(thing).encode())
        found.update(b"|")
    return found.hexdigest()


def digests(values):
    """The hash of each of ``values`` ``(n, …)``, an array of texts ``(n,)``."""
    return np.array([digest(np.asarray(one)) for one in values])


def described(kind, name, functions, **facts):
    """All that the values on a shelf depend on but for their samples, and the folder of that shelf.

    ``functions`` are those whose code counts, ``{function: names that are not followed}``; ``facts``
    are everything else.
    """
    code = {
        f"{function.__module__}:{function.__qualname__}": [code_of(function, without), *without]
        for function, without in functions.items()
    }
    about = {"kind": kind, "name": name, "code": code, "versions": versions(), **facts}
    return about, root() / kind / f"{name}-{digest(about)}"


class Shelf:
    """The values of one function on one network; ``kind`` is maps or scores. See :func:`shelf`."""

    def __init__(self, about, folder):
        self.about, self.folder = about, folder
        self.suffix = {MAPS: ".npz", SCORES: ".parquet"}[about["kind"]]
        self._places, self._seen, self._looked = {}, set(), False

    def begin(self):
        """Begin to ask for many batches: what is there by now counts, what is put there meanwhile need
        not be remembered."""
        self._looked = False

    def put(self, keys, values):
        """Keep a batch of values under their keys, texts ``(n,)``, in one file."""
        if not (self.folder / "about.json").exists():
            write(self.folder / "about.json", json.dumps(self.about, indent=1, default=repr))
        sums = {"keys": _sum(keys), "values": _sum(values)}
        made = json.dumps({"commit": commit(), "processor": processor(), "sums": sums})
        with whole(self._file(keys)) as partial:
            if self.suffix == ".npz":
                np.savez(partial, keys=keys, values=values, made=made)
            else:
                table = pa.table({"keys": keys, "values": values}, metadata={"made": made})
                pq.write_table(table, partial, compression="zstd")

    def missing(self, keys):
        """The places of the keys that are not on the shelf."""
        if self._file(keys).exists():
            return np.arange(0)
        if not self._looked:
            self._look()
        return np.array([place for place, key in enumerate(keys) if key not in self._places], int)

    def read(self, keys):
        """The values of these keys, in their order. Raises KeyError for one that is not there."""
        if self._file(keys).exists():
            return _read(self._file(keys), "values")
        if any(key not in self._places for key in keys):
            self._look()
        places = {}
        for place, key in enumerate(keys):
            file, row = self._places[key]
            places.setdefault(file, []).append((place, row))
        found = {file: _read(file, "values") for file in places}
        one = next(iter(found.values()))
        values = np.empty((len(keys), *one.shape[1:]), one.dtype)
        for file, pairs in places.items():
            here, there = np.transpose(pairs)
            values[here] = found[file][there]
        return values

    def _look(self):
        """Learn where everything is, ``{key: (file, row)}``, for batches that are cut otherwise."""
        for file in sorted(set(self.folder.glob(f"*{self.suffix}")) - self._seen):
            if not file.name.startswith("partial-"):
                keys = _read(file, "keys")
                self._places |= {key: (file, row) for row, key in enumerate(keys)}
                self._seen.add(file)
        self._looked = True

    def _file(self, keys):
        """The file of a batch: the same batch always has the same name, so it is found at once."""
        return self.folder / f"{digest(list(keys))}{self.suffix}"


_shelves = {}


def shelf(kind, name, functions, **facts):
    """The shelf of all that :func:`described` says, the same one each time."""
    about, folder = described(kind, name, functions, **facts)
    return _shelves.setdefault(folder, Shelf(about, folder))


def fill(onto, keys, compute, batch_size):
    """Compute what the shelf ``onto`` lacks of ``keys``, a batch at a time, and return how many there were.

    ``compute(places)`` gives the values of the samples at ``places``; every batch is kept before the
    next one is computed.
    """
    computed = 0
    onto.begin()
    starts = range(0, len(keys), batch_size)
    watched = {"delay": 3, "leave": False, "disable": not show_progress()}
    for start in tqdm(starts, desc=onto.about["name"], **watched):
        places = start + onto.missing(keys[start : start + batch_size])
        if len(places):
            onto.put(keys[places], compute(places))
        computed += len(places)
    return computed


def _read(file, name):
    """The keys or the values in a file. Raises :class:`StoreError` where they are not those that were put there."""
    try:
        if file.suffix == ".npz":
            with np.load(file) as arrays:
                found, made = arrays[name], arrays["made"].item()
        else:
            table = pq.read_table(file, columns=[name], use_threads=False)
            found, made = table[name].to_numpy(), table.schema.metadata[b"made"]
        is_whole = json.loads(made)["sums"][name] == _sum(found)
    except FileNotFoundError:
        raise
    except Exception as error:  # libraries raise what they come upon in a damaged file
        raise StoreError(f"{file} is damaged: delete it, and it is computed again") from error
    if not is_whole:
        raise StoreError(f"{file} was changed: delete it, and it is computed again")
    return found


def _sum(values):
    """A checksum of keys or of values, the same before they are written and after they are read."""
    values = np.asarray(values)
    content = (
        "\n".join(values).encode() if values.dtype.kind in "OU" else np.ascontiguousarray(values).data
    )
    return f"{zlib.crc32(content):08x}"


def shelves():
    """Everything in the store, a row a shelf: kind, name, files, megabytes, current, folder.

    ``current`` says whether the code in the files and the installed versions would ask for it.
    """
    rows = []
    for path in sorted(root().glob("*/*/about.json")):
        about = json.loads(path.read_text())
        files = [file for file in path.parent.iterdir() if file.name != "about.json"]
        rows.append(
            {
                "kind": about["kind"],
                "name": about["name"],
                "files": len(files),
                "megabytes": sum(file.stat().st_size for file in files) / 1e6,
                "current": _is_current(about),
                "folder": path.parent,
            }
        )
    columns = ["kind", "name", "files", "megabytes", "current", "folder"]
    return pd.DataFrame(rows, columns=columns)


def _is_current(about):
    same = about["versions"] == versions()
    return same and all(
        code_in_files(*place.split(":"), without) == code
        for place, (code, *without) in about["code"].items()
    )


def free():
    """Delete the shelves that are not current and what killed processes left; return them."""
    table = shelves()
    for folder in table.folder[~table.current]:
        shutil.rmtree(folder)
    for partial in root().glob("*/*/partial-*"):
        if time.time() - partial.stat().st_mtime > A_DAY:  # a younger one may be at work
            partial.unlink()
    _shelves.clear()
    return table[~table.current]


def main():
    parser = argparse.ArgumentParser(description="List what was computed and kept.")
    parser.add_argument(
        "--free", action="store_true", help="delete what the current code would not ask for"
    )
    if parser.parse_args().free:
        freed = free()
        print(f"freed {freed.megabytes.sum():.1f} MB on {len(freed)} shelves")
    table = shelves()
    by_name = table.groupby(["kind", "name", "current"], as_index=False)
    sums = by_name.agg(
        shelves=("files", "size"), files=("files", "sum"), megabytes=("megabytes", "sum")
    )
    print(sums.to_string(index=False, float_format="{:.1f}".format) if len(sums) else "nothing kept")
    print(f"{table.megabytes.sum():.1f} MB in {root()}")


if __name__ == "__main__":
    main()
