"""The examples of the public functions run as they stand, one after the other, as docs/api.md has them."""

import doctest
import inspect
import runpy
from pathlib import Path

import pytest

import sface_data
from sface_data import api

ROOT = Path(__file__).parents[1]
# Each uses what those before it have made.
ORDER = (
    "generate",
    "merge", "load", "validate", "preview", "render", "embed", "audit", "export", "publish", "write_card",
    "train_generator", "evaluate_generator", "load_generator", "convert_generator",
    "train_recognition", "evaluate_recognition", "export_embedder",
)  # fmt: skip


def write_benchmark(folder: Path, faces: Path) -> None:
    """Twenty pairs of the faces that the example of `render` makes."""
    folder.mkdir()
    (folder / "pairs").symlink_to(faces.absolute())
    lines = [
        f"{k % 8:06d}/000000.jpg {(k + other) % 8:06d}/{1 + k // 8:06d}.jpg {int(not other)}"
        for k in range(10)
        for other in (0, 1)
    ]
    (folder / "pairs.txt").write_text("\n".join(lines))


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    assert set(ORDER) == {name for name in api.MODULES if inspect.isfunction(getattr(api, name))}
    names: dict[str, object] = {"sface_data": sface_data}
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    for name in ORDER:
        if name == "evaluate_recognition":
            write_benchmark(tmp_path / "benchmarks", tmp_path / "authentic")
        text = inspect.getdoc(getattr(api, name)) or ""
        example = doctest.DocTestParser().get_doctest(text, names, name, None, None)
        runner.run(example, out=said.append, clear_globs=False)
        names = example.globs
    assert said == [], "".join(said)


def test_docs_are_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "make_api_docs"))["api_docs"]()
    assert (ROOT / "docs" / "api.md").read_text() == page, "run: .venv/bin/python scripts/make_api_docs"
