from pathlib import Path

import yaml
from fastapi.testclient import TestClient

from record_golden import record, render

GOLDEN = Path(__file__).parent.parent / "golden.yaml"
TOLERANCE = 1e-6


def test_golden_file_is_what_the_model_answers(client: TestClient) -> None:
    """Numbers within the tolerance: another processor may differ in the last places."""
    stored, recorded = yaml.safe_load(GOLDEN.read_text()), record(client)
    assert _without_numbers(stored) == _without_numbers(recorded)
    for left, right in zip(_numbers(stored), _numbers(recorded), strict=True):
        assert abs(left - right) <= TOLERANCE


def test_golden_file_reads_back_as_written(client: TestClient) -> None:
    suite = record(client)
    assert yaml.safe_load(render(suite)) == suite


def test_golden_file_covers_every_species_and_refusals(client: TestClient) -> None:
    cases = yaml.safe_load(GOLDEN.read_text())["cases"]
    labels = {case["expect"].get("json", {}).get("label") for case in cases}
    assert {"setosa", "versicolor", "virginica"} <= labels
    assert sum(case["expect"]["status"] == 422 for case in cases) >= 3
    assert len({case["name"] for case in cases}) == len(cases)


def _without_numbers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_numbers(item) for item in value]
    return "number" if isinstance(value, float) else value


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, float) else []
