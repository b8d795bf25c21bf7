"""Trains the model and stores it; run when the image is built.

Deterministic: the data ship with scikit-learn, the solver starts from zero and runs until it has
converged far beyond the tolerance of the golden cases, so that two processors with different
floating-point units agree.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# The columns of the data set, in its order, as the API names them.
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
HYPERPARAMETERS = {"C": 1.0, "tol": 1e-10, "max_iter": 10_000}
# Below this the build stops: a model this poor is a mistake in the data or the pins.
MINIMUM_ACCURACY = 0.94


def train() -> dict[str, Any]:
    """Returns the artefact that app/model.py loads."""
    data = load_iris()
    estimator = make_pipeline(StandardScaler(), LogisticRegression(**HYPERPARAMETERS))
    accuracy = cross_val_score(estimator, data.data, data.target, cv=5).mean()
    if accuracy < MINIMUM_ACCURACY:
        raise SystemExit(f"accuracy {accuracy:.3f} is below {MINIMUM_ACCURACY}: the model is not stored")
    estimator.fit(data.data, data.target)
    return {
        "estimator": estimator,
        "features": FEATURES,
        "labels": [str(name) for name in data.target_names],
        "version": f"iris-{_fingerprint(data.data.tobytes() + data.target.tobytes())}",
    }


def _fingerprint(data: bytes) -> str:
    """Names what the model follows from: data, hyperparameters, library."""
    recipe = json.dumps([FEATURES, HYPERPARAMETERS, sklearn.__version__]).encode()
    return hashlib.sha256(data + recipe).hexdigest()[:10]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="file to write, e.g. model.joblib")
    arguments = parser.parse_args()
    artefact = train()
    joblib.dump(artefact, arguments.output)
    print(f"{artefact['version']}: stored in {arguments.output}")


if __name__ == "__main__":
    main()
