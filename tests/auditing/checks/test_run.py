"""The audit tells the truth about simulated leakage, and says so when it cannot see.

`scripts/bench_audit_truth.py` does the same at length.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from sface_data.auditing.certificate_words import disclosed
from sface_data.auditing.checks.files import IDENTICAL_FILES
from sface_data.auditing.checks.neighbours import PIXEL_DUPLICATES, compared_in_bulk, threshold_at_fpir
from sface_data.auditing.checks.related import NO_CONTROL
from sface_data.auditing.checks.run import JUDGED, NO_PIXELS, AuditResult, run_checks
from sface_data.auditing.checks.views import KIND
from sface_data.auditing.known_judges import KNOWN
from sface_data.auditing.policy import CHECKS, Limit, Policy, load_policy
from sface_data.auditing.sets.judged_sets import AlteredCopies, JudgedSets, derived, subset, unit
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.auditing.verdict import KNOWN_JUDGES, Check, Finding, decide
from sface_data.biometrics.intervals import Interval
from sface_data.embedding.embeddings import EmbeddingSet, LeftOut
from sface_data.errors import BadInput

WORLD = World(classes=50, images=20, authentic=6, control=50, control_images=20)
Simulated = Callable[..., AuditResult]


def by_name(result: AuditResult) -> dict[str, Check]:
    return {check.finding.name: check for check in result.checks}


def verdicts(result: AuditResult) -> dict[str, str]:
    return {name: check.verdict for name, check in by_name(result).items()}


def only(*names: str, limit: float, control: bool = True) -> Policy:
    """A policy of a few checks of `strict` with another limit."""
    strict = load_policy("strict")
    return dataclasses.replace(
        strict,
        checks={name: Limit(limit, True) for name in names},
        positive_control=strict.positive_control if control else None,
    )


def test_every_check_that_a_policy_may_ask_for_is_made_once() -> None:
    names = [kind.name for kind in JUDGED]
    assert [name for name in CHECKS if name in names] == names  # in their order
    assert set(CHECKS) - set(names) == {PIXEL_DUPLICATES.name, IDENTICAL_FILES.name, KIND.name, KNOWN_JUDGES}


@pytest.mark.parametrize(("digests", "known"), [("", 0), ("a", 1), ("aa", 1), ("ax", 1), ("ab", 2), ("xab", 2)])
def test_two_judges_must_be_known_by_their_files(simulated: Simulated, digests: str, known: int) -> None:
    sets = simulated().evidence[0].sets
    of = {"a": next(iter(KNOWN)), "b": list(KNOWN)[1], "x": "0" * 64}
    training = [
        dataclasses.replace(sets.training, embedder_sha256=of.get(each, "1" * 64)) for each in digests or "x"
    ]
    judges = [dataclasses.replace(sets, training=each, judge=str(i)) for i, each in enumerate(training)]
    policy = only("known-judges", limit=0.0, control=False)
    (found,) = [c for c in run_checks(judges, None, policy).checks if c.finding.name == KNOWN_JUDGES]
    assert found.finding.facts == {"judges": len(judges), "known": known}
    assert found.verdict == ("pass" if known == 2 else "inconclusive")
    assert f"{known} of the judges that looked" in found.reason or known == 2


@pytest.mark.parametrize("seed", range(2))
def test_no_leakage_is_no_failure(simulated: Simulated, seed: int) -> None:
    found = simulated(seed=seed + 10)
    assert "fail" not in verdicts(found).values()
    assert found.verdict == "inconclusive"  # 50 classes are too few to pass


@pytest.mark.parametrize("seed", range(2))
def test_copies_are_found(simulated: Simulated, seed: int) -> None:
    found = simulated(Leak(copies=0.05), seed=seed)
    assert found.verdict == "fail"
    assert verdicts(found)["near-duplicates"] == "fail"
    assert verdicts(found)["same-label-auc"] != "fail"  # a memorised tail does not move the bulk


def test_related_labels_are_found_where_they_are(simulated: Simulated) -> None:
    found = verdicts(simulated(Leak(related=0.3)))
    for name in ("same-label-auc", "same-label-eer", "linkage-image-rank-1", "linkage-class-rank-1"):
        assert found[name] == "fail"
    assert found["near-duplicates"] != "fail"


@pytest.mark.parametrize("leak", [Leak(), Leak(copies=0.1, related=0.5)])
def test_a_judge_that_sees_nothing_decides_nothing(simulated: Simulated, leak: Leak) -> None:
    found = simulated(leak, world=dataclasses.replace(WORLD, seen=False))
    assert found.verdict == "inconclusive"
    judged = [check for check in found.checks if check.finding.judge == "simulated"]
    assert {check.verdict for check in judged} == {"inconclusive"}
    assert all("does not tell authentic people apart" in c.reason for c in judged if c.finding.name != "judge")


def test_one_judge_that_sees_is_enough_to_fail_and_not_to_pass() -> None:
    policy = only("same-label-auc", limit=0.6, control=False)
    sound, leaking = simulate(WORLD, Leak(), 0), simulate(WORLD, Leak(related=0.6), 0)
    blind = simulate(dataclasses.replace(WORLD, seen=False), Leak(), 0)
    assert run_checks([sound], None, policy).verdict == "pass"
    assert run_checks([sound, blind], None, policy).verdict == "inconclusive"
    assert run_checks([leaking, blind], None, policy).verdict == "fail"
    assert run_checks([sound, leaking], None, policy).verdict == "fail"


def test_few_training_people_hide_no_total_leak() -> None:
    """A judge without an error among few people is not known to be good, but what it finds is there."""
    few = World(classes=30, images=10, authentic=5, control=60, control_images=10, dimensions=256, spread=0.4)
    found = by_name(run_checks([simulate(few, Leak(copies=1.0), 0)], None, only("near-duplicates", limit=0.001)))
    assert found["judge"].finding.facts["auc"] == 1 and found["judge"].verdict == "inconclusive"
    assert found["near-duplicates"].verdict == "fail"
    found = by_name(run_checks([simulate(few, Leak(), 0)], None, only("near-duplicates", limit=0.5)))
    assert found["near-duplicates"].verdict == "inconclusive"
    assert "not known to tell authentic people apart" in found["near-duplicates"].reason


def unseen(sets: JudgedSets) -> JudgedSets:
    """The same to a judge that sees nobody in the images of the release, and training people as before."""
    vectors = unit(np.random.default_rng(0).standard_normal(sets.release.vectors.shape))
    return dataclasses.replace(sets, release=dataclasses.replace(sets.release, vectors=vectors))


def test_a_judge_that_does_not_see_the_release_passes_nothing() -> None:
    sets = unseen(simulate(WORLD, Leak(copies=0.2, related=0.9), 0))
    found = by_name(run_checks([sets], None, only("same-label-auc", "near-duplicates", limit=0.6, control=False)))
    assert (found["judge"].verdict, found["judge-release"].verdict) == ("pass", "inconclusive")
    for name in ("same-label-auc", "near-duplicates"):
        finding = found[name].finding
        assert finding.interval is not None and finding.interval.high < finding.limit
        assert found[name].verdict == "inconclusive"
        assert "not known to tell the classes of the release apart" in found[name].reason


def test_what_such_a_judge_finds_counts() -> None:
    sets = unseen(simulate(WORLD, Leak(), 0))
    vectors = sets.release.vectors.copy()
    vectors[::5] = sets.training.vectors[: len(vectors[::5])]
    sets = dataclasses.replace(sets, release=dataclasses.replace(sets.release, vectors=vectors))
    found = by_name(run_checks([sets], None, only("near-duplicates", limit=0.001)))
    assert (found["judge-release"].verdict, found["near-duplicates"].verdict) == ("inconclusive", "fail")


def test_one_image_of_each_class_does_not_show_that_the_judge_sees(small_sets: JudgedSets) -> None:
    firsts = np.unique(small_sets.release.class_index, return_index=True)[1]
    sets = dataclasses.replace(small_sets, release=subset(small_sets.release, firsts))
    found = run_checks([sets], None, only("near-duplicates", limit=0.5))
    assert found.verdict == "inconclusive"
    assert "no two images of one class" in by_name(found)["near-duplicates"].reason


def test_without_a_control_group_its_checks_cannot_pass(small_sets: JudgedSets) -> None:
    found = by_name(
        run_checks([dataclasses.replace(small_sets, control=None)], None, load_policy("strict"), trials=2)
    )
    for name in ("nearest-neighbour-1e-2", "nearest-neighbour-1e-3", "near-duplicates", "exposure"):
        assert (found[name].verdict, found[name].reason) == ("inconclusive", NO_CONTROL)
    assert found["near-duplicates-pixels"].reason == NO_PIXELS
    assert found["membership-auc"].verdict == "inconclusive"


def test_a_pass_needs_to_find_what_is_planted(small_sets: JudgedSets) -> None:
    """The same faces pass a loose limit, unless the copies that are planted cannot be recognised."""
    policy = only("near-duplicates", limit=0.004)
    world = dataclasses.replace(WORLD, classes=150, control=250)
    sets = simulate(world, Leak(), 0)
    assert run_checks([sets], None, policy).verdict == "pass"
    assert sets.copies is not None
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((40, 64)))
    unseen = derived(vectors, np.zeros(40, np.int64), sets.training)
    blind = dataclasses.replace(sets, copies=AlteredCopies(unseen, simulated=True))
    found = by_name(run_checks([blind], None, only("nearest-neighbour-1e-3", limit=0.004)))[
        "nearest-neighbour-1e-3"
    ]
    assert found.verdict == "inconclusive" and found.reason.startswith("no power: with 1.0% of the release")


def test_not_one_copy_is_tolerated_that_no_stranger_comes_as_near_as() -> None:
    """Three of 3,000 images: their share is below the limit, and so is its interval."""
    policy = only("near-duplicates", limit=0.004)
    sets = simulate(dataclasses.replace(WORLD, classes=150, control=250), Leak(), 0)
    vectors = sets.release.vectors.copy()
    vectors[[7, 1000, 2500]] = sets.training.vectors[[3, 500, 800]]
    copied = dataclasses.replace(sets, release=dataclasses.replace(sets.release, vectors=vectors))
    clean, found = (by_name(run_checks([each], None, policy))["near-duplicates"] for each in (sets, copied))
    assert clean.verdict == "pass" and clean.finding.facts["beyond_strangers"]["images"] == 0
    assert found.finding.interval is not None and found.finding.interval.high < 0.004
    assert found.verdict == "inconclusive" and found.reason.startswith("3 images are as near to a training image")
    listed = found.finding.facts["beyond_strangers"]["listed"]
    assert {each["key"] for each in listed} == {sets.release.keys[i] for i in (7, 1000, 2500)}


def test_a_handful_of_planted_images_proves_no_power() -> None:
    policy = only("near-duplicates", limit=0.004)
    sets = simulate(dataclasses.replace(WORLD, classes=150, control=250), Leak(), 0)
    assert sets.copies is not None
    few = AlteredCopies(subset(sets.copies.faces, np.arange(5)), simulated=True)
    found = run_checks([dataclasses.replace(sets, copies=few)], None, policy)
    assert found.verdict == "inconclusive"


def held_out(sets: JudgedSets, remembered: bool) -> JudgedSets:
    """Half of the training images become held-out ones; the release is near the others, if remembered."""
    training, rng = sets.training, np.random.default_rng(1)
    half = np.arange(len(training)) % 2 == 0

    def some(kept: np.ndarray, prefix: str) -> EmbeddingSet:
        keys = tuple(f"{prefix}{i}" for i in np.flatnonzero(kept))
        return dataclasses.replace(
            training,
            keys=keys,
            class_index=training.class_index[kept],
            vectors=training.vectors[kept],
            image_sha256=keys,
        )

    inside, outside = some(half, "i"), some(~half, "o")
    release = sets.release
    if remembered:
        sources = rng.integers(len(inside), size=len(release))
        noise = 0.5 * rng.standard_normal(release.vectors.shape) / 8
        release = dataclasses.replace(release, vectors=unit(inside.vectors[sources] + noise))
    return dataclasses.replace(sets, release=release, training=inside, held_out=outside, copies=None)


def test_membership() -> None:
    sets = simulate(World(classes=80, images=10, authentic=10), Leak(), 3)
    policy = only("membership-auc", "membership-tpr", limit=0.56, control=False)
    assert verdicts(run_checks([held_out(sets, False)], None, policy))["membership-auc"] != "fail"
    policy = dataclasses.replace(policy, checks={**policy.checks, "membership-tpr": Limit(0.005, True)})
    found = verdicts(run_checks([held_out(sets, True)], None, policy))
    assert found["membership-auc"] == "fail" and found["membership-tpr"] == "fail"


def test_an_identical_file_fails(small_sets: JudgedSets) -> None:
    digests = list(small_sets.release.image_sha256)
    digests[7] = small_sets.training.image_sha256[3]
    release = dataclasses.replace(small_sets.release, image_sha256=tuple(digests))
    policy = only("identical-files", limit=0.0)
    assert run_checks([small_sets], None, policy).verdict == "pass"
    found = run_checks([dataclasses.replace(small_sets, release=release)], None, policy)
    assert found.verdict == "fail"
    assert by_name(found)["identical-files"].finding.facts == {"images": 1000, "identical": 1}


def test_training_people_in_the_control_group_are_refused(small_sets: JudgedSets) -> None:
    policy = only("nearest-neighbour-1e-2", limit=0.005)
    assert small_sets.control is not None
    again = simulate(WORLD, Leak(related=1.0), 0).release  # other images of the training people
    people = dataclasses.replace(small_sets, control=again, names={"control": "faces/control"})
    with pytest.raises(BadInput, match=r"faces/control: \d+ of its people look like people of the training set"):
        run_checks([people], None, policy)
    vectors = small_sets.control.vectors.copy()
    vectors[5] = small_sets.training.vectors[9]
    copied = dataclasses.replace(small_sets, control=dataclasses.replace(small_sets.control, vectors=vectors))
    with pytest.raises(
        BadInput, match=r"1 of its images are images of the training set in another form \(such as 'c000005'"
    ):
        run_checks([copied], None, policy)


def test_training_people_whom_the_judge_hardly_knows_again_are_refused_as_a_crowd(small_sets: JudgedSets) -> None:
    """As turned or blurred images are: no one of them is as near to a training person as that person is."""
    policy = only("nearest-neighbour-1e-2", limit=0.005)
    turned = dataclasses.replace(small_sets, control=simulate(WORLD, Leak(related=0.65), 0).release)
    with pytest.raises(BadInput, match=r"\d+ of its 50 people are nearer to someone of the training set than 90%"):
        run_checks([turned], None, policy)


def test_a_photograph_saved_many_times_is_one_stranger(small_sets: JudgedSets) -> None:
    policy, faces = only("nearest-neighbour-1e-2", limit=0.005), small_sets.control
    assert faces is not None
    few = subset(faces, np.tile(np.arange(0, 960, 30), 12))
    rng = np.random.default_rng(0)
    saved = dataclasses.replace(few, vectors=unit(few.vectors + 0.01 * rng.standard_normal(few.vectors.shape)))
    with pytest.raises(BadInput, match=r"384 of its 384 images are there again in another form \(such as '"):
        run_checks([dataclasses.replace(small_sets, control=saved)], None, policy)
    facts = run_checks([small_sets], None, policy).checks[0].finding.facts
    assert facts["control_images_there_twice"] == 0


def test_people_of_the_release_in_the_control_group_are_refused() -> None:
    """A leaking release that is compared with its own people would leak no more than they do."""
    policy = only("nearest-neighbour-1e-2", limit=0.005)
    sets = simulate(WORLD, Leak(related=0.3), 0)
    noise = 0.6 * np.random.default_rng(0).standard_normal(sets.release.vectors.shape) / 8
    vectors = unit(sets.release.vectors + noise)
    names = tuple(f"c{name}" for name in sets.release.class_names)
    altered = dataclasses.replace(sets.release, vectors=vectors, class_names=names)
    with pytest.raises(BadInput, match=r"its people look like people of the release \('c"):
        run_checks([dataclasses.replace(sets, control=altered)], None, policy)
    same = dataclasses.replace(altered, vectors=unit(sets.release.vectors + 0.1 * noise))
    with pytest.raises(BadInput, match=r"its images are images of the release in another form"):
        run_checks([dataclasses.replace(sets, control=same)], None, policy)


def test_a_control_group_of_another_kind_is_named(small_sets: JudgedSets) -> None:
    policy = only("near-duplicates", "exposure", limit=0.5, control=False)
    for check in run_checks([small_sets], None, policy).checks[2:]:
        assert check.verdict == "pass" and "comparable" not in check.reason
        assert 0.3 < check.finding.facts["bulk"]["control_share_below"] < 0.7
    rng = np.random.default_rng(0)
    vectors = small_sets.training.vectors[rng.integers(len(small_sets.training), size=len(small_sets.release))]
    near = unit(vectors + 0.3 * rng.standard_normal(vectors.shape) / 8)
    copied = dataclasses.replace(small_sets, release=dataclasses.replace(small_sets.release, vectors=near))
    for check in run_checks([copied], None, policy).checks[2:]:
        assert check.verdict == "fail" and check.finding.facts["bulk"]["control_share_below"] > 0.9
        assert check.reason.endswith("of the control images are: a leak, or the control group is not comparable")


def test_few_people_are_shown_by_chance_however_large_the_release() -> None:
    """At the threshold of one in a thousand images of strangers it would be 10 of these 200 people."""
    world = World(classes=200, images=50, control=200, control_images=50, authentic=5)
    policy = only("exposure", limit=0.03, control=False)
    found = {copies: run_checks([simulate(world, Leak(copies), 0)], None, policy) for copies in (0.0, 0.01)}
    check = by_name(found[0.0])["exposure"]
    assert check.verdict == "pass" and check.finding.facts["matched_by_control"] <= 2
    assert check.finding.facts["control_images_matching"] == 1
    assert by_name(found[0.01])["exposure"].verdict == "fail"


@pytest.mark.parametrize(("left_out", "verdict"), [(3, "pass"), (4, "inconclusive")])
def test_training_faces_without_embedding_may_be_the_ones_that_leak(
    small_sets: JudgedSets, left_out: int, verdict: str
) -> None:
    lost = tuple(LeftOut(f"lost{index}", "1", "", "no face found") for index in range(left_out))
    sets = dataclasses.replace(small_sets, training=dataclasses.replace(small_sets.training, left_out=lost))
    policy = only("same-label-auc", "near-duplicates", "exposure", limit=0.6, control=False)
    found = by_name(run_checks([sets], None, policy))
    assert found["same-label-auc"].verdict == "pass"
    assert {found[name].verdict for name in ("near-duplicates", "exposure")} == {verdict}
    said = list(disclosed([check.to_json() for check in found.values()]))
    assert said == [
        f"simulated was not shown {left_out} of {300 + left_out} faces of training, which have no embedding."
    ]
    if verdict == "inconclusive":
        assert found["exposure"].reason.startswith("4 of 304 faces of training have no embedding (more than 1%)")


def test_an_interval_above_the_limit_may_be_one_of_many() -> None:
    """Where a finding alone would be beyond chance, the reason does not say that it is chance."""
    above = Finding("a", "j", "", "", 0.1, interval=Interval(0.3, 0.12, 0.5, "", 9), p_value=0.02)
    others = [
        Finding(f"b{i}", "j", "", "", 0.1, interval=Interval(0, 0, 0.2, "", 9), p_value=1.0) for i in range(3)
    ]
    check = decide([above, *others], frozenset())[0]
    assert check.verdict == "inconclusive"
    assert "not after Holm's correction for 4 checks (p = 0.08)" in check.reason


def test_bulks_that_differ() -> None:
    control = (np.arange(100) / 100).astype(np.float32)
    facts, caveat = compared_in_bulk(np.array([0.0, 0.045, 0.9], np.float32), control)
    assert facts["control_share_below"] == pytest.approx(0.05)
    assert caveat.startswith("half of the release is farther from training than 95% of the control images are")
    assert compared_in_bulk(np.full(5, 0.5, np.float32), control)[1] == ""
    assert compared_in_bulk(control, control)[0]["control_share_below"] == 0.5


def test_the_same_seed_gives_the_same_and_another_another(simulated: Simulated, sound: AuditResult) -> None:
    def statistics(found: AuditResult) -> list[object]:
        return [check.to_json() for check in found.checks]

    assert statistics(simulated()) == statistics(sound)
    assert statistics(simulated(seed=1)) != statistics(sound)


@pytest.mark.parametrize(("fpir", "expected"), [(0.01, 0.99), (0.02, 0.98), (0.001, 0.99)])
def test_thresholds_by_fpir(fpir: float, expected: float) -> None:
    best = np.random.default_rng(0).permutation(np.arange(100) / 100).astype(np.float32)
    assert threshold_at_fpir(best, fpir) == pytest.approx(expected)  # at least one image of the control group
