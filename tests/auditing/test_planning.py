"""Which sizes can be decided, before anything is embedded."""

import shutil
from dataclasses import replace
from itertools import pairwise

import pytest

from sface_data.auditing.planning import AuditSize, table, undecidable
from sface_data.auditing.policy import load_policy
from sface_data.auditing.run import AuditOptions, PreparedAudit

COMMON = AuditSize(1_000, 20, 10_000, 20, 1_000, 20)
LARGE = AuditSize(8_000, 5, 10_000, 20, 8_000, 5)


@pytest.mark.parametrize("relations", [("label",), ("claim", "search")])
def test_the_size_that_publishers_have_is_for_standard_and_strict_takes_more(relations: tuple[str, ...]) -> None:
    common, large = (replace(size, relations=relations) for size in (COMMON, LARGE))
    assert undecidable(load_policy("standard"), common) == ()
    assert "nearest-neighbour-1e-2" in undecidable(load_policy("strict"), common)
    assert undecidable(load_policy("strict"), replace(large, judges=2)) == ()
    assert undecidable(load_policy("strict"), large) == ("known-judges",)


def test_strict_can_be_decided_for_a_generator_of_a_thousand_people_however_large_the_release() -> None:
    strict = load_policy("strict")
    for images in (5, 20, 50):
        size = replace(LARGE, people=1_000, images=images, pictures=images, judges=2)
        assert undecidable(strict, size) == ()
    assert undecidable(strict, replace(LARGE, people=500, judges=2)) == ("exposure",)


def test_more_people_block_no_more_and_without_control_group_its_checks_are_blocked() -> None:
    policy = load_policy("strict")
    sizes = (replace(LARGE, classes=n, strangers=n) for n in (500, 1_000, 2_000, 8_000))
    blocked = [set(undecidable(policy, size)) for size in sizes]
    assert all(more <= fewer for fewer, more in pairwise(blocked))
    alone = undecidable(policy, replace(LARGE, strangers=0, pictures=0))
    assert {"nearest-neighbour-1e-2", "nearest-person", "exposure"} <= set(alone)
    assert "nearest-view" in alone
    assert not {"identical-files", "same-label-auc", "same-kind"} & set(alone)


def test_a_limit_of_one_per_cent_in_other_views_takes_a_thousand_classes() -> None:
    policy = load_policy("standard")
    assert "nearest-view" not in undecidable(policy, replace(COMMON, images=5, pictures=5))
    assert "nearest-view" in undecidable(policy, replace(COMMON, images=2, pictures=2))
    assert "nearest-view" in undecidable(policy, replace(COMMON, classes=500, strangers=500))


def test_nobody_is_searched_by_single_images_of_any_set() -> None:
    strict = load_policy("strict")
    for name in ("images", "pictures", "photographs"):
        single = replace(LARGE, relations=("search",), **{name: 1})
        assert {"nearest-person", "linkage-class-rank-1", "same-label-auc"} <= set(undecidable(strict, single))


def test_the_table_begins_with_the_sets_that_are_given(run, dataset, tmp_path) -> None:  # type: ignore[no-untyped-def]
    training = shutil.copytree(dataset, tmp_path / "training")
    options = AuditOptions(training=training, outdir=tmp_path / "out", embedder=["demo"])
    size = PreparedAudit.of(dataset, options).size()
    assert (size.classes, size.images, size.strangers, size.relations) == (10, 6, 0, ("label",))
    assert next(table(load_policy("strict"), size))[0] == size
    sets = ("--training", training, "--embedder", "demo")
    code, text, _ = run("audit", dataset, *sets, "--outdir", tmp_path, "--plan")
    lines = text.splitlines()
    assert code == 0 and lines[1].split()[:6] == ["10", "x", "6", "0", "x", "0"] and len(lines) == 22
    assert not (tmp_path / "certificate.json").exists()
