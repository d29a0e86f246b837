"""Recipes: the published values, stages, and what no run can have."""

import dataclasses
import subprocess
import sys

import pytest

from sface_data.errors import BadInput
from sface_data.generator.recipe import PRESETS, Stage, recipe_of

DEMO = PRESETS["demo"]


def test_sface_is_as_published() -> None:
    recipe = PRESETS["sface"]
    assert recipe.stages == (Stage(128, 25000, 64, 0.0025, 0.0512),)
    assert (recipe.architecture, recipe.class_codes, recipe.reuse_fakes) == ("resnet", "random", False)
    assert (recipe.path_weight, recipe.path_interval, recipe.r1_interval, recipe.style_mixing) == (2, 4, 16, 0.9)
    assert (recipe.augment, recipe.augment_target, recipe.augment_kimg, recipe.augment_after) == (
        ("pixels", "geometry", "colour"), 0.6, 500, 0,
    )  # fmt: skip
    assert (recipe.ema_kimg, recipe.ema_rampup, recipe.mirror) == (20, 0.05, True)
    grown = PRESETS["sface-grown"]
    assert dataclasses.replace(grown, stages=recipe.stages, architecture="resnet") == recipe
    assert grown.kimg == recipe.kimg


def test_lengths_are_whole_batches_of_their_stage() -> None:
    stages = (Stage(8, 0.03, 8, 1, 1), Stage(16, 0.05, 16, 1, 1))
    recipe = dataclasses.replace(DEMO, stages=stages)
    assert recipe.ends == (32, 96)
    assert recipe.kimg == 0.096
    assert [recipe.total(kimg) for kimg in (0.001, 0.03, 0.032, 0.0321, 0.096, 0.1)] == [8, 32, 32, 48, 96, 112]
    assert DEMO.ends == (80_000, 120_000, 250_000, 320_000, 370_000)


def test_a_recipe_up_to_a_resolution() -> None:
    assert [stage.resolution for stage in DEMO.up_to(32).stages] == [16, 32]
    assert DEMO.up_to(64) == DEMO
    same = dataclasses.replace(DEMO, stages=(Stage(16, 1, 8, 1, 1), Stage(32, 1, 8, 1, 1), Stage(32, 1, 8, 2, 2)))
    assert same.up_to(32) == same
    with pytest.raises(BadInput, match="no stage of 48 pixels; it has 16, 32, 64"):
        DEMO.up_to(48)


def test_what_a_user_may_change_is_changed_in_every_stage() -> None:
    changed = DEMO.adjusted(batch=64, r1_gamma=0.0)
    assert {(stage.batch, stage.r1_gamma) for stage in changed.stages} == {(64, 0.0)}
    assert DEMO.adjusted() == DEMO


def test_runs_of_nothing() -> None:
    with pytest.raises(BadInput, match="0 kimg shows no image"):
        DEMO.total(0)
    with pytest.raises(BadInput, match="at least one image a step"):
        DEMO.adjusted(batch=0)


def test_a_preset_with_changes() -> None:
    assert recipe_of("demo") == DEMO
    assert recipe_of("demo", 32, 8, 1.0) == DEMO.adjusted(8, 1.0).up_to(32)
    with pytest.raises(BadInput, match="no preset 'nightly'; take one of sface, sface-grown, demo"):
        recipe_of("nightly")


@pytest.mark.parametrize(
    ("resolutions", "sentence"),
    [
        ((24,), "a stage of 24 pixels: the side must be a power of two"),
        ((4,), "a stage of 4 pixels"),
        ((), "none may be smaller"),
        ((32, 16), "none may be smaller"),
    ],
)
def test_stages_that_no_run_can_have(resolutions: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        dataclasses.replace(DEMO, stages=tuple(Stage(side, 1, 8, 1, 1) for side in resolutions))


def test_only_one_architecture_can_be_grown() -> None:
    with pytest.raises(BadInput, match="architecture resnet cannot be grown"):
        dataclasses.replace(DEMO, architecture="resnet")


def test_recipes_are_read_without_torch() -> None:
    code = "import sys, sface_data.generator.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
