"""What this container is: release, commit.

An image is built once per commit and then promoted by its digest, so the commit is known when it
is built (build argument APP_COMMIT), the version only when that digest is released. ml-deploy
therefore sets ML_DEPLOY_VERSION (and ML_DEPLOY_COMMIT) on the service; these win over what was
baked in. An empty value counts as not set.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Identity(NamedTuple):
    version: str
    commit: str


def read_identity(environment: Mapping[str, str]) -> Identity:
    return Identity(
        version=_first(environment, "ML_DEPLOY_VERSION", "APP_VERSION", default="0.0.0-dev"),
        commit=_first(environment, "ML_DEPLOY_COMMIT", "APP_COMMIT", default="unknown"),
    )


def _first(environment: Mapping[str, str], *names: str, default: str) -> str:
    return next((environment[name] for name in names if environment.get(name)), default)
