"""Two audits side by side, such as that of trained classes and that of new identities: one HTML page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sface_data.auditing.certificate import CERTIFICATE, Certificate, load_certificate
from sface_data.auditing.report.html import rendered
from sface_data.auditing.report.page import Row
from sface_data.io.files import write_text
from sface_data.io.seal import sealed

COMPARISON = "comparison.html"
TEMPLATE = "comparison.html.j2"


@dataclass(frozen=True)
class RowPair:
    """One check in both audits; None where an audit did not make it."""

    first: Row | None
    second: Row | None

    @property
    def known(self) -> Row:
        """The row of either, for what both share: name and claim."""
        row = self.first or self.second
        assert row is not None
        return row


def write_comparison(path: Path, certificate: Certificate, other: Path) -> None:
    """Writes the page.

    Args:
        other: folder of the other audit, which has its `certificate.json`.

    Raises:
        BadInput: if the other certificate cannot be read.
    """
    write_text(path, comparison_text(certificate, load_certificate(other / Path(CERTIFICATE).name)))


def comparison_text(first: Certificate, second: Certificate) -> str:
    """The page as HTML, with a seal."""
    return sealed(
        rendered(
            TEMPLATE,
            audits=(first, second),
            rows=list(_pairs(first, second)),
            same_training=_training(first) == _training(second),
            same_policy=first.policy_sha256 == second.policy_sha256,
            same_judges=_judges(first) == _judges(second),
        )
    )


def _pairs(first: Certificate, second: Certificate) -> Iterator[RowPair]:
    """The checks of both, those of one judge beside each other, in the order of the first."""
    sides = [
        {(check["judge"], check["name"]): Row.of(check) for check in certificate.checks}
        for certificate in (first, second)
    ]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        yield RowPair(sides[0].get(key), sides[1].get(key))


def _training(certificate: Certificate) -> str:
    return str(certificate.statement["predicate"]["inputs"]["training"]["sha256"])


def _judges(certificate: Certificate) -> set[str]:
    return {judge["sha256"] for judge in certificate.statement["predicate"]["judges"]}
