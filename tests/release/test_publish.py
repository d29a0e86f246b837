"""`sface-data publish`: what is refused, what is uploaded, and what a client then loads."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sface_data.auditing.policy import load_policy, policy_path
from sface_data.dataset.manifest import Manifest
from sface_data.dataset.shard_reader import read_shard
from sface_data.errors import CheckFailed
from sface_data.io.images import decode_image
from sface_data.release.card import NOTICE
from sface_data.release.datasheet import MARKER, QUESTIONS
from sface_data.release.gate import Candidate
from sface_data.release.hub import Destination, _check_upload
from tests.release.certificates import certify
from tests.release.loopback_hub import READER, WRITER, LoopbackHub, Stall, loopback_hub

Run = Callable[..., tuple[int, str, str]]
FILES = [
    *("CITATION.cff", "DATASHEET.md", "LICENSE", "README.md", "_info.json", "croissant.json"),
    *("data/train-000000.tar", "data/train-000001.tar", "data/train-000002.tar", "manifest.json", "preview.png"),
]
# The client itself is warned of how it sends large files.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
SHARDS = [name for name in FILES if name.endswith(".tar")]
REASON = ["--without-certificate", "for a test"]
BEGIN = "<!-- sface-data:begin notice -->\n"


@pytest.fixture
def folder(dataset: Path, tmp_path: Path) -> Path:
    """A data set whose datasheet was answered."""
    folder = shutil.copytree(dataset, tmp_path / "faces")
    sheet = folder / "DATASHEET.md"
    lines = ["Ada." if line.startswith(MARKER) else line for line in sheet.read_text().splitlines()]
    sheet.write_text("\n".join(lines) + "\n")
    return folder


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def refused(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Publishes what must be refused before the hub is asked for anything; returns the one sentence."""
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.setattr(
        "sface_data.release.publish.upload", lambda *arguments: pytest.fail("it would be uploaded")
    )

    def call(code: int, *options: str, repo: str = "org/faces") -> str:
        before = tree(folder)
        found, output, errors = run("publish", folder, "--repo", repo, *options)
        assert (found, output) == (code, "")
        assert tree(folder) == before
        lines = errors.splitlines()
        assert len(lines) == 1 and lines[0].startswith("sface-data: ")
        return lines[0].removeprefix("sface-data: ")

    return call


@pytest.mark.parametrize(
    "repo",
    ["faces", "", "org/", "/faces", "org/faces/more", "org/fa ces", "org/fa--ces", "../faces", "org/faces.git"],
)
def test_a_wrong_name_of_a_repository(refused: Callable[..., str], repo: str) -> None:
    assert refused(2, *REASON, repo=repo).startswith(f"{repo!r} is not the name of a repository; write ORG/NAME")


@pytest.mark.parametrize("branch", ["", "a b", "-x", "a..b", "a/", "a.lock", "ä"])
def test_a_wrong_name_of_a_branch(refused: Callable[..., str], branch: str) -> None:
    assert refused(2, *REASON, "--revision", branch).startswith(f"{branch!r} is not the name of a branch")


def test_no_token(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    assert refused(2, *REASON) == "no token for the hub; log in with `hf auth login`, or set the variable HF_TOKEN"


def test_no_data_set(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    code, _, errors = run("publish", tmp_path, "--repo", "org/faces")
    assert code == 2
    assert "no finished data set" in errors


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "data/embeddings.parquet", "authentic/0/0.jpg", ".hidden", "README.md.old", "audit/more.jpg"],
)
def test_stray_files(refused: Callable[..., str], folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("stray")
    (folder / "zzz").write_text("another")
    sentence = refused(1, *REASON)
    assert sentence.startswith(str(folder / Path(name).parts[0]))
    assert "more: not part of the data set; move it out of the folder" in sentence


def test_links_to_folders(refused: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    """The client would not follow them, and what they lead to would be missing on the hub."""
    (folder / "data").rename(tmp_path / "elsewhere")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    assert refused(1, *REASON) == f"{folder / 'data'}: not part of the data set; move it out of the folder"


def test_a_missing_file(refused: Callable[..., str], folder: Path) -> None:
    (folder / "croissant.json").unlink()
    assert refused(1, *REASON).startswith(f"{folder / 'croissant.json'}: missing; `sface-data validate")


def test_no_certificate(refused: Callable[..., str], folder: Path) -> None:
    assert refused(1).startswith(f"{folder}: no certificate; run `sface-data audit`, or say with --without-cert")


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_a_certificate_that_does_not_pass(refused: Callable[..., str], folder: Path, verdict: str) -> None:
    path = certify(folder, verdict)
    assert refused(1).startswith(f"{path}: the verdict is `{verdict}`, not `pass`")


def test_a_certificate_under_another_policy(refused: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    lax = tmp_path / "lax.toml"
    text = policy_path("paper").read_text()
    lax.write_text(text.replace('name = "paper"', 'name = "lax"'))
    for policy, words in ((str(lax), "the custom policy `lax`"), ("paper", "the policy `paper` that ships")):
        path, sha256 = certify(folder, policy=policy), load_policy(policy).sha256
        assert refused(1).startswith(
            f"{path}: passes under {words} ({sha256[:12]}), not under the `strict` or `standard`"
        )
        assert f"under {words}\n(`sha256:{sha256}`)" in (folder / "README.md").read_text()
        assert (
            Candidate.at(folder, "for a test")
            .checked()[1]["README.md"]
            .split("\n---\n\n", 1)[1]
            .startswith(f"{BEGIN}{NOTICE}")
        )
    for policy in ("strict", "standard"):  # those need no reason
        certify(folder, policy=policy)
        Candidate.at(folder).checked()
        assert Candidate.at(folder).policy == f"the policy `{policy}` that ships"


def test_an_audit_against_other_people_than_the_generator_knows(refused: Callable[..., str], folder: Path) -> None:
    path = certify(folder, training="others")
    assert refused(1).startswith(f"{path}: compares with other faces than those that the generator's file says")
    assert NOTICE in Candidate.at(folder, "they were encoded anew").checked()[1]["README.md"]


def test_a_certificate_that_was_edited(refused: Callable[..., str], folder: Path) -> None:
    path = certify(folder, "fail")
    path.write_text(path.read_text().replace('"verdict":"fail"', '"verdict":"pass"'))
    for options in ([], REASON):
        sentence = refused(1, *options)
        assert sentence.startswith(f"{path}: was changed after it was written; it certifies nothing; ")
        assert f"audit the data set again, or remove {path.parent}" in sentence


def test_a_certificate_of_other_bytes(refused: Callable[..., str], folder: Path) -> None:
    """One changed byte in a shard is enough."""
    path = certify(folder)
    data = bytearray((folder / SHARDS[1]).read_bytes())
    data[-1] ^= 1
    (folder / SHARDS[1]).write_bytes(data)
    for options in ([], REASON):
        assert refused(1, *options).startswith(f"{path}: was made for another {SHARDS[1]} (")


def test_a_report_with_pictures(refused: Callable[..., str], folder: Path) -> None:
    certify(folder)
    report = folder / "audit" / "report.html"
    for picture in ('<img src="x">', "<IMG src=x>", "url(DATA:Image/jpeg;base64,AAAA)", "< image href='x'/>"):
        report.write_text(picture)
        assert refused(1) == f"{report}: shows pictures, which may be of people; run `sface-data audit` again"


def test_a_reason_that_is_empty_or_not_needed(refused: Callable[..., str], folder: Path) -> None:
    assert "needs a reason" in refused(2, "--without-certificate", " \n ")
    path = certify(folder)
    assert refused(2, *REASON) == f"{path}: passes; leave out --without-certificate"


def test_questions_that_wait(refused: Callable[..., str], folder: Path, dataset: Path) -> None:
    shutil.copy(dataset / "DATASHEET.md", folder)
    sentence = refused(1, *REASON)
    assert sentence.startswith(
        f"{folder / 'DATASHEET.md'}: 6 questions wait for an answer, the first: Who created"
    )


def test_one_changed_byte(refused: Callable[..., str], folder: Path) -> None:
    data = bytearray((folder / SHARDS[1]).read_bytes())
    data[-1] ^= 1
    (folder / SHARDS[1]).write_bytes(data)
    sentence = refused(1, *REASON)
    assert sentence.startswith(f"{folder}: not valid, so not published: {SHARDS[1]}: its SHA-256 is ")


def test_a_card_that_contradicts_the_manifest(refused: Callable[..., str], folder: Path) -> None:
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("60 images of 10", "61 images of 10"))
    assert "README.md: its block `counts` is not what manifest and certificate say" in refused(1, *REASON)


def test_a_dry_run(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs neither token nor network."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda **options: pytest.fail("the hub would be asked"))
    before = tree(folder)
    code, output, errors = run("publish", folder, "--repo", "org/faces", *REASON, "--private", "--dry-run")
    assert code == 0
    assert [line.split()[-1] for line in output.splitlines()] == FILES
    sizes = [int(line.split()[0].replace(",", "")) for line in output.splitlines()]
    assert sizes == [(folder / name).stat().st_size for name in FILES]
    what = f"{folder}: 11 files, {sum(sizes):,} bytes"
    assert errors.splitlines()[-1] == (f"{what} would go to org/faces, branch main, private; nothing was uploaded")
    assert tree(folder) == before
    assert run("publish", folder, "--repo", "org/faces", "--dry-run")[0] == 1


def test_a_dry_run_names_all_that_is_in_the_way(run: Run, folder: Path, dataset: Path) -> None:
    shutil.copy(dataset / "DATASHEET.md", folder)
    (folder / "notes.txt").write_text("stray")
    data = bytearray((folder / SHARDS[1]).read_bytes())
    data[-1] ^= 1
    (folder / SHARDS[1]).write_bytes(data)
    before = tree(folder)
    code, output, errors = run("publish", folder, "--repo", "org/faces", "--dry-run")
    assert (code, output) == (1, "")
    found = [line.removeprefix("sface-data: ").removeprefix(str(folder)) for line in errors.splitlines()]
    starts = [
        "/notes.txt: not part",
        ": no certificate; ",
        "/DATASHEET.md: 6 questions",
        ": not valid, so not publ",
    ]
    assert [line[: len(start)] for line, start in zip(found, starts, strict=True)] == starts
    assert tree(folder) == before


def test_the_certificate_is_asked_for_before_the_token(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    code, _, errors = run("publish", folder, "--repo", "org/faces")
    assert code == 1 and ": no certificate; run" in errors
    code, _, errors = run("publish", folder, "--repo", "org/faces", *REASON)
    assert code == 2 and "no token for the hub" in errors


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub for commands that run in this process."""
    with loopback_hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield hub


def test_what_the_hub_refuses(hub: LoopbackHub, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sentence(repo: str = "org/faces", *options: str) -> str:
        before = tree(folder)
        code, output, errors = run("publish", folder, "--repo", repo, *REASON, *options)
        assert (code, output) == (2, "")
        assert tree(folder) == before
        assert "hf_" not in errors
        start = f"sface-data: {repo}: "
        assert errors.splitlines()[-1].startswith(start)
        return errors.splitlines()[-1].removeprefix(start)

    for token in ("hf_unknown", "hf_unsendable_\u0142"):
        monkeypatch.setenv("HF_TOKEN", token)
        assert "token" in sentence() or "upload failed" in sentence()
    monkeypatch.setenv("HF_TOKEN", READER)
    assert sentence() == "the token may not write there; use one that may, or another name"
    monkeypatch.setenv("HF_TOKEN", WRITER)
    assert sentence("other/faces") == "the token may not write there; use one that may, or another name"
    hub.status = {"/api/repos/create": 500}
    assert sentence().startswith("the hub answers with status 500; what was uploaded is kept: run")
    hub.status = {"/api/datasets": 404}
    assert sentence() == "the hub does not know it, or does not show it to the owner of the token"
    assert hub.stored == []
    assert all(list(repo.branches["main"]) == [".gitattributes"] for repo in hub.repos.values())


ANSWERS = "".join(f'{name} = "Ada {name}."\n' for name in QUESTIONS)


def test_answers_from_a_file(hub: LoopbackHub, run: Run, folder: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copy(dataset / "DATASHEET.md", folder)
    (tmp_path / "answers.toml").write_text(ANSWERS)
    command = ["publish", folder, "--repo", "org/faces", *REASON, "--answers", tmp_path / "answers.toml"]
    before = tree(folder)
    assert run(*command, "--dry-run")[0] == 0
    assert tree(folder) == before
    assert run(*command)[0] == 0
    sheet = (folder / "DATASHEET.md").read_text()
    assert hub.repos["org/faces"].branches["main"]["DATASHEET.md"] == sheet.encode()
    assert f"### {QUESTIONS['ethics']}\n\nAda ethics.\n\n## Preprocessing" in sheet
    assert MARKER not in sheet and run("validate", folder)[0] == 0
    other = ANSWERS.replace("Ada", "Bob")
    (tmp_path / "answers.toml").write_text(other)
    assert run(*command)[0] == 0
    assert (folder / "DATASHEET.md").read_text() == sheet  # what is answered stays


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ANSWERS.replace("ethics", "ethnics"), "no question is called 'ethnics'; the questions are creators, "),
        (ANSWERS.split("\n", 2)[2], "has no answer to creators, training_data; write one for each"),
        (ANSWERS.replace('"Ada uses."', "5"), "the answer to uses is no text"),
        (ANSWERS.replace("Ada uses.", " "), "the answer to uses is no text"),
        (ANSWERS.replace('"Ada uses."', '"""\n# None\n"""'), "the answer to uses has a heading"),
        (ANSWERS.replace("Ada uses.", " # sface-data:end"), "the answer to uses has a heading"),
        (
            ANSWERS.replace("Ada uses.", "<!-- sface-data:end -->"),
            "the answer to uses has a heading or an open mark",
        ),
        ("creators = ", "not a TOML file"),
    ],
)
def test_answers_that_cannot_be_used(
    refused: Callable[..., str], tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(text)
    assert refused(2, *REASON, "--answers", str(path)).startswith(f"{path}: {sentence}")


def test_texts_are_checked_as_they_go_out(folder: Path, dataset: Path) -> None:
    shutil.copy(dataset / "DATASHEET.md", folder)
    marks = dict.fromkeys(QUESTIONS.values(), "Ada\n\n<!-- sface-data:end -->")
    with pytest.raises(CheckFailed, match=r"DATASHEET\.md: as it would go out, a line `sface-data:end` has no"):
        Candidate.at(folder, "for tests", marks).checked()


def test_a_card_that_the_hub_refuses(hub: LoopbackHub, run: Run, folder: Path) -> None:
    hub.status = {"/api/validate-yaml": 400}
    code, _, errors = run("publish", folder, "--repo", "org/faces", *REASON)
    assert code == 2
    assert errors.splitlines()[-1].startswith("sface-data: org/faces: ")
    assert "README.md" not in hub.repos["org/faces"].branches["main"]
    hub.status = {}
    assert run("publish", folder, "--repo", "org/faces", *REASON)[0] == 0


def test_no_network(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback_hub() as hub:
        endpoint = hub.endpoint  # where nobody listens any more after the block
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    before = tree(folder)
    code, _, errors = run("publish", folder, "--repo", "org/faces", *REASON)
    assert code == 2
    assert errors.splitlines()[-1].startswith(f"sface-data: org/faces: the hub at {endpoint} cannot be reached (")
    assert tree(folder) == before


def test_a_repository_with_something_else(hub: LoopbackHub, run: Run, folder: Path) -> None:
    assert run("publish", folder, "--repo", "org/faces", *REASON)[0] == 0
    hub.repos["org/faces"].branches["main"]["data/train-000003.tar"] = b"of a larger data set"
    files = dict(hub.repos["org/faces"].branches["main"])
    code, _, errors = run("publish", folder, "--repo", "org/faces", *REASON)
    assert code == 2
    assert "org/faces: holds data/train-000003.tar, which is not of this data set" in errors
    assert hub.repos["org/faces"].branches["main"] == files


def test_private(hub: LoopbackHub, run: Run, folder: Path) -> None:
    assert run("publish", folder, "--repo", "org/hidden", *REASON, "--private")[0] == 0
    assert hub.repos["org/hidden"].private
    assert run("publish", folder, "--repo", "org/seen", *REASON)[0] == 0
    assert not hub.repos["org/seen"].private
    code, _, errors = run("publish", folder, "--repo", "org/seen", *REASON, "--private")
    assert code == 2
    assert "org/seen: exists already and is public" in errors


@pytest.mark.parametrize("name", ["data/train-000001.tar", "DATASHEET.md", "preview.png"])
@pytest.mark.parametrize("moment", ["checks", "commit", "end"])
def test_files_that_change_after_they_were_checked(
    hub: LoopbackHub, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, moment: str
) -> None:
    """What is uploaded is what was checked: a sentence names the file, and no manifest goes to the hub."""
    from huggingface_hub import HfApi

    from sface_data.release import gate

    def changing(function: Callable[..., object], after: bool) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            found = function(*arguments, **options) if after else None
            with (folder / name).open("r+b") as file:
                file.write(b"\0")
            return found if after else function(*arguments, **options)

        return call

    if moment == "checks":
        monkeypatch.setattr(gate, "validate", changing(gate.validate, after=True))
    elif moment == "commit":
        monkeypatch.setattr(HfApi, "create_repo", changing(HfApi.create_repo, after=False))
    else:
        monkeypatch.setattr(HfApi, "upload_folder", changing(HfApi.upload_folder, after=True))
    code, output, errors = run("publish", folder, "--repo", "org/faces", *REASON)
    assert (code, output) == (1, "")
    start = f"sface-data: {folder / name}: changed after it was checked; the upload has stopped"
    assert errors.splitlines()[-1].startswith(start)
    there = hub.repos["org/faces"].branches["main"] if "org/faces" in hub.repos else {}
    assert "manifest.json" not in there and "README.md" not in there


def test_bytes_that_arrive_otherwise(hub: LoopbackHub, run: Run, folder: Path) -> None:
    """The hub is asked for its digests in the end, of small files too."""
    assert run("publish", folder, "--repo", "org/faces", *REASON)[0] == 0
    release, texts = Candidate.at(folder, "for a test").checked()
    assert texts["README.md"] == (folder / "README.md").read_text()
    files = hub.repos["org/faces"].branches["main"]
    for name in ("LICENSE", "data/train-000000.tar"):
        whole = files[name]
        files[name] = whole[:-1] + bytes([whole[-1] ^ 1])
        from huggingface_hub import HfApi

        with pytest.raises(CheckFailed, match=f"{name} is not there as it was checked here"):
            _check_upload(HfApi(token=WRITER), Destination("org/faces"), release)
        files[name] = whole


def test_links_out_of_the_folder(refused: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    (folder / SHARDS[0]).rename(tmp_path / "shard.tar")
    (folder / SHARDS[0]).symlink_to(tmp_path / "shard.tar")
    assert refused(1, *REASON) == f"{folder / SHARDS[0]}: a link; put the file itself there"


def test_a_branch(hub: LoopbackHub, run: Run, folder: Path) -> None:
    for _ in range(2):
        assert run("publish", folder, "--repo", "org/faces", *REASON, "--revision", "v2/small")[0] == 0
    branches = hub.repos["org/faces"].branches
    assert sorted(branches["v2/small"]) == sorted([".gitattributes", *FILES])
    assert list(branches["main"]) == [".gitattributes"]


def test_the_reason_stands_first_and_goes_with_the_certificate(hub: LoopbackHub, run: Run, folder: Path) -> None:
    clean = (folder / "README.md").read_bytes()
    assert run("publish", folder, "--repo", "org/faces", "--without-certificate", "no\n*time*")[0] == 0
    card = hub.repos["org/faces"].branches["main"]["README.md"].decode()
    prose = card.split("\n---\n\n", 1)[1]
    end = "<!-- sface-data:end -->\n\n# Synthetic faces"
    assert prose.startswith(f"{BEGIN}{NOTICE} The publisher gives the reason: no *time*\n{end}")
    assert (folder / "README.md").read_text() == card
    assert run("validate", folder)[0] == 0
    assert run("publish", folder, "--repo", "org/faces", "--without-certificate", "none")[0] == 0
    card = hub.repos["org/faces"].branches["main"]["README.md"].decode()
    assert card.count(NOTICE) == 1 and "the reason: none\n" in card
    assert run("card", folder)[0] == 0
    assert (folder / "README.md").read_bytes() == clean


def test_a_card_edited_by_hand_keeps_its_prose(hub: LoopbackHub, run: Run, folder: Path) -> None:
    text = (folder / "README.md").read_text() + "\nThanks to all.\n"
    (folder / "README.md").write_text(text)
    assert run("publish", folder, "--repo", "org/faces", *REASON)[0] == 0
    card = hub.repos["org/faces"].branches["main"]["README.md"].decode()
    assert card.endswith("\nThanks to all.\n")
    assert f"{NOTICE} The publisher gives the reason: for a test\n" in card


def test_with_a_certificate_and_results(hub: LoopbackHub, run: Run, folder: Path) -> None:
    record = {"evaluation": 1, "embedder": {"file": "model.onnx", "sha256": "ab" * 32}, "benchmarks": []}
    (folder / "evaluation.json").write_text(json.dumps(record))
    assert run("card", folder)[0] == 0
    certify(folder)
    code, _, errors = run("publish", folder, "--repo", "org/faces")
    assert code == 0, errors
    there = hub.repos["org/faces"].branches["main"]
    assert sorted(there) == sorted([".gitattributes", *FILES, "audit/certificate.json", "evaluation.json"])
    assert all(data == (folder / name).read_bytes() for name, data in there.items() if name != ".gitattributes")
    assert NOTICE.encode() not in there["README.md"]


def test_a_certificate_that_fails_goes_along(hub: LoopbackHub, run: Run, folder: Path) -> None:
    path = certify(folder, "fail")
    assert run("publish", folder, "--repo", "org/faces", *REASON)[0] == 0
    there = hub.repos["org/faces"].branches["main"]
    assert there["audit/certificate.json"] == path.read_bytes()
    card = there["README.md"].decode()
    assert f"{NOTICE} The publisher gives the reason: for a test\n" in card
    assert "**Identity-relation audit: fail.**" in card


def start(hub: LoopbackHub, folder: Path, home: Path, xet: bool) -> subprocess.Popen[str]:
    """Publishes in a process of its own."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": WRITER,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "0" if xet else "1",
    }
    command = [sys.executable, "-m", "sface_data", "publish", str(folder), "--repo", "org/faces", *REASON]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


LOAD = """
import sys
import numpy
from datasets import load_dataset
found = {}
for streaming in (False, True):
    rows = list(load_dataset("org/faces", split="train", streaming=streaming))
    found[f"keys{streaming:d}"] = [row["__key__"] for row in rows]
    found[f"labels{streaming:d}"] = [row["cls"] for row in rows]
    found[f"images{streaming:d}"] = [numpy.asarray(row["jpg"].convert("RGB")) for row in rows]
numpy.savez(sys.argv[1], **found)
"""


def check_loaded(hub: LoopbackHub, folder: Path, tmp_path: Path) -> None:
    """A client that never saw the folder loads by name what is in the folder, mapped and streamed."""
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "client")}
    environment.pop("HF_TOKEN", None)
    command = [sys.executable, "-c", LOAD, str(tmp_path / "loaded.npz")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = {}
    for shard in Manifest.load(folder).shards:
        for sample in read_shard(folder / shard.filename):
            expected[sample.key] = int(sample.members["cls"]), decode_image(sample.members["jpg"], "it")
    loaded = np.load(tmp_path / "loaded.npz")
    for way in "01":
        assert sorted(loaded[f"keys{way}"]) == sorted(expected)
        rows = zip(loaded[f"keys{way}"], loaded[f"labels{way}"], loaded[f"images{way}"], strict=True)
        for key, label, image in rows:
            assert label == expected[key][0]
            assert np.array_equal(image, expected[key][1])


def test_killed_among_the_large_files_resumed_and_loaded(folder: Path, tmp_path: Path) -> None:
    with loopback_hub() as hub:
        hub.stall = Stall("object", passing=1)
        process = start(hub, folder, tmp_path / "home", xet=False)
        assert hub.stall.reached.wait(300)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hub.stall.released.set()
        assert len(hub.stored) == 1
        assert list(hub.repos["org/faces"].branches["main"]) == [".gitattributes"]

        process = start(hub, folder, tmp_path / "home", xet=False)
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert errors.splitlines()[-1] == f"{folder}: published, {hub.endpoint}/datasets/org/faces"
        assert WRITER not in output + errors
        assert len(hub.stored) == len(set(hub.stored)) == 4  # three shards and the preview, each sent once
        there = hub.repos["org/faces"].branches["main"]
        assert sorted(there) == sorted([".gitattributes", *FILES])
        assert all((folder / name).read_bytes() == there[name] for name in FILES)
        assert hub.tokens == {WRITER}
        assert not any(WRITER.encode() in data for data in there.values())
        assert not any(WRITER.encode() in p.read_bytes() for p in (tmp_path / "home").rglob("*") if p.is_file())
        check_loaded(hub, folder, tmp_path)


def test_killed_between_commits_and_resumed(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything in the commits, through the client's other way of uploading."""
    with loopback_hub(lfs=False) as hub:
        hub.stall = Stall("commit", passing=1)
        process = start(hub, folder, tmp_path / "home", xet=True)
        assert hub.stall.reached.wait(300)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        hub.stall.released.set()
        # Nobody takes what is there for a data set: it has neither card nor manifest.
        assert sorted(hub.repos["org/faces"].branches["main"]) == [".gitattributes", *SHARDS]

        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        code, _, errors = run("publish", folder, "--repo", "org/faces", *REASON)
        assert code == 0, errors
        assert all((folder / n).read_bytes() == hub.repos["org/faces"].branches["main"][n] for n in FILES)
        assert [message.partition(":")[0] for message in hub.repos["org/faces"].messages] == ["Shards", "Data set"]
