"""The page: complete, self-contained, and shown by a browser without a request or an error."""

import dataclasses
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sface_data.auditing.outcome import Outcome
from sface_data.auditing.report.page import _number, report_text
from sface_data.auditing.report.svg import interval_mark, rate_axis, similarity_axis
from sface_data.release.gate import PICTURES

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
    for sentence in outcome.certificate.statement["predicate"]["not_said"]:
        assert sentence[:40] in text
    for word in ("Glossary", "FPIR", "How to read this", "positive control", "The same inputs, judges, policy"):
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


@pytest.mark.parametrize(
    ("low", "high", "style"), [(0.0, 0.05, "within"), (0.05, 0.2, "across"), (0.2, np.inf, "beyond")]
)
def test_a_picture_of_an_interval(low: float, high: float, style: str) -> None:
    picture = interval_mark(min(low + 0.01, 1), low, high, 0.1)
    assert f'class="interval {style}"' in picture and "nan" not in picture and "inf" not in picture


@pytest.mark.parametrize(
    ("value", "text"),
    [(float("inf"), "∞"), (-float("inf"), "-∞"), (123456.0, "1.2e+05"), (-2e7, "-2.0e+07"), (99999.0, "99,999")],
)
def test_numbers_are_not_called_infinite_that_are_not(value: float, text: str) -> None:
    assert _number(value) == text


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
