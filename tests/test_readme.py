"""The training that the README shows runs as it stands, on a smaller data set in the place of its own."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs_commands import ROOT, blocks


def test_the_training_in_the_readme(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "large").symlink_to(dataset)
    names: dict[str, Any] = {}
    for block in blocks(ROOT / "README.md", "python"):
        if 'load_dataset("large"' in block or "optimizer.step()" in block:
            exec(compile(block, "README.md", "exec"), names)
    assert len(names["index"]) == 10 and math.isfinite(names["loss"].item())
