"""Policies: those that ship, and what is refused."""

from pathlib import Path

import pytest

from sface_data.auditing import policy as module
from sface_data.auditing.policy import CHECKS, load_policy, policy_path
from sface_data.errors import BadInput

STRICT = policy_path("strict").read_text()


def test_strict_demands_every_check_that_needs_no_rare_data() -> None:
    policy = load_policy("strict")
    assert set(policy.checks) == set(CHECKS)
    assert set(CHECKS) - policy.needed == {"membership-auc", "membership-tpr", "same-label-ratio-1e-5"}
    assert policy.positive_control is not None and policy.positive_control.trace == 0.001
    assert min(limit.limit for name, limit in policy.checks.items() if "nearest" in name) <= 0.001


def test_paper_demands_what_the_paper_reports() -> None:
    policy = load_policy("paper")
    assert set(policy.checks) == {"same-label-auc", "same-label-eer"} == set(policy.needed)


def test_the_digest_is_of_the_demands_not_of_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(STRICT.replace("#", "# and "))
    assert load_policy(str(path)).sha256 == load_policy("strict").sha256
    path.write_text(STRICT.replace('name = "strict"', 'name = "ours"').replace("limit = 0.55", "limit = 0.56"))
    assert load_policy(str(path)).sha256 != load_policy("strict").sha256


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("[checks.exposure]", "[checks.exposures]"),
            "unknown key 'exposures' in [checks]; did you mean 'exposure'?",
        ),
        (("auc = 0.90", "acu = 0.90"), "unknown key 'acu' in [judge]; did you mean 'auc'?"),
        (("limit = 0.55\nneeded", "limit = 0.55\nwanted = 1\nneeded"), "unknown key 'wanted'"),
        (("limit = 0.55\nneeded = true", "limit = 0.55"), "'needed' is missing in [checks.same-label-auc]"),
        (
            ("limit = 0.55", 'limit = "0.55"'),
            "`limit` of [checks.same-label-auc] should be a number of at least 0",
        ),
        (("limit = 0.55", "limit = nan"), "should be a number"),
        (("limit = 0.55", "limit = inf"), "should be finite"),
        (("limit = 0.55", "limit = true"), "should be a number"),
        (("needed = true", 'needed = "no"'), "should be true or false"),
        (("\nauc = 0.90", "\nauc = 0.5"), "`auc` of [judge] should be above 0.5"),
        (("release-auc = 0.80", "release-auc = 0.5"), "`release-auc` of [judge] should be above 0.5"),
        (("release-auc = 0.80", ""), "'release-auc' is missing in [judge]"),
        (("policy 1", "policy 9"), "its format is 'sface-data policy 9'"),
        (("trace = 0.001", "trace = 0.1"), "trace <= share"),
        (("name = ", "name = 3 #"), "`name` should be a text"),
        (("[judge]", "judge"), "not a TOML file"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    text = STRICT.replace(*change)
    assert text != STRICT
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        load_policy(str(path))
    assert sentence in str(error.value) and str(path) in str(error.value)


def test_a_policy_that_demands_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(STRICT.replace("needed = true", "needed = false"))
    with pytest.raises(BadInput, match="certifies nothing"):
        load_policy(str(path))
    path.write_text(STRICT[: STRICT.index("[checks.")] + "[checks]\n")
    with pytest.raises(BadInput, match="certifies nothing"):
        load_policy(str(path))


def test_the_name_of_one_that_ships_is_only_for_that(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(STRICT)
    assert load_policy(str(path)).shipped and load_policy("paper").shipped
    path.write_text(STRICT.replace("limit = 0.55", "limit = 0.56"))
    with pytest.raises(BadInput, match=r"policy.toml: is not the 'strict' that ships; give it a `name`"):
        load_policy(str(path))
    path.write_text(STRICT.replace('name = "strict"', 'name = "Strict"'))
    assert not load_policy(str(path)).shipped
    path.write_text(STRICT.replace('name = "strict"', 'name = "**strict**"'))
    with pytest.raises(BadInput, match="`name` should be letters"):
        load_policy(str(path))


def test_an_edited_file_is_not_the_policy_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strict.toml").write_text(STRICT.replace("limit = 0.55", "limit = 0.56"))
    monkeypatch.setattr(module, "policy_path", lambda name: tmp_path / f"{name}.toml")
    with pytest.raises(BadInput, match=r"strict.toml: is not the 'strict' that ships; give it a `name`"):
        load_policy("strict")


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(BadInput, match=r"strickt: no such policy; give one of strict, standard, paper, or"):
        load_policy("strickt")
