"""Removes from the installed packages what no run of the API loads; run when the image is built.

Compiled modules are the bulk of numpy, scipy and scikit-learn. Imports everything that the API
imports of its dependencies and deletes the compiled modules that were not loaded by it, with
tests, stubs and headers. What is deleted too much shows in the same build: the image's last step
loads the model and predicts.
"""

import argparse
import importlib
import shutil
import sys
from pathlib import Path

# What app/ and the stored model import.
IMPORTS = [
    "fastapi",
    "joblib",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "uvicorn",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.h11_impl",
]
# Only these are cut by what is loaded; the others are small, or load their parts late.
TRACED = ["numpy", "scipy", "sklearn"]
NEVER_RUN = {".pyi", ".pyx", ".pxd", ".pxi", ".tp", ".h", ".hpp", ".c", ".cpp", ".a"}
NEVER_READ = ["bin", "sklearn/datasets/data", "sklearn/datasets/descr", "sklearn/datasets/images"]


def import_all() -> None:
    for name in IMPORTS:
        importlib.import_module(name)


def slim(packages: Path) -> int:
    """Deletes what is not needed below `packages`; returns how many bytes that were."""
    import_all()
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    before = _size(packages)
    for name in NEVER_READ:
        shutil.rmtree(packages / name, ignore_errors=True)
    for path in sorted(packages.rglob("*")):
        if path.is_dir() and path.name in {"tests", "__pycache__"}:
            shutil.rmtree(path)
        elif path.is_file() and (path.suffix in NEVER_RUN or _is_idle_module(path, packages, loaded)):
            path.unlink()
    return before - _size(packages)


def _is_idle_module(path: Path, packages: Path, loaded: set[Path]) -> bool:
    traced = path.relative_to(packages).parts[0] in TRACED
    return traced and path.suffix == ".so" and path not in loaded


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path, nargs="?", help="folder to slim; without it, only import everything")
    arguments = parser.parse_args()
    if arguments.packages is None:
        import_all()
    else:
        print(f"slimmed by {slim(arguments.packages) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
