"""What came of an audit: the certificate, and what it was made from."""

from dataclasses import dataclass

from sface_data.auditing.certificate import Certificate
from sface_data.auditing.checks.run import AuditResult
from sface_data.auditing.sets.audit_sets import AuditSets


@dataclass(frozen=True)
class Outcome:
    """An audit that has been made.

    Attributes:
        certificate: what it found, in words and numbers.
        result: the checks with their evidence, by judge.
        sets: the faces that were compared.
    """

    certificate: Certificate
    result: AuditResult
    sets: AuditSets
