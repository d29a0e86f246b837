"""The front matter of a card: what is ours in it, and that nothing in it ends in a traceback."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sface_data.dataset.card import join_card, read_front_matter, split_card
from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.release.contents import write_card
from sface_data.release.front_matter import front_matter
from sface_data.release.validate import validate

Run = Callable[..., tuple[int, str, str]]
HOSTILE = [
    "license: [cc0-1.0]",
    "license: {a: b}",
    "license: 1.5",
    "- a\n- list",
    "just text",
    "12",
    "a: !!timestamp x",
    "a: !!int ''",
    "a: 2020-13-45",
    "a: !!python/object:os.system x",
    "? [1, 2]\n: 3",
    "1: 2",
    "self: 1",
    "ignore_metadata_errors: 1",
    "to_dict: 1",
    "to_yaml: 1",
    "train-eval-index: 3",
    "model-index: 3",
    "configs: 1",
    "dataset_info: [1, 2]",
    "a: &a [*a]",
    "a: [" * 2000,
    'a: "\\ud800"',
    "a: b: c",
    "\ta: b",
    "%YAML 9.9",
    "a: @b",
    "=: 1",
    "<<: 1",
    "<<: [1]",
    "a: 1e999999",
    "a: " + "9" * 5000,
    "a: 0b",
    "a: 0x",
    "a: ._",
    "a: +.inf:",
    "a: 190:20:30.15",
    "a: 2001-12-14t21:59:43.10-99:99",
    "a: 0x" + "f" * 5000,
    "a: " + "[" * 900 + "]" * 900,
]


@pytest.mark.parametrize("yaml", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_front_matter(dataset: Path, tmp_path: Path, run: Run, yaml: str) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    prose = split_card((folder / "README.md").read_text())[1]
    (folder / "README.md").write_text(f"---\n{yaml}\n---\n{prose}")
    before = (folder / "README.md").read_bytes()
    code, _, errors = run("validate", folder)
    assert code == 1 and f"{folder / 'README.md'}: " in errors
    code, _, errors = run("card", folder)
    if code == 2:
        assert errors.startswith(f"sface-data: {folder / 'README.md'}: its front matter cannot be ")
        assert len(errors.splitlines()) == 1
        assert (folder / "README.md").read_bytes() == before
    else:
        assert validate(folder).valid


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("ab01:-[]{}!&*'\"#|>%@,? \n\t.=<~") | st.characters(exclude_categories=["Cs"])))
def test_no_front_matter_ends_in_a_traceback(yaml: str) -> None:
    try:
        facts, prose = split_card(f"---\n{yaml}\n---\nprose")
        if facts:
            assert split_card(join_card(facts, prose))[1] == prose
    except BadInput as error:
        assert "front matter" in str(error)


def test_names_of_people_and_their_order_stay(dataset: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    card = folder / "README.md"
    mine = card.read_text().replace("---\n", "---\n# ours\nlanguage: zxx\nextra_gated_prompt: Ask us.\n", 1)
    mine = mine.replace("pretty_name: Synthetic faces, class-labelled", "pretty_name: Our faces")
    card.write_text(mine)
    assert validate(folder).valid
    assert write_card(folder) == []
    assert card.read_text() == mine  # with the comment
    write_card(folder, licence="cc0-1.0")
    facts = read_front_matter(folder)
    assert list(facts)[:4] == ["language", "extra_gated_prompt", "annotations_creators", "license"]
    assert facts["license"] == "cc0-1.0" and facts["pretty_name"] == "Our faces"
    assert facts["dataset_info"] == read_front_matter(dataset)["dataset_info"]


def test_a_card_that_is_too_large(dataset: Path, tmp_path: Path, run: Run) -> None:
    folder = shutil.copytree(dataset, tmp_path / "faces")
    (folder / "README.md").write_bytes(b"x" * (3 << 20))
    for command in ("card", "validate"):
        code, _, errors = run(command, folder)
        assert code in (1, 2)
        assert f"{folder / 'README.md'}: more than 2,097,152 bytes" in errors


def test_more_names_of_classes_than_the_hub_takes(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    for classes, kind in ((49_999, dict), (50_000, str)):
        plan = dataclasses.replace(manifest.plan, generator_classes=classes)
        facts = front_matter(dataclasses.replace(manifest, plan=plan), "cc0-1.0")
        assert type(facts["dataset_info"]["features"][0]["dtype"]) is kind


def test_it_tells_data_sets_apart_that_differ_in_plan_or_bytes(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    first = dataclasses.replace(manifest.shards[0], sha256="0" * 64)
    others = [
        dataclasses.replace(manifest, plan=dataclasses.replace(manifest.plan, base_seed=1)),
        dataclasses.replace(manifest, shards=(first, *manifest.shards[1:])),
    ]
    infos = [front_matter(one, "cc0-1.0")["dataset_info"]["description"] for one in (manifest, *others)]
    assert len(set(infos)) == 3
