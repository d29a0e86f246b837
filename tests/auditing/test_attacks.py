"""The audit is not fooled by training images in disguise: a short version of `scripts/bench_audit_attacks.py`."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sface_data.auditing.certificate import load_certificate
from sface_data.auditing.sets import sampled_images
from sface_data.auditing.sets.appearance import Appearance
from sface_data.auditing.sets.disguises import DISGUISES
from sface_data.auditing.sets.located import Located
from sface_data.embedding.open import DEMO_EMBEDDER
from sface_data.faces.base import Source
from sface_data.faces.sources import open_source
from tests.scripts import script

PEOPLE, OF_TRAINING, OF_RELEASE = 12, 8, 2


@pytest.fixture(scope="module", name="script")
def loaded() -> ModuleType:
    """The script with fewer people."""
    module: ModuleType = script("bench_audit_attacks.py")
    module.PEOPLE, module.OF_TRAINING, module.OF_RELEASE = PEOPLE, OF_TRAINING, OF_RELEASE  # type: ignore[attr-defined]
    return module


@pytest.fixture(scope="module")
def bench(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Its faces."""
    return script.Bench.of(tmp_path_factory.mktemp("attacks"), [DEMO_EMBEDDER])


def test_a_release_that_stands_upside_down_passes_nothing(
    script: ModuleType, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_images, "_FEWEST_OF_EACH", 2)
    name = "upside down"
    outcome = bench.audit(bench.release(name, 1))
    checks = {check.finding.name: check for check in outcome.result.checks}
    view, kind = checks["nearest-view"], checks["same-kind"]
    assert outcome.certificate.verdict != "pass"
    assert view.finding.interval is not None and view.finding.interval.value > 0.2
    assert kind.verdict == "inconclusive" and "of the images are unlike those of training in light" in kind.reason
    rows = view.finding.facts["disguises"]
    assert [row["disguise"] for row in rows] == list(DISGUISES)
    assert all(row["images"] == 2 and row["stopped"]["1"] == 1 for row in rows)
    assert load_certificate(bench.out / "audit" / "certificate.json").verdict == outcome.certificate.verdict
    report = (bench.out / "audit" / "report.html").read_text()
    assert "Training images in disguise" in report and "faint and turned" in report


def test_odd_are_images_in_disguise_and_not_strangers(script: ModuleType, bench: Any) -> None:
    training, strangers = (open_source(bench.out / name) for name in ("training", "strangers"))
    order = np.random.default_rng(0).permutation(len(training))
    usual = Appearance.of(training, order, Located.of(training, order))

    def odd(source: Source) -> float:
        chosen = np.arange(len(source))
        return float(usual.odd(source, chosen, Located.of(source, chosen)).mean())

    assert odd(strangers) < 0.2
    for name in (
        "halftone",
        "edges",
        "checkerboard",
        "stripes",
        "far away",
        "tiled",
        "negative",
        "between pixels",
        "somewhere",
        "beside a stranger",
    ):
        assert odd(open_source(bench.release(name, 1))) > 0.5, name
