"""The report: one HTML page that explains a certificate. It loads nothing and runs nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sface_data.auditing.evidence import Evidence
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.plain_words import (
    KIND,
    RISKS,
    Risk,
    StoredCheck,
    finite,
    measured,
    people_with_a_near_image,
    undecided,
)
from sface_data.auditing.report.html import rendered
from sface_data.auditing.report.pairs import Pair, closest_pairs
from sface_data.auditing.report.plots import nearness_plot, plots_of
from sface_data.auditing.report.svg import Plot, interval_mark
from sface_data.auditing.verdict import JUDGE, JUDGE_RELEASE, KNOWN_JUDGES, Check
from sface_data.io.files import write_text
from sface_data.io.seal import sealed

TEMPLATE = "report.html.j2"
PAIRS = "pairs.html"  # the only page with photographs
_KINDS = {
    "altered": "altered copies",
    "simulated": "simulated copies",
    "other": "other photographs",
    "classes": "whole classes",
}


@dataclass(frozen=True)
class Row:
    """A check as a page shows it."""

    check: StoredCheck
    value: str
    reach: str
    limit: str
    picture: str

    @classmethod
    def of(cls, check: StoredCheck) -> "Row":
        """A row of a check as it stands in a certificate."""
        shown = measured(check)
        picture = ""
        if check["statistic"] is not None:
            low, value, high = (finite(check["statistic"][part]) for part in ("low", "value", "high"))
            picture = interval_mark(value, low, high, check["limit"], check["verdict"], shown)
        return cls(check, shown.value, shown.reach, shown.limit, picture)


@dataclass(frozen=True)
class Section:
    """The checks of one risk, or those of the judges themselves."""

    name: str
    question: str
    rows: tuple[Row, ...]

    def counted(self) -> str:
        """How many checks pass, fail, or are open, in words."""
        verdicts = [row.check["verdict"] for row in self.rows]
        counts = [(verdicts.count(verdict), verdict) for verdict in ("fail", "inconclusive", "pass")]
        words = {"fail": "failed", "inconclusive": "inconclusive", "pass": "passed"}
        return ", ".join(f"{count} {words[verdict]}" for count, verdict in counts if count) or "not looked at"

    @property
    def verdict(self) -> str:
        """`fail` if any check fails, `pass` if all that are needed pass, else `inconclusive`."""
        verdicts = [row.check["verdict"] for row in self.rows]
        needed = [row.check["verdict"] for row in self.rows if row.check["needed"]]
        if "fail" in verdicts:
            return "fail"
        return "pass" if needed and set(needed) == {"pass"} else "inconclusive"


@dataclass(frozen=True)
class JudgePage:
    """What the page shows of one judge."""

    name: str
    plots: tuple[Plot, ...]
    power: tuple[dict[str, Any], ...]
    disguises: tuple[dict[str, Any], ...]
    pairs: tuple[Pair, ...]


def write_report(path: Path, outcome: Outcome, show_pairs: bool = False) -> None:
    """Writes the page.

    Args:
        show_pairs: with the closest pairs of each judge: photographs of people from training are in it then.

    Raises:
        BadInput: if it cannot be written.
    """
    write_text(path, report_text(outcome, show_pairs))


def report_text(outcome: Outcome, show_pairs: bool = False) -> str:
    """The page as HTML, with a seal."""
    certificate, result = outcome.certificate, outcome.result
    pages = [_judge_page(outcome, seen, show_pairs) for seen in result.evidence]
    checks = certificate.checks
    by_pixels = [check for check in result.checks if check.finding.judge == "pixels"]
    page = rendered(
        TEMPLATE,
        certificate=certificate,
        predicate=certificate.statement["predicate"],
        undecided=undecided(checks),
        near_people=list(people_with_a_near_image(checks)),
        risks=[_section(risk, checks) for risk in RISKS],
        sight=_sight(checks),
        judges=pages,
        pixel_plots=[] if result.pixels is None else [nearness_plot(result.pixels, by_pixels)],
        show_pairs=show_pairs,
        no_pairs=show_pairs and not any(page.pairs for page in pages),
    )
    return sealed(page)


def _section(risk: Risk, checks: Sequence[StoredCheck]) -> Section:
    return Section(risk.name, risk.question, tuple(Row.of(check) for check in checks if risk.covers(check)))


def _sight(checks: Sequence[StoredCheck]) -> Section:
    rows = tuple(Row.of(check) for check in checks if check["name"] in (JUDGE, JUDGE_RELEASE, KIND, KNOWN_JUDGES))
    return Section(
        "Whether the judges see", "Can a judge tell people apart, in training and in the release?", rows
    )


def _judge_page(outcome: Outcome, seen: Evidence, show_pairs: bool) -> JudgePage:
    name = seen.sets.judge
    checks = [check for check in outcome.result.checks if check.finding.judge == name]
    pairs = closest_pairs(outcome, seen) if show_pairs else ()
    return JudgePage(name, plots_of(seen, checks), tuple(_power(checks)), tuple(_disguises(checks)), pairs)


def _disguises(checks: Sequence[Check]) -> Iterator[dict[str, Any]]:
    """Of each disguise what `checks.views` says."""
    for check in checks:
        yield from check.finding.facts.get("disguises", ())


def _power(checks: Sequence[Check]) -> list[dict[str, Any]]:
    rows = []
    for check in checks:
        for planting in check.finding.facts.get("planted", []):
            of = {
                "check": check.finding.name,
                "relation": check.finding.relation,
                "kind": _KINDS[planting["kind"]],
            }
            rows.append({**planting, **of, "in_trials": _in_trials(planting["demand"], planting["caught"])})
    return rows


def _in_trials(demand: str, caught: float) -> str:
    """In how many trials what was planted had which effect."""
    return f"{'failed' if demand == 'fail' else 'stopped a pass'} in {100 * caught:.0f} % of trials"
