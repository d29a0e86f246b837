"""Whatever is wrong with an argument, what leaves a public function is one of the documented errors."""

import inspect
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sface_data import api

EMBEDDER = {"embedder": api.DEMO_EMBEDDER}
NEEDED: dict[str, dict[str, Any]] = {
    "generate": {"outdir": "made", "classes": "0", "samples_per_class": 1},
    "merge": {"parts": ["empty"], "outdir": "merged"},
    "load": {"directory": "empty"},
    "validate": {"directory": "empty"},
    "preview": {"directory": "empty", "out": "a.png"},
    "write_card": {"directory": "empty"},
    "audit": {"release": "empty", "training": "empty", "outdir": "audit"},
    "export": {"directory": "empty", "outdir": "export", "to": "rec"},
    "publish": {"directory": "empty", "repo": "org/name", "dry_run": True},
    "render": {"outdir": "rendered", "identities": 1, "images_per_identity": 1, "size": 16},
    "embed": {"source": "empty", "outdir": "embeddings", **EMBEDDER},
    "train_generator": {"data": "empty", "outdir": "generator"},
    "evaluate_generator": {"network": api.DEMO_GENERATOR, "data": "empty", **EMBEDDER},
    "load_generator": {"path": "file"},
    "convert_generator": {"source": "file", "target": "new.safetensors"},
    "train_recognition": {"data": "empty", "outdir": "run", "recipe": "cls"},
    "evaluate_recognition": {"embedder": "file", "benchmarks": "empty"},
    "export_embedder": {"embedder": "file", "out": "new.onnx"},
}
ERRORS = (api.BadInput, api.CheckFailed)
MAKE_SOMETHING = ("generate", "render")  # with what they need; not every wrong value is looked at then
WRONG_ANYWHERE = ("a\0b", "file/below", -1, 10**30, float("nan"), object())
WRONG_OR_NOT = (None, "", "file", "missing", True, ["x"])


@pytest.mark.parametrize("name", NEEDED)
def test_errors_are_the_documented_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").write_text("x")
    function = getattr(api, name)
    values = WRONG_ANYWHERE if name in MAKE_SOMETHING else WRONG_ANYWHERE + WRONG_OR_NOT
    for parameter in inspect.signature(function).parameters:
        for value in values:
            with suppress(*ERRORS) if name in MAKE_SOMETHING else pytest.raises(ERRORS):
                function(**{**NEEDED[name], parameter: value})


def test_every_function_is_tried() -> None:
    assert NEEDED.keys() == {name for name in api.MODULES if inspect.isfunction(getattr(api, name))}
