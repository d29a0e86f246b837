"""The site of the documentation is built without a warning, and loads nothing from elsewhere."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_site(tmp_path: Path) -> None:
    site = runpy.run_path(str(ROOT / "scripts" / "make_site"))["make_site"](tmp_path)
    pages = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}
    assert {"index", "docs/certify", "docs/api", "cards/demo_generator"} <= pages
    for page in (site / "index.html", site / "docs" / "certify.html"):
        loaded = re.findall(r'<(?:script|img|link rel="stylesheet")[^>]* (?:src|href)="([^"]*)"', page.read_text())
        assert loaded and not [address for address in loaded if address.startswith("http")]
    assert "Two commands" in (site / "index.html").read_text()
