"""The typed request and response bodies. FastAPI makes /openapi.json and the 422 answers of them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# No iris comes near 30 cm: what is larger is a wrong unit, and a prediction for it means nothing.
Centimetres = Annotated[float, Field(strict=True, gt=0, le=30, allow_inf_nan=False)]
Species = Literal["setosa", "versicolor", "virginica"]


class Measures(BaseModel):
    """One flower. Unknown fields are refused: a misspelt name must not pass as a missing one."""

    model_config = ConfigDict(extra="forbid")

    sepal_length: Centimetres
    sepal_width: Centimetres
    petal_length: Centimetres
    petal_width: Centimetres


class Prediction(BaseModel):
    """The most probable species, and the probability of each; these sum to 1."""

    label: Species
    probabilities: dict[Species, float]
    model_version: str


class Health(BaseModel):
    """Answered only once the model is loaded: the server does not listen before."""

    status: Literal["ok"]


class Version(BaseModel):
    """Who answers: the release, the commit the image was built from, and the model in it."""

    version: str
    commit: str
    model_version: str


class Unreadable(BaseModel):
    """Answered to bytes that are no text."""

    detail: str
