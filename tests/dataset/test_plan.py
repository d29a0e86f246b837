"""Plans: pure functions of their fields."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sface_data.dataset.plan import ImageFormat, SamplePlan, Truncation, format_ranges, parse_ranges, spec_of
from sface_data.errors import BadInput

DIGEST = "0" * 64
classes = st.lists(st.integers(0, 199), min_size=1, max_size=12, unique=True).map(lambda c: tuple(sorted(c)))
plans = st.builds(
    SamplePlan,
    generator_sha256=st.just(DIGEST),
    generator_classes=st.just(200),
    classes=classes,
    samples_per_class=st.integers(1, 20),
    base_seed=st.integers(0, 2**40),
    samples_per_shard=st.integers(1, 50),
)


@given(plans)
def test_shards_hold_every_sample_once(plan: SamplePlan) -> None:
    shards = [list(plan.shard(i)) for i in range(plan.num_shards)]
    keys = [spec.key for shard in shards for spec in shard]
    wanted = {f"{c:06d}_{i:06d}" for c in plan.classes for i in range(plan.samples_per_class)}
    assert len(keys) == plan.num_samples == len(wanted)
    assert set(keys) == wanted
    assert [len(shard) for shard in shards] == [plan.shard_size(i) for i in range(plan.num_shards)]
    assert all(len(shard) == plan.samples_per_shard for shard in shards[:-1])


@given(plans, plans)
def test_a_sample_depends_on_seed_class_and_index_alone(one: SamplePlan, other: SamplePlan) -> None:
    other = replace(other, base_seed=one.base_seed)
    specs = {spec.key: spec for i in range(one.num_shards) for spec in one.shard(i)}
    for i in range(other.num_shards):
        for spec in other.shard(i):
            assert specs.get(spec.key, spec) == spec
            assert spec == spec_of(one.base_seed, spec.class_index, spec.index)


@given(plans)
def test_more_samples_per_class_come_behind(plan: SamplePlan) -> None:
    longer = replace(plan, samples_per_class=plan.samples_per_class + 3)
    whole = plan.num_samples // plan.samples_per_shard  # shards that were full
    assert [list(plan.shard(i)) for i in range(whole)] == [list(longer.shard(i)) for i in range(whole)]


@given(st.integers(0, 2**64), st.integers(0, 99_999), st.integers(0, 10_000), st.integers(1, 10_000))
def test_no_two_images_of_a_class_share_a_seed(base: int, c: int, index: int, step: int) -> None:
    assert spec_of(base, c, index).seed != spec_of(base, c, index + step).seed
    assert 0 <= spec_of(base, c, index).seed < 2**32


def test_seeds_are_spread() -> None:
    # 10,572 classes x 60: by chance, 32 bits make few classes overlap; a bad hash would make many.
    seeds = [spec_of(0, c, i).seed for c in range(10_572) for i in range(60)]
    assert len(seeds) - len(set(seeds)) < 0.01 * len(seeds)
    assert spec_of(0, 1, 0).seed != spec_of(1, 1, 0).seed


def test_recorded_seeds() -> None:
    # A change here would change every data set that anybody has made.
    seeds = [spec_of(0, c, i).seed for c, i in ((0, 0), (0, 1), (7, 0), (10_571, 59))]
    assert seeds == [
        3196270929,
        3196270930,
        3542035039,
        3173104149,
    ]


@given(plans)
def test_json_and_back(plan: SamplePlan) -> None:
    assert SamplePlan.from_json(plan.to_json()) == plan
    assert SamplePlan.from_json(plan.to_json()).fingerprint == plan.fingerprint


@given(plans, st.sampled_from(["base_seed", "samples_per_class", "samples_per_shard"]))
def test_the_fingerprint_covers_the_fields(plan: SamplePlan, field: str) -> None:
    other = replace(plan, **{field: getattr(plan, field) + 1})
    assert other.fingerprint != plan.fingerprint


@given(st.lists(st.integers(0, 999_999_998), min_size=1, max_size=30, unique=True).map(sorted))
def test_ranges_there_and_back(numbers: list[int]) -> None:
    assert parse_ranges(format_ranges(numbers)) == tuple(numbers)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-3", (0, 1, 2, 3)), ("7", (7,)), ("5, 1-2", (1, 2, 5)), ("3-3", (3,))],
)
def test_ranges(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_ranges(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,1", "0-5,3", "1--2", "0-99999999", "²", "1.5"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(BadInput):
        parse_ranges(text)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"classes": (0, 10)}, "class 10"),
        ({"classes": ()}, "no classes"),
        ({"classes": (3, 3)}, "ascending"),
        ({"samples_per_class": 0}, "samples per class"),
        ({"samples_per_shard": 0}, "samples per shard"),
        ({"base_seed": -1}, "seed"),
        ({"split": "../x"}, "split"),
        ({"split": "all"}, "split"),
        ({"samples_per_class": 2**32 + 1}, "1 to 4,294,967,296"),
        ({"noise_mode": "loud"}, "noise"),
        ({"precision": "fp8"}, "precision"),
    ],
)
def test_plans_that_cannot_be(change: dict[str, object], word: str) -> None:
    plan = SamplePlan(DIGEST, 10, (0, 1), 5)
    with pytest.raises(BadInput, match=word):
        replace(plan, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("psi", [float("nan"), float("inf"), -0.1, 2.1])
def test_psi_is_a_sensible_number(psi: float) -> None:
    with pytest.raises(BadInput, match="psi"):
        Truncation(psi)


@pytest.mark.parametrize("fields", [(4,), (112, "gif"), (112, "jpg", 0), (112, "png", 95), (112, "webp", None)])
def test_image_formats_that_cannot_be(fields: tuple[object, ...]) -> None:
    with pytest.raises(BadInput):
        ImageFormat(*fields)  # type: ignore[arg-type]


def test_the_largest_plan_is_as_quick_as_the_smallest() -> None:
    # Nothing is listed until a shard is asked for: a plan of 10^15 samples would not fit anywhere.
    plan = SamplePlan(DIGEST, 1_000_000, tuple(range(1_000_000)), 10**9)
    assert plan.num_samples == 10**15
    assert plan.num_shards == 10**11
    assert next(plan.shard(10**11 - 1)).key == "990000_999999999"


@pytest.mark.parametrize(
    "change",
    [
        {"samples_per_shard": 100.5},
        {"samples_per_class": 3.0},
        {"base_seed": True},
        {"generator_sha256": 5},
        {"truncation": {"psi": True, "cutoff": None, "center": "global", "center_samples": None}},
        {"truncation": {"psi": 1.0, "cutoff": 1.5, "center": "global", "center_samples": None}},
        {"image": {"size": "112", "format": "jpg", "quality": 95}},
        {"image": None},
        {"classes": [0, 1]},
    ],
)
def test_json_of_other_types_is_no_plan(change: dict[str, object]) -> None:
    value = SamplePlan(DIGEST, 10, (0, 1), 5).to_json()
    with pytest.raises(BadInput, match="not a plan"):
        SamplePlan.from_json({**value, **change})
