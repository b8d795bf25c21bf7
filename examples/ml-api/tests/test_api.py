import pytest
from fastapi.testclient import TestClient

from record_golden import REFUSALS, SETOSA, flower


def test_health(client: TestClient) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_version_names_release_commit_and_model(client: TestClient) -> None:
    body = client.get("/version").json()
    assert body["version"] == "1.2.3"
    assert body["commit"] == "0a1b2c3"
    assert body["model_version"].startswith("iris-")


def test_predict(client: TestClient) -> None:
    body = client.post("/predict", json=flower(SETOSA)).json()
    assert body["label"] == "setosa"
    assert sum(body["probabilities"].values()) == pytest.approx(1.0)
    assert max(body["probabilities"], key=body["probabilities"].get) == "setosa"


@pytest.mark.parametrize(("name", "body"), REFUSALS)
def test_predict_refuses(client: TestClient, name: str, body: object) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == 422, name
    assert response.json()["detail"], name


def test_predict_refuses_bytes_that_are_no_text_as_documented(client: TestClient) -> None:
    response = client.post("/predict", content=b"\xff", headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["detail"]
    documented = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]
    assert "400" in documented


# 1e309 is valid JSON and more than a float holds.
@pytest.mark.parametrize("measure", ["0", "30.000001", "1e309", "-1e309", "NaN"])
def test_predict_refuses_beyond_the_bounds(client: TestClient, measure: str) -> None:
    text = f'{{"sepal_length": {measure}, "sepal_width": 3, "petal_length": 1, "petal_width": 1}}'
    response = client.post("/predict", content=text, headers={"content-type": "application/json"})
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["loc"] == ["body", "sepal_length"]
    assert "input" not in problem


def test_predict_refuses_what_is_no_json(client: TestClient) -> None:
    response = client.post("/predict", content="{", headers={"content-type": "application/json"})
    assert response.status_code == 422


def test_the_interface_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/health", "/version", "/predict"}
    measures = document["components"]["schemas"]["Measures"]
    assert measures["additionalProperties"] is False
    assert measures["properties"]["petal_width"] == {
        "type": "number",
        "maximum": 30.0,
        "exclusiveMinimum": 0.0,
        "title": "Petal Width",
    }
