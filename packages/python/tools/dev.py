"""What the scripts of package.json run: builds the virtual environment where it is missing or old, then does one thing.

Only the standard library, so that any Python of 3.10 or later can run it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "requirements-dev.txt"
#: What the environment was made of: another text here means that it has to be made again.
STAMP = VENV / "made-of"


def prepare() -> None:
    """Makes the environment: the pinned tools, and this package as it lies here."""
    made_of = hashlib.sha256(
        b"".join([REQUIREMENTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode()])
    ).hexdigest()
    if STAMP.exists() and STAMP.read_text() == made_of:
        return
    print("python: preparing the virtual environment", file=sys.stderr, flush=True)
    venv.create(VENV, with_pip=True, clear=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(*pip, "--requirement", str(REQUIREMENTS))
    # The package as it lies here; an editable install would say the same with another dependency.
    (path,) = VENV.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages")
    (path / "parley.pth").write_text(f"{ROOT / 'src'}\n")
    STAMP.write_text(made_of)


def run(*command: str) -> None:
    """Runs a command with its output on stderr; ends this program when it fails."""
    ended = subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
    if ended.returncode != 0:
        print(f"python: {' '.join(command)} ended with {ended.returncode}", file=sys.stderr)
        sys.exit(ended.returncode)


def tool(*arguments: str) -> None:
    run(str(PYTHON), "-m", *arguments)


def check() -> None:
    tool("ruff", "check", ".")
    tool("ruff", "format", "--check", ".")
    tool("mypy")
    package()


def test() -> None:
    """Runs pytest, and says its totals in the words that every suite ends with."""
    ended = subprocess.run(
        [str(PYTHON), "-m", "pytest", "-rs", *sys.argv[2:]], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    print(ended.stdout, end="")
    last = ended.stdout.strip().rsplit("\n", 1)[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    if ended.returncode != 0 and failed == 0:
        failed = 1
    for where, reason in re.findall(r"^SKIPPED \[\d+\] (\S+): (.*)$", ended.stdout, re.MULTILINE):
        print(f"skipped: packages/python/{where}: {reason.replace(':', ' -')}")
    print(f"{counts.get('passed', 0)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def package() -> None:
    """Builds the sdist and, from it, the wheel; then both install into an empty environment and import."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    tool("build", "--no-isolation", "--outdir", str(dist))
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    known = ("src/parley/", "LICENSE", "PKG-INFO", "README.md", "package.json", "pyproject.toml", ".gitignore")
    strangers = [name for name in names if not name.startswith(known)]
    if strangers:
        sys.exit(f"python: the sdist must not hold {', '.join(strangers)}")
    for path in sorted(dist.iterdir()):
        with tempfile.TemporaryDirectory() as empty:
            venv.create(empty, with_pip=True)
            python = str(Path(empty) / PYTHON.relative_to(VENV))
            run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", str(path))
            # The version is that of package.json, which changesets raise together with the other languages.
            version = json.loads((ROOT / "package.json").read_text())["version"]
            imported = (
                "import importlib.metadata, parley; parley.Agent('support');"
                f"assert importlib.metadata.version('parley') == parley.__version__ == '{version}';"
                "print('ok', parley.__file__)"
            )
            run(python, "-I", "-c", imported)


def python(script: str) -> None:
    """Becomes the environment's Python with a script of this package."""
    path = str(ROOT / script)
    if os.name == "nt":
        sys.exit(subprocess.run([str(PYTHON), path, *sys.argv[2:]], check=False).returncode)
    os.execv(str(PYTHON), [str(PYTHON), path, *sys.argv[2:]])


def main() -> None:
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever runs this may have any Python
        sys.exit(f"python: Parley needs Python 3.10 or later, this is {sys.version.split()[0]}")
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    verbs: dict[str, Callable[[], None]] = {
        "build": lambda: None,
        "check": check,
        "test": test,
        "package": package,
        "testee": lambda: python("tools/testee.py"),
        "example": lambda: python("examples/support.py"),
    }
    if verb not in verbs:
        sys.exit(f"python: expected one of {', '.join(verbs)}, got '{verb}'")
    prepare()
    verbs[verb]()


main()
