import os
import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line and not line.startswith("-r "):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.]*)", line)
            assert match, f"{name}: '{line}' is not pinned with =="
            found[normalised(match[1])] = match[2]
    return found


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_line_is_pinned(name: str) -> None:
    assert len(pins(name)) > 5


def test_every_installed_package_is_pinned_at_its_version() -> None:
    """Transitive packages too: pip would otherwise choose whatever is newest that day."""
    folder = os.environ["PYTHONPATH"].split(os.pathsep)[0]
    installed = {normalised(item.name): item.version for item in distributions(path=[folder])}
    assert installed == pins("requirements.txt") | pins("requirements-dev.txt")
