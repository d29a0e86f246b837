"""The miniature of the paper: its benchmarks, statistics and page, and a small run from nothing to the page."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from sface_data.rendered.identity import draw_identity
from sface_data.rendered.variation import draw_variation

ROOT = Path(__file__).parents[2]
Script = Callable[[str], ModuleType]


@pytest.fixture(scope="module", autouse=True)
def _scripts() -> Any:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def benchmarks(_scripts: None) -> ModuleType:
    return importlib.import_module("mini_benchmarks")


@pytest.fixture(scope="module")
def page(_scripts: None) -> ModuleType:
    return importlib.import_module("mini_page")


@pytest.fixture(scope="module")
def mini(_scripts: None) -> ModuleType:
    return importlib.import_module("reproduce_mini")


# --- benchmarks ---------------------------------------------------------------------------------------------


def test_groups_are_look_alikes_and_nobody_is_in_two(benchmarks: ModuleType) -> None:
    groups = benchmarks.look_alikes(benchmarks.Crowd(10))
    assert groups.shape == (10, 4)
    assert len(np.unique(groups)) == 40
    for group in groups:
        people = [draw_identity(benchmarks.SEED, number) for number in group]
        assert len({(who.hair.style, who.beard, who.male > 0.5) for who in people}) == 1
    looks = np.array([benchmarks.appearance(draw_identity(benchmarks.SEED, number)) for number in groups.ravel()])
    skin = looks[:, :3].reshape(10, 4, 3)
    assert skin.std(axis=1).mean() < 0.6 * skin.std(axis=(0, 1)).mean()


def test_pairs_are_balanced_within_groups_and_as_different_as_asked_for(benchmarks: ModuleType) -> None:
    crowd, groups = benchmarks.Crowd(10, people=3, images=4, mated=2), np.arange(30).reshape(10, 3)
    for kind in benchmarks.KINDS:
        pairs, issame = benchmarks.draw_pairs(groups, kind, crowd)
        assert len(pairs) == len(set(pairs)) == len(issame) == 2 * 2 * 30
        assert sum(issame) == 60
        for fold, part in enumerate(np.array_split(np.arange(len(pairs)), benchmarks.FOLDS)):
            people = {person for index in part for person, _ in pairs[index]}
            assert people <= set(groups[fold].tolist())
        assert [one[0] == other[0] for one, other in pairs] == issame
    pose = next(kind for kind in benchmarks.KINDS if kind.distance is benchmarks.turn)
    pairs, issame = benchmarks.draw_pairs(groups, pose, crowd)
    chosen = [pair for pair, same in zip(pairs, issame, strict=True) if same and pair[0][0] == 5]
    shots = [draw_variation(benchmarks.SEED, 5, index, pose.strength) for index in range(4)]
    turns = {(a, b): benchmarks.turn(shots[a], shots[b]) for a in range(4) for b in range(a + 1, 4)}
    assert {(a, b) for (_, a), (_, b) in chosen} == set(sorted(turns, key=lambda pair: -turns[pair])[:2])


# --- statistics and page ------------------------------------------------------------------------------------


def test_with_one_seed_the_interval_is_that_of_students_t_over_folds(page: ModuleType) -> None:
    folds = np.array([[70.0, 80.0, 90.0, 84.0]])
    found = page.estimate(folds)
    expected = stats.t.interval(0.95, 3, folds.mean(), stats.sem(folds[0]))
    assert (found.low, found.high) == pytest.approx(expected)


def test_an_interval_over_seeds_and_folds_by_hand(page: ModuleType) -> None:
    """Means of seeds 2 and 4, of folds 1, 3 and 5; no rest. MS_seeds = 3 * 2 = 6, MS_folds = 2 * 4 = 8."""
    values = np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]])
    found = page.estimate(values)
    reach = stats.t.ppf(0.975, 14**2 / (6**2 / 1 + 8**2 / 2)) * np.sqrt(14 / 6)
    assert (found.value, found.high - found.value) == pytest.approx((3, reach))


def test_intervals_hold_the_truth_as_often_as_they_say(page: ModuleType) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        values = rng.normal(size=(3, 1)) + rng.normal(size=(1, 10)) + rng.normal(size=(3, 10))
        found = page.estimate(values)
        hits += found.low <= 0 <= found.high
    assert 920 <= hits <= 1000


def record_of(accuracy: Callable[[str, int], float]) -> dict[str, Any]:
    """The record of a run in which networks had these accuracies, but for a little in each seed and fold."""
    rng = np.random.default_rng(0)

    def folds(recipe: str, images: int) -> list[float]:
        return (accuracy(recipe, images) + rng.normal(0, 0.005, 10)).tolist()

    networks = [("fresh", 0), *((recipe, n) for n in (10, 20) for recipe in ("cls", "kt", "cls-kt", "teacher"))]
    cells = [
        {
            "recipe": recipe,
            "images": images,
            "seed": seed,
            "cpu_seconds": 30.0,
            "accuracy_per_fold": {name: folds(recipe, images) for name in ("alike", "alike_pose", "alike_light")},
        }
        for recipe, images in networks
        for seed in range(2)
    ]
    crowd = {"groups": 10, "people": 4, "images": 4, "mated": 2}
    size = {"classes": 7, "images": [10, 20], "seeds": 2, "shown": 64, "crowd": crowd, "batch": 8}
    network = {"file": "generator.safetensors", "sha256": "0123456789abcdef"}
    full = {**size, "seeds": 3}
    return {"size": size, "full": full, "network": network, "machine": "a machine", "cells": cells}


AS_IN_THE_PAPER = {"fresh": 0.55, "cls": 0.75, "kt": 0.88, "cls-kt": 0.89, "teacher": 0.9}


def test_claims_follow_from_the_cells(page: ModuleType) -> None:
    good = page.claims(page.Cells(record_of(lambda recipe, n: AS_IN_THE_PAPER[recipe] + n / 500)))
    assert [claim.reproduced for claim in good] == [True] * 5
    assert good[0].measured.value == pytest.approx(2, abs=0.5)  # points from 10 to 20 images
    assert good[1].measured.value == pytest.approx(75 + 4 - 55 - 5, abs=0.5)
    flat = page.claims(page.Cells(record_of(lambda recipe, n: 0.6)))
    assert [claim.reproduced for claim in flat] == [False] * 5
    assert "undecided" in flat[0].verdict
    falling = page.claims(page.Cells(record_of(lambda recipe, n: 0.9 - n / 100)))
    assert "the opposite" in falling[0].verdict


def test_the_page_says_what_was_done_and_keeps_what_people_wrote(page: ModuleType, tmp_path: Path) -> None:
    record = tmp_path / "cells.json"
    record.write_text(json.dumps(record_of(lambda recipe, n: AS_IN_THE_PAPER[recipe] + n / 500)))
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "mini.md").write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for _ in range(2):
        page.write_result(record, folder)
    text = (folder / "mini.md").read_text()
    assert text.startswith(f"before\n{page.BEGIN}\n\n![")
    assert text.endswith(f"\n{page.END}\nafter\n")
    assert text.count("**reproduced**") == 5
    assert "7 classes of the generator `generator.safetensors` (sha256 0123456789ab)" in text
    assert "every training saw 64 images" in text
    assert "160 pairs, half of them mated, of 40 rendered people x 4 images" in text
    assert "This is a reduced run: the full one has 7 classes, 3 seeds and 64 images a training." in text
    assert "below the 98 %" in text
    with Image.open(folder / "mini.png") as picture:
        assert picture.width == 1350
    (folder / "mini.md").write_text("nothing\n")
    with pytest.raises(SystemExit, match="marks"):
        page.write_result(record, folder)


def test_the_page_in_docs_has_its_marks(page: ModuleType) -> None:
    before, _, rest = (ROOT / "docs" / "mini.md").read_text(encoding="utf-8").partition(page.BEGIN)
    made, _, after = rest.partition(page.END)
    assert before and made and after


# --- a run --------------------------------------------------------------------------------------------------


def test_teachers_come_before_those_they_teach(mini: ModuleType) -> None:
    cells = mini.cells_of(mini.SIZES["full"])
    assert len(cells) == len(set(cells)) == 3 + 4 * 4 * 3
    taught = [cell.taught for cell in cells]
    assert taught == sorted(taught)


def test_from_nothing_to_the_page_and_on_from_where_it_stopped(mini: ModuleType, tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page"
    arguments = ["--size", "test", "--out", str(out), "--page", str(page), "--jobs", "1"]
    mini.main(arguments)
    record = json.loads((page / "mini.json").read_text())
    assert len(record["cells"]) == 1 + 2 * 4
    for cell in record["cells"]:
        assert {name: len(folds) for name, folds in cell["accuracy_per_fold"].items()} == dict.fromkeys(
            ("alike", "alike_pose", "alike_light"), 10
        )
    lost = out / "cells" / "kt-4-0"
    made = {path: path.stat().st_mtime_ns for path in out.rglob("cell.json") if path.parent != lost}
    before = json.loads((lost / "cell.json").read_text())["accuracy_per_fold"]
    (lost / "cell.json").unlink()
    run = mini.Run(out, mini.SIZES["test"], mini.DEMO_GENERATOR)
    for cell in mini.cells_of(run.size):
        mini.make_cell(run, cell)
    assert json.loads((lost / "cell.json").read_text())["accuracy_per_fold"] == before
    assert {path: path.stat().st_mtime_ns for path in made} == made
    with pytest.raises(SystemExit, match="run with other settings \\(seeds 1\\)"):
        mini.main([*arguments, "--seeds", "2"])
