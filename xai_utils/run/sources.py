"""The source code of this package as it was imported, and a hash of what a function is made of.

What was computed is kept under the code that computed it. That is the code in memory, which is not
that in the files once these were edited; so every module's source is remembered when it is imported.
"""

import ast
import functools
import hashlib
import importlib.machinery
import sys
from pathlib import Path

PACKAGE = __name__.split(".")[0]
FOLDER = Path(__file__).resolve().parents[1]
WHOLE = "*"  # the name that stands for all of a module
_imported = {}  # module: its source as it was run


class _Remembering(importlib.machinery.SourceFileLoader):
    """Imports a module and remembers the source that was run."""

    def get_code(self, fullname):
        source = self.get_data(self.path)
        _imported[fullname] = source.decode()
        _hash_of_imported.cache_clear()
        return self.source_to_code(source, self.path)


class _Finder:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if not fullname.startswith(f"{PACKAGE}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Remembering(spec.loader.name, spec.loader.path)
        return spec


def remember_imports():
    """From now on remember the source of what is imported of this package."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
        for name, module in list(sys.modules.items()):  # this one, and those above it
            if name.split(".")[0] == PACKAGE:
                _imported[name] = Path(module.__file__).read_text()


def code_of(function, without=()):
    """A hash of the definition of a function and of all that it uses in this package.

    As imported: a change of the file counts when it is imported again. Comments, docstrings and
    formatting do not count, nor does what the function does not use. Names in ``without`` are not
    followed. Raises ValueError for a function that is not of this package.
    """
    return _hash_of_imported(function.__module__, function.__qualname__, frozenset(without))


def code_in_files(module, name, without=()):
    """The same by name, of the files as they are now; "" where there is no such thing any more."""
    try:
        return _hash(module, name, frozenset(without), _read)
    except ValueError:
        return ""


def imported():
    """The source of every module of this package that was imported, ``{module: text}``."""
    return dict(_imported)


@functools.cache
def _hash_of_imported(module, name, without):
    return _hash(module, name, without, _imported.get)


def _read(module):
    path = FOLDER.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.read_text() if path.exists() else None


def _hash(module, name, without, source_of):
    found = {}
    _follow(module, name, without, source_of, found)
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _follow(module, name, without, source_of, found):
    """Collect the definition of ``name`` in ``module``, and of what it refers to, in ``found``."""
    if (module, name) in found or name in without:
        return
    source = source_of(module)
    if source is None:
        raise ValueError(f"{module} is no module of {PACKAGE}, so its code cannot be watched")
    if name == WHOLE:
        found[module, name] = source
        return
    definitions, imports, rest = _parsed(source)
    if name in imports:
        place, original = imports[name]
        found[module, name] = repr(imports[name])
        if place.split(".")[0] != PACKAGE:
            return
        below = f"{place}.{original}"
        target = (below, WHOLE) if source_of(below) is not None else (place, original)
        _follow(*target, without, source_of, found)
        return
    if name not in definitions:
        raise ValueError(f"{module} has no {name!r}, so its code cannot be watched")
    found[module, name] = "\n".join(map(ast.dump, definitions[name]))
    found[module, ""] = "\n".join(map(ast.dump, rest))
    for node in [*definitions[name], *rest]:
        for used, attribute in _names(node):
            place, original = imports.get(used, ("", ""))
            below = f"{place}.{original}"
            if place.split(".")[0] == PACKAGE and attribute and source_of(below) is not None:
                _follow(below, attribute, without, source_of, found)
            elif used in definitions or used in imports:
                _follow(module, used, without, source_of, found)


@functools.cache
def _parsed(source):
    """What a module defines, ``{name: nodes}``, what it imports, ``{name: (module, name)}``, and its
    other statements; without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        has_body = isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
        if has_body and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    definitions, imports, rest = {}, {}, []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            definitions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ImportFrom):
            imports |= {a.asname or a.name: (node.module, a.name) for a in node.names}
        elif isinstance(node, ast.Import):
            imports |= {a.asname or a.name.split(".")[0]: (a.name, "") for a in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}:
                definitions.setdefault(name, []).append(node)
        elif not _is_main(node):
            rest.append(node)
    return definitions, imports, rest


def _is_main(node):
    """Whether it is what runs when the module is run as a script."""
    return isinstance(node, ast.If) and "__main__" in ast.dump(node.test)


def _names(node):
    """The names that a node uses, each with the attribute that is taken of it, or None."""
    bases = {id(n.value): n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return {(n.id, bases.get(id(n))) for n in ast.walk(node) if isinstance(n, ast.Name)}
