"""Our metrics against XTREME's own: its test labels and predictions, and the figures it prints."""

from __future__ import annotations

import pytest

from tests.trainables.metrics.mock import Official, every_official, mock, needs_mock_data
from trainables.metrics import METRICS

pytestmark = needs_mock_data


@every_official
def test_official_figure(official: Official) -> None:
    labels, predictions = mock("labels", official.task), mock("predictions", official.task)
    assert len(labels) == official.num_languages
    metric = METRICS[official.metric]
    values = [
        metric.compute(
            official.read_predictions(predictions[code]), official.read_golds(path), code
        )
        for code, path in labels.items()
    ]
    for name, figure in official.figures.items():
        mean = sum(value[name] for value in values) / len(values)
        assert mean == pytest.approx(figure, abs=1e-9)
    primary = sum(metric.primary(value) for value in values) / len(values)
    expected = sum(official.figures.values()) / len(official.figures)
    assert primary == pytest.approx(expected, abs=1e-9)
