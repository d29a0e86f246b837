"""The page: complete, self-contained, and shown by a browser without a request or an error."""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sface_data.auditing.outcome import Outcome
from sface_data.auditing.plain_words import Measured
from sface_data.auditing.report.compare import comparison_text
from sface_data.auditing.report.page import report_text
from sface_data.auditing.report.svg import interval_mark, rate_axis, similarity_axis
from sface_data.release.gate import PICTURES

AXE = Path(os.environ.get("SFACE_DATA_AXE", "nowhere"))  # axe.min.js of the package axe-core of npm
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
]


@pytest.fixture(scope="module")
def page(outcome: Outcome) -> str:
    return report_text(outcome)


with_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to show the page")


class Resources(HTMLParser):
    """What a page would load or run, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data", "action") and not (value or "").startswith(
                ("data:", "#")
            ):
                self.found.append(f"{tag} {name}={value}")
            assert not name.startswith("on"), f"{tag} {name}"
        assert tag not in ("script", "iframe", "object", "embed", "form"), tag
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_loads_and_runs_nothing(page: str) -> None:
    parser = Resources()
    parser.feed(page)
    assert parser.found == [] and parser.open == []
    assert "http:" not in page and "https:" not in page and "@import" not in page and "url(" not in page
    assert "default-src 'none'" in page


def test_text_of_others_is_shown_and_does_nothing(outcome: Outcome) -> None:
    """Names of files and policies come from others: they may hold marks of direction, controls, or markup."""
    statement = json.loads(outcome.certificate.to_bytes())
    statement["predicate"]["in_words"] = "fine\u202e\x1b[2J<script>"
    statement["predicate"]["judges"][0]["name"] = "judge\u200f\n\x00.onnx"
    certificate = dataclasses.replace(outcome.certificate, statement=statement)
    page = report_text(dataclasses.replace(outcome, certificate=certificate))
    assert "fine\\u202e\\x1b[2J&lt;script&gt;" in page
    assert "judge\\u200f\\n\\x00.onnx" in page
    assert all(line.isprintable() for line in page.split("\n"))


def test_publish_sees_no_pictures_in_it(page: str) -> None:
    assert PICTURES.search(page.encode()) is None


def test_it_says_what_the_certificate_says(page: str, outcome: Outcome) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert text.index("This release leaks identities") < text.index("What could not be decided")
    assert outcome.certificate.sha256 in text
    for check in outcome.result.checks:
        assert check.finding.name in text and check.reason[1:40].replace("'", "&#39;") in text
    for sentence in outcome.certificate.findings:
        assert sentence in text
    for sentence in outcome.certificate.statement["predicate"]["not_said"]:
        assert sentence[:40] in text
    for word in (
        "Glossary",
        "FPIR",
        "All checks",
        "The three risks",
        "positive control",
        "The same inputs, judges and policy",
    ):
        assert word in text
    assert page.count("<figure>") == 4 and "photographs of people from the training set" not in page


def test_the_same_audit_gives_the_same_page(page: str, outcome: Outcome) -> None:
    assert report_text(outcome) == page


def test_pairs_of_embeddings_cannot_be_shown(outcome: Outcome) -> None:
    assert "only embeddings and no images to show" in report_text(outcome, show_pairs=True)


def test_names_from_outside_cannot_write_into_the_page(outcome: Outcome) -> None:
    from dataclasses import replace

    name = "<script>alert(1)</script>"
    checks = [replace(c, reason=name, finding=replace(c.finding, claim=name)) for c in outcome.result.checks]
    changed = replace(outcome, result=replace(outcome.result, checks=tuple(checks)))
    assert "<script" not in report_text(changed)


SCALE = Measured("", "", "", lambda value: f"{value:.3f}", 1.0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.05), (0.05, 0.2), (0.2, np.inf), (-np.inf, 0.2)])
@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_a_picture_of_an_interval_has_a_scale_and_the_colour_of_the_verdict(
    low: float, high: float, verdict: str
) -> None:
    picture = interval_mark(min(max(low, 0) + 0.01, 1), low, high, 0.1, verdict, SCALE)
    assert (
        f'class="interval {verdict}"' in picture
        and "nan" not in picture
        and "inf" not in picture.replace("inconclusive", "")
    )
    assert ">0.100</text>" in picture


def test_a_pass_without_proof_of_power_is_not_shown_as_one(outcome: Outcome) -> None:
    statement = json.loads(outcome.certificate.to_bytes())
    statement["predicate"]["verdict"] = "pass"
    assert '<div class="verdict pass">' in report_text(with_statement(outcome, statement))
    statement["predicate"]["policy"]["content"]["positive-control"] = None
    page = report_text(with_statement(outcome, statement))
    assert '<div class="verdict pass limited">' in page and "which is no statement on privacy" in page


def with_statement(outcome: Outcome, statement: dict[str, Any]) -> Outcome:
    return dataclasses.replace(outcome, certificate=dataclasses.replace(outcome.certificate, statement=statement))


def test_a_reader_who_does_not_see_is_told_everything(page: str) -> None:
    """Headings in order, headers of columns, and words for every drawing that is not beside its numbers."""
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.count("<th ") == page.count('<th scope="col">') > 0
    for drawing in re.findall(r"<svg [^>]*>", page):
        assert 'aria-hidden="true"' in drawing or 'role="img" aria-label="' in drawing
    assert '<html lang="en">' in page and "<title>" in page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_of_text_stand_out(page: str, theme: str) -> None:
    """A ratio of 4.5 to 1 or more (WCAG 2.1, criterion 1.4.3)."""
    blocks = re.findall(r":root {(.*?)}", page, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[theme == "dark"]))
    for ink in ("ink", "soft", "pass", "fail", "inconclusive", "a"):
        assert contrast(colours[ink], colours["paper"]) >= 4.5, ink
    for verdict in ("pass", "fail", "inconclusive"):
        assert contrast(colours["verdict-ink"], colours[verdict]) >= 4.5, verdict


def contrast(first: str, second: str) -> float:
    """Of two colours, as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_two_audits_side_by_side(outcome: Outcome) -> None:
    statement = json.loads(outcome.certificate.to_bytes())
    statement["predicate"]["inputs"]["training"]["sha256"] = "0" * 64
    statement["predicate"]["checks"] = statement["predicate"]["checks"][1:]
    other = with_statement(outcome, statement).certificate
    page = comparison_text(outcome.certificate, other)
    parser = Resources()
    parser.feed(page)
    assert parser.found == [] and parser.open == []
    assert page.count("not made</td>") == 1 and "other training sets" in page
    assert "not audited alike" not in comparison_text(outcome.certificate, outcome.certificate)
    assert page.count(f'<span class="name">{outcome.certificate.checks[1]["name"]}</span>') == 1


def test_axes() -> None:
    axis = similarity_axis(-0.13, 0.95)
    assert (axis.low, axis.high) == (-0.2, 1.0) and axis.fraction([-0.2, 0.4, 3.0]) == pytest.approx([0, 0.5, 1])
    assert rate_axis("FMR", 1e-4).fraction([1e-4, 1e-2, 1.0, 0.0]).tolist() == [0, 0.5, 1, 0]


def shown(page: str, folder: Path, width: int) -> tuple[Path, str]:
    """A screenshot of a page, and what the browser wrote."""
    assert CHROMIUM is not None
    (folder / "report.html").write_text(page, encoding="utf-8")
    shot = folder / "shot.png"
    command = [CHROMIUM, *FLAGS, "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},1600", f"--screenshot={shot}", (folder / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert shot.is_file(), done.stderr
    return shot, done.stderr


@with_chromium
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it(page: str, tmp_path: Path, width: int) -> None:
    shot, written = shown(page, tmp_path, width)
    assert "CONSOLE" not in written, written
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    red = np.mean((pixels[:, 0] > 150) & (pixels[:, 1] < 70) & (pixels[:, 2] < 70))
    dark = np.mean(pixels.max(axis=1) < 90)
    assert red > 0.02 and dark > 0.005, "neither verdict nor text is to be seen"


@with_chromium
@pytest.mark.parametrize(
    "tag",
    ['<img src="https://example.invalid/a.png">', "<script>1</script>", '<link rel=stylesheet href="//a.b/c">'],
)
def test_the_page_forbids_requests_and_scripts_and_the_browser_would_say_so(
    page: str, tag: str, tmp_path: Path
) -> None:
    """So that silence in the test above means that nothing was asked for."""
    _, written = shown(page.replace("</main>", tag + "</main>"), tmp_path, 1200)
    assert "CONSOLE" in written and "Content Security Policy" in written


@with_chromium
@pytest.mark.skipif(not AXE.is_file(), reason="SFACE_DATA_AXE names no axe.min.js")
@pytest.mark.parametrize("which", ["report", "comparison"])
def test_axe_finds_nothing_that_would_keep_anybody_from_reading_it(
    page: str, outcome: Outcome, which: str, tmp_path: Path
) -> None:
    assert CHROMIUM is not None
    text = page if which == "report" else comparison_text(outcome.certificate, outcome.certificate)
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    run = (
        "axe.run().then(found => { document.body.textContent = 'found ' + JSON.stringify("
        "found.violations.map(one => [one.id, one.nodes.map(at => at.html)])) + ' of ' + found.passes.length; })"
    )
    script = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{run}</script>"
    (tmp_path / "page.html").write_text(text.replace("</body>", script + "</body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000"]
    command += ["--dump-dom", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    found = re.search(r"found (.*) of (\d+)", dom)
    assert found is not None and found[1] == "[]" and int(found[2]) > 15, dom
