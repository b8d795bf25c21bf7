"""Loads the trained model and asks it."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy
from sklearn.exceptions import InconsistentVersionWarning

from app.schema import Measures, Prediction


class Artefact(NamedTuple):
    """What train.py stores: the estimator with what is needed to ask it rightly."""

    estimator: Any
    features: list[str]
    labels: list[str]
    version: str


class Model:
    """A loaded artefact. Safe to share between threads: predicting changes nothing."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact

    @property
    def version(self) -> str:
        return self._artefact.version

    def predict(self, measures: Measures) -> Prediction:
        artefact = self._artefact
        row = numpy.array([[getattr(measures, name) for name in artefact.features]], dtype=numpy.float64)
        probabilities = artefact.estimator.predict_proba(row)[0]
        return Prediction(
            label=artefact.labels[int(probabilities.argmax())],
            probabilities=dict(zip(artefact.labels, probabilities.tolist(), strict=True)),
            model_version=artefact.version,
        )


def load_model(path: Path) -> Model:
    """Reads an artefact.

    An estimator stored by another release of scikit-learn may load and then predict something
    else. scikit-learn only warns; here the container does not start.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        return Model(Artefact(**joblib.load(path)))
