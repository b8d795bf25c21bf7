import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.exceptions import InconsistentVersionWarning

from app.model import Model, load_model
from app.schema import Measures
from train import train

FLOWER = Measures(sepal_length=6.3, sepal_width=2.8, petal_length=5.1, petal_width=1.5)


def test_training_is_deterministic(artefact: dict[str, Any]) -> None:
    again = train()
    assert again["version"] == artefact["version"]
    row = [[6.3, 2.8, 5.1, 1.5]]
    assert (again["estimator"].predict_proba(row) == artefact["estimator"].predict_proba(row)).all()


def test_the_order_of_the_features_is_the_artefacts(artefact: dict[str, Any], model: Model) -> None:
    expected = artefact["estimator"].predict_proba([[6.3, 2.8, 5.1, 1.5]])[0]
    assert list(model.predict(FLOWER).probabilities.values()) == expected.tolist()


def test_a_stored_model_answers_the_same(artefact: dict[str, Any], model: Model, tmp_path: Path) -> None:
    joblib.dump(artefact, tmp_path / "model.joblib")
    assert load_model(tmp_path / "model.joblib").predict(FLOWER) == model.predict(FLOWER)


def test_a_model_of_another_scikit_learn_is_refused(
    artefact: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib.dump(artefact, tmp_path / "model.joblib")
    # The version that an estimator remembers is compared with this name when it is read.
    monkeypatch.setattr(sys.modules["sklearn.base"], "__version__", "1.7.0")
    with pytest.raises((InconsistentVersionWarning, pickle.UnpicklingError)):
        load_model(tmp_path / "model.joblib")
