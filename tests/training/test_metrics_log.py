"""Lines of metrics across a stop."""

import json
from pathlib import Path

import pytest
import torch

from sface_data.errors import BadInput
from sface_data.training.distributed import ProcessGroup
from sface_data.training.metrics_log import MetricsLog, crossed_multiple


def test_lines_behind_the_checkpoint_are_dropped_and_no_others(tmp_path: Path) -> None:
    """Also where thousands of images have more digits than other figures are written with."""
    path = tmp_path / "metrics.jsonl"
    report = MetricsLog(path, ProcessGroup(), 0, "")
    counts = [56, 1_234_567, 1_234_568, 98_765_433]
    for images in counts:
        report.add({"loss": torch.tensor(1 / 3)})
        report.write(images, {"epoch": 0.5})
    MetricsLog(path, ProcessGroup(), 1_234_567, "")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [round(line["kimg"] * 1000) for line in lines] == counts[:2]
    assert (lines[0]["loss"], lines[0]["epoch"]) == (0.333333, 0.5)


@pytest.mark.parametrize(
    "broken", [b'{"kimg": 0.0', b"null", b"[1]", b'{"kimg": "x"}', b'{"kimg": NaN}', b"\xff", b"[" * 9999]
)
def test_a_broken_line_stops_nothing(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kimg": 0.1}\n' + broken + b'\n{"kimg": 0.2}\n')
    MetricsLog(path, ProcessGroup(), 200, "")
    assert path.read_text() == '{"kimg": 0.1}\n{"kimg": 0.2}\n'


def test_what_is_not_finite_is_an_error_with_advice(tmp_path: Path) -> None:
    report = MetricsLog(tmp_path / "metrics.jsonl", ProcessGroup(), 0, "try less")
    report.add({"loss": torch.tensor(1.0), "gradient_norm": torch.tensor(float("inf"))})
    with pytest.raises(BadInput, match=r"gradient norm is not finite at 2 kimg.*kept: try less"):
        report.write(2000, {})


def test_passing_a_multiple() -> None:
    assert [crossed_multiple(now - 8, now, 20) for now in (8, 16, 24, 32, 40)] == [False, False, True, False, True]
