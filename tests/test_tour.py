"""The notebook runs from the first cell to the last, and its verdicts are those that its text speaks of."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tour.ipynb"


# A notebook shows a picture, and with that reads its file to the end; here it is only opened.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    first, second = names["first"], names["second"]
    assert (first.verdict, second.verdict) == ("fail", "inconclusive")  # type: ignore[attr-defined]
    assert (tmp_path / "audit-new" / "comparison.html").is_file()
