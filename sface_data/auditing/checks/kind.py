"""A kind of check: it owns its name, its claim and its statistic; its limit is the policy's."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from sface_data.auditing.compare.backend import HERE, Backend
from sface_data.auditing.compare.sweep import PreparedSet
from sface_data.auditing.evidence import Evidence, Nearness
from sface_data.auditing.policy import Policy
from sface_data.auditing.search import Search
from sface_data.auditing.verdict import FALSE_ALARMS, Finding

TRIALS = 20  # of the positive control


@dataclass(frozen=True)
class CheckContext:
    """What a check is made from: what a judge saw, and what the policy asks of it.

    Attributes:
        nearness: of each image to training; `evidence` is the same where there is more than nearness.
        level: one-sided level at which a check fails whatever the others say (Bonferroni's, of which Holm's is
            never stricter).
        trials: of the positive control.
        prepared: the sets in the form in which they are compared, by role.
        backend: of comparisons that a check makes itself.
        kept: what several checks of one judge share.
    """

    nearness: Nearness
    policy: Policy
    seed: int
    level: float
    trials: int = TRIALS
    prepared: dict[str, PreparedSet] = field(default_factory=dict)
    backend: Backend = HERE
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def evidence(self) -> Evidence:
        """All comparisons of the judge."""
        assert isinstance(self.nearness, Evidence)
        return self.nearness

    @property
    def search(self) -> Search:
        """The training people nearest to classes, by the judge."""
        assert self.nearness.search is not None
        return self.nearness.search

    def rng(self, name: str) -> np.random.Generator:
        """Random numbers of one check under one judge, whatever other checks there are."""
        text = f"{self.seed} {self.nearness.sets.release.embedder_sha256} {name}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


@dataclass(frozen=True)
class CheckKind(ABC):
    """A check that a policy may ask for.

    Attributes:
        name: as policies and certificates have it.
        claim: what a pass says, in words.
        measure: what the statistic is, in words.
        among_all: whether a nearest training image is looked for, so that each must have been seen by the judge.
        by_relation: whether it is made for each relation between classes and training people.
    """

    name: str
    claim: str
    measure: str
    among_all: ClassVar[bool] = False
    by_relation: ClassVar[bool] = False

    def find(self, context: CheckContext) -> list[Finding]:
        """What one judge's comparisons say: one finding, or one for each relation."""
        sets = context.nearness.sets
        finding = self.unmeasured(sets.judge, context.policy)
        if not self.by_relation:
            return [self.measured(context, finding)]
        found = []
        for relation in sets.relations:
            claim, measure = self.words(relation)
            found.append(self.measured(context, replace(finding, relation=relation, claim=claim, measure=measure)))
        return found

    def words(self, relation: str) -> tuple[str, str]:
        """Claim and measure, for a relation."""
        return self.claim, self.measure

    def unmeasured(self, judge: str, policy: Policy, reason: str = "") -> Finding:
        """The finding before anything is measured, or where nothing can be."""
        limit = policy.checks[self.name].limit
        return Finding(self.name, judge, self.claim, self.measure, limit, blocks_pass=reason)

    @abstractmethod
    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        """The finding with its statistic, or with the reason why there is none."""


def bonferroni_level(tests: int) -> float:
    """The Bonferroni level of one of `tests` tests."""
    return FALSE_ALARMS / max(tests, 1)
