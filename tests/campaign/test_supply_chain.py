"""Whether what is installed is there for every system that the README names, is what was locked, is needed, was
not withdrawn, and may be used. The index is asked through pip, as it is configured here."""

import ast
import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging import tags
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from scripts import list_dependencies
from scripts.list_dependencies import entries
from xai_utils.run.files import REPOSITORY

pytestmark = pytest.mark.campaign(
    "Supply chain: all packages by hash, needed, not withdrawn, licences that fit"
)

SIMPLE = "application/vnd.pypi.simple.v1+json"  # PEP 691
DECLARED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
OPTIONAL = DECLARED["project"]["optional-dependencies"]
SEPARATE = {"pypandoc-binary", "pulp"}  # pandoc and CBC are programs, which are run


# The index


@pytest.fixture(scope="session")
def pip():
    """What pip asks the index with, and where that is: ``(session, address)``. There is no public way to it."""
    from pip._internal.commands import create_command

    command = create_command("download")
    options, _ = command.parse_args(["--retries", "1"])
    with command.main_context():
        yield command.get_default_session(options), options.index_url.rstrip("/")


@pytest.fixture(scope="session")
def index(pip):
    """The locked files that the index has of each package, by name and version."""
    session, address = pip

    def page(name):
        answer = session.get(f"{address}/{name}/", headers={"Accept": SIMPLE}, timeout=30)
        answer.raise_for_status()
        return answer.json()["files"]

    names = sorted({entry.name for entry in entries()})
    try:
        page(names[0])
    except Exception as error:
        pytest.skip(f"the index does not answer, or not in JSON: {type(error).__name__}")
    with ThreadPoolExecutor(8) as threads:
        pages = dict(zip(names, threads.map(page, names)))
    return {
        (entry.name, entry.version): [
            file for file in pages[entry.name] if file["hashes"].get("sha256") in entry.hashes
        ]
        for entry in entries()
    }


# Systems


def linux(machine, minor):
    """Linux with glibc 2.``minor``: what markers ask for, and the platforms whose files run there."""
    oldest, old = (5, {17: 2014, 12: 2010, 5: 1}) if machine == "x86_64" else (17, {17: 2014})
    platforms = [f"linux_{machine}"]
    for version in range(minor, oldest - 1, -1):
        platforms += [f"manylinux_2_{version}_{machine}"]
        platforms += [f"manylinux{old[version]}_{machine}"] if version in old else []
    return _posix("linux", "Linux", machine), platforms


def alpine(machine):
    """Linux with musl in the place of glibc."""
    return _posix("linux", "Linux", machine), [f"musllinux_1_{minor}_{machine}" for minor in range(3)]


def macos(machine, version):
    return _posix("darwin", "Darwin", machine), list(tags.mac_platforms((version, 0), machine))


def windows():
    markers = {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows"}
    return markers | {"platform_machine": "AMD64"}, ["win_amd64"]


def _posix(platform, system, machine):
    markers = {"os_name": "posix", "sys_platform": platform, "platform_system": system}
    return markers | {"platform_machine": machine}


SYSTEMS = {
    "Linux x86-64": linux("x86_64", 28),
    "Linux ARM": linux("aarch64", 28),
    "macOS on Apple silicon": macos("arm64", 13),
}
BEYOND = {  # what decides that the README goes no further
    "glibc 2.27": (linux("x86_64", 27), "3.11", {"pyarrow"}),
    "glibc 2.27 on ARM": (linux("aarch64", 27), "3.11", {"pyarrow"}),
    "musl": (alpine("x86_64"), "3.11", {"tensorflow"}),
    "macOS 12": (macos("arm64", 12), "3.11", {"opencv-python-headless"}),
    "macOS on Intel": (macos("x86_64", 26), "3.11", {"tensorflow"}),
    "Python 3.10": (linux("x86_64", 28), "3.10", {"numpy", "keras"}),
    "Python 3.14": (linux("x86_64", 28), "3.14", {"tensorflow", "h5py"}),
}


def missing(index, system, python):
    """The packages of the lock of which the index has no locked file that is for this system and Python.

    Where a package has no wheels at all, its source will do; that it is built from what is locked is tested too.
    """
    markers, platforms = system
    minor = tuple(map(int, python.split(".")))
    fits = {
        *tags.cpython_tags(minor, platforms=platforms),
        *tags.compatible_tags(minor, f"cp{minor[0]}{minor[1]}", platforms),
    }
    found = set()
    for release in (f"{python}.0", f"{python}.99"):  # markers tell some patch releases apart
        about = markers | {"python_version": python, "python_full_version": release}
        about |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
        for entry in entries():
            files = index[entry.name, entry.version]
            if entry.marker is not None and not entry.marker.evaluate(about):
                continue
            if not any(_is_for(file, release, fits, _wheels(files)) for file in files):
                found.add(entry.name)
    return found


def _is_for(file, release, fits, wheels):
    if not SpecifierSet(file.get("requires-python") or "").contains(release):
        return False
    return not wheels or (file in wheels and parse_wheel_filename(file["filename"])[3] & fits)


def _wheels(files):
    return [file for file in files if file["filename"].endswith(".whl")]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_locked_package_is_there_for_a_system(index, record_property, system, python):
    record_property("row", "Installs from the lock, by system and Python")
    assert missing(index, SYSTEMS[system], python) == set()


@pytest.mark.parametrize("beyond", BEYOND)
def test_the_readme_names_no_system_too_few(index, beyond):
    """What it does not name lacks packages."""
    system, python, decide = BEYOND[beyond]
    assert decide <= missing(index, system, python)


def test_windows_lacks_no_package_but_what_the_commands_are_made_of(index):
    assert missing(index, windows(), "3.11") == set()
    assert "import fcntl" in (REPOSITORY / "scripts" / "build_environment.py").read_text()


def test_the_readme_names_these_systems():
    readme = " ".join((REPOSITORY / "README.md").read_text().split())
    assert "Linux (x86-64 or ARM, glibc 2.28 or newer) or macOS 13 or newer on Apple silicon" in readme
    assert "with Python 3.11, 3.12 or 3.13" in readme
    assert DECLARED["project"]["requires-python"] == ">=3.11,<3.14"


def test_nothing_is_installed_for_a_gpu():
    names = [entry.name for entry in entries()]
    assert [name for name in names if re.match("nvidia|cuda|tensorflow-metal", name)] == []


# Hashes


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "benchmarks/peers/torch.lock", "benchmarks/peers/xplique.lock"]
)
def test_every_entry_of_a_lock_has_hashes(lock):
    text = (REPOSITORY / lock).read_text()
    assert len(entries(text)) == len(re.findall(r"^[^#\s]", text, re.M)) > 0
    assert [entry.name for entry in entries(text) if not entry.hashes] == []


def test_what_has_no_wheel_is_pure_python_and_built_from_what_is_locked(
    index, record_property, tmp_path
):
    without = [entry for entry in entries() if not _wheels(index[entry.name, entry.version])]
    record_property("trials", [len(without)] * 2)
    locked = {entry.name: entry.version for entry in entries()}
    assert metadata.version("setuptools") == locked["setuptools"]  # which builds here
    for name, version, _, hashes, _ in without:
        lock = tmp_path / f"{name}.lock"
        lock.write_text(f"{name}=={version} --hash=sha256:{hashes[0]}\n")
        by_hash = ["--quiet", "--no-deps", "--no-build-isolation", "--require-hashes", "-r", lock]
        for command, folder in (("download", "--dest"), ("wheel", "--wheel-dir")):
            subprocess.run(
                [sys.executable, "-m", "pip", command, *by_hash, folder, tmp_path], check=True
            )
        needed = _build_requirements(next(tmp_path.glob(f"{name.replace('-', '?')}-*.tar.gz")))
        for requirement in needed:
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])
        assert next(tmp_path.glob(f"{name.replace('-', '?')}-*.whl")).name.endswith("-none-any.whl")


def _build_requirements(source):
    """What a source says that builds it; setuptools, where it says nothing."""
    with tarfile.open(source) as archive:
        for member in archive:
            if member.name.count("/") == 1 and member.name.endswith("/pyproject.toml"):
                about = tomllib.loads(archive.extractfile(member).read().decode())
                return [Requirement(text) for text in about["build-system"]["requires"]]
    return [Requirement("setuptools>=40.8.0")]


def test_the_environment_is_made_by_hash_and_builds_with_what_is_in_it(monkeypatch, tmp_path):
    path = REPOSITORY / "scripts" / "build_environment.py"
    specification = importlib.util.spec_from_file_location("build_environment", path)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    commands = []
    monkeypatch.setattr(script, "_run", lambda command, *_: commands.append(list(map(str, command))))
    monkeypatch.setattr(script.shutil, "copy", lambda *_: None)
    script._build(REPOSITORY, tmp_path)
    first, *others = [command for command in commands if "install" in command]
    assert len(others) == 2 and "--require-hashes" in first  # setuptools, of which there is a wheel
    for command in others:
        assert "--no-build-isolation" in command and "--no-deps" in command
        assert "--require-hashes" in command or "--no-index" in command


def test_conda_gives_python_and_no_package():
    """pip would install them in one step, and build what has no wheel with a setuptools that nobody locked."""
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    assert environment["dependencies"] == ["python=3.11"]


# Need

OTHERWISE = {  # packages that nothing imports, and what shows what they are for: a file here, or a package
    "ipykernel": ("notebooks/00_your_own_model.ipynb", r'"kernelspec"'),
    "jupyterlab": ("README.md", r"\.venv/bin/jupyter lab"),
    "opencv-python-headless": ("tf-explain", r"^import cv2"),
    "playwright": ("tests/conftest.py", r"importorskip\(.playwright"),
    "pytest-xdist": ("pyproject.toml", r"--numprocesses"),
    "ruff": (".ci/run", r"ruff check"),
    "snakemake": ("xai_utils/run/pipeline.py", r'"-m", "snakemake"'),
    "snakemake-executor-plugin-slurm": ("README.md", r"--executor slurm"),
}
# Which folder may import which of the optional packages.
EXTRAS = {
    "benchmarks": ["test"],
    "course": ["course"],
    "scripts": ["test"],
    "tests": ["course", "test"],
}
# These import other libraries, in environments of their own.
OTHERS = r"benchmarks/peers/on_|tests/oracles/make_"
WITH_PYTHON = {"pip"}  # in every environment


def files():
    """Files of the repository: what git knows, or does not ignore."""
    listed = ["git", "-C", REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]


def imported():
    """``{folder: modules}``: what the code and the notebooks in each folder import from elsewhere."""
    code = [path for path in files() if path.suffix in (".py", ".ipynb")]
    own = {path.relative_to(REPOSITORY).parts[0] for path in code}
    own |= {path.stem for path in code if not (path.parent / "__init__.py").exists()}  # scripts
    found = {}
    for path in code:
        name = path.relative_to(REPOSITORY)
        if not re.match(OTHERS, str(name)):
            modules = _imports(path) - own - sys.stdlib_module_names
            found.setdefault(name.parts[0], set()).update(modules)
    return found


def _imports(path):
    source = path.read_text()
    if path.suffix == ".ipynb":
        cells = [cell.source for cell in nbformat.reads(source, 4).cells if cell.cell_type == "code"]
        source = re.sub(r"^\s*[%!].*", "", "\n".join(cells), flags=re.M)
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def declared(*extras):
    """The names of the packages that ``pyproject.toml`` asks for."""
    texts = [
        *DECLARED["project"]["dependencies"],
        *(text for extra in extras for text in OPTIONAL[extra]),
    ]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def packages_of(modules):
    """The installed packages that a module may be from."""
    known = metadata.packages_distributions()
    return {module: set(map(canonicalize_name, known.get(module, []))) for module in modules}


def test_every_package_that_is_asked_for_is_used():
    used = set().union(*packages_of(set().union(*imported().values())).values())
    assert sorted(declared(*OPTIONAL) - used - set(OTHERWISE)) == []


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_imported_is_used_otherwise(name):
    place, pattern = OTHERWISE[name]
    assert name in declared(*OPTIONAL)
    there = REPOSITORY / place
    code = [there] if there.exists() else metadata.files(place)
    texts = (path.read_text() for path in code if there.exists() or path.suffix == ".py")
    assert any(re.search(pattern, text, re.M) for text in texts)


def test_everything_that_is_imported_is_asked_for():
    wrong = {
        (folder, module)
        for folder, modules in imported().items()
        for module, packages in packages_of(modules).items()
        if not packages & (declared(*EXTRAS.get(folder, [])) | WITH_PYTHON)
    }
    assert sorted(wrong) == []


def test_every_locked_package_is_asked_for_by_another():
    """Here by what the packages say that they require, for other systems by what the lock says."""
    here = {entry.name for entry in entries() if entry.marker is None or entry.marker.evaluate()}
    left = [
        Requirement(text) for text in DECLARED["project"]["dependencies"] + sum(OPTIONAL.values(), [])
    ]
    reached, done = set(), set()
    while left:
        requirement = left.pop()
        if str(requirement) in done:
            continue
        done.add(str(requirement))
        reached.add(canonicalize_name(requirement.name))
        for text in metadata.requires(requirement.name) or []:
            needed = Requirement(text)
            extras = [{"extra": extra} for extra in [*requirement.extras, ""]]
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                left.append(needed)
    assert reached == here
    names = {entry.name for entry in entries()} | {list_dependencies.OURS}
    assert [entry.name for entry in entries() if not entry.via or set(entry.via) - names] == []


# Advisories


def test_no_locked_release_was_withdrawn(index):
    """No file that pip may install is yanked (PEP 592)."""
    withdrawn = [file["filename"] for found in index.values() for file in found if file.get("yanked")]
    assert withdrawn == []


def test_no_locked_release_has_a_known_vulnerability(pip, index):
    """As far as the index says: it is asked of a release that is known to have one first."""
    session, address = pip

    def known(name, version):
        """The vulnerabilities of a release; None where the index does not say."""
        answer = session.get(
            f"{address.removesuffix('/simple')}/pypi/{name}/{version}/json", timeout=30
        )
        if answer.status_code != 200:
            return None
        return [one["id"] for one in answer.json()["vulnerabilities"] if not one["withdrawn"]]

    if not known("requests", "2.19.0"):
        pytest.skip("the index names no vulnerabilities, not even those of requests 2.19.0")
    assert {key: found for key in index if (found := known(*key)) != []} == {}


# Licences

PERMISSIVE = """0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 ISC LicenseRef-Public-Domain MIT MIT-0 MIT-CMU
    PSF-2.0 W3C-20150513 Zlib"""
# These hold for the package, and not for what imports it.
FOR_THE_PACKAGE = {"LGPL-2.1-or-later", "LGPL-3.0-or-later", "MPL-2.0"}


def test_the_list_of_packages_is_of_this_lock():
    assert list_dependencies.PAGE.read_text() == list_dependencies.page()


def test_every_licence_lets_our_code_be_under_mit():
    """Ours imports permissive packages, and some under licences that hold for these packages alone."""
    fine = {*PERMISSIVE.split(), *FOR_THE_PACKAGE}
    others = {}
    for entry in entries():
        expression = canonicalize_license_expression(list_dependencies.licence(entry.name))
        licences = set(re.split(r" AND | OR | WITH LLVM-exception", expression)) - {""}
        if licences - fine and entry.name not in SEPARATE:
            others[entry.name] = expression
    assert others == {}


def test_pandoc_is_a_program_beside_what_runs_it():
    folder = Path(importlib.util.find_spec("pypandoc").origin).parent
    assert (folder / "files" / "pandoc").is_file() and not list(folder.rglob("*.so"))
