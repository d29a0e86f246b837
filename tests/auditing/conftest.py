"""Simulated audits that several tests look at, and embeddings written as folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sface_data.auditing.checks.run import AuditResult, run_checks
from sface_data.auditing.outcome import Outcome
from sface_data.auditing.policy import load_policy
from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.auditing.sets.judged_sets import JudgedSets
from sface_data.auditing.simulation import Leak, World, simulate
from sface_data.embedding.embeddings import EmbeddingSet

SMALL = World(classes=50, images=20, authentic=6, control=50, control_images=20)
NONE = Leak()

Simulated = Callable[..., AuditResult]


@pytest.fixture(scope="session")
def world() -> World:
    """A small audit."""
    return SMALL


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    """The result of a simulated audit under `strict`."""

    def make(leak: Leak = NONE, seed: int = 0, world: World = SMALL, policy: str = "strict") -> AuditResult:
        return run_checks([simulate(world, leak, seed)], None, load_policy(policy), seed, trials=3)

    return make


@pytest.fixture(scope="session")
def sound(simulated: Simulated) -> AuditResult:
    """Without leakage."""
    return simulated()


@pytest.fixture(scope="session")
def small_sets() -> JudgedSets:
    """The faces of a simulated audit without leakage."""
    return simulate(SMALL, NONE, 0)


@pytest.fixture(scope="session")
def outcome(
    tmp_path_factory: pytest.TempPathFactory, write_embeddings: Callable[[Path, EmbeddingSet], Path]
) -> Outcome:
    """An audit of embeddings with copies among them, from folders to certificate. For reading only."""
    folder = tmp_path_factory.mktemp("audit")
    sets = simulate(SMALL, Leak(copies=0.05), 0)
    assert sets.control is not None
    given = {"release": sets.release, "training": sets.training, "control": sets.control}
    paths = {name: write_embeddings(folder / name, faces) for name, faces in given.items()}
    release = paths.pop("release")
    return PreparedAudit.of(release, AuditOptions(**paths, outdir=folder / "out", device="cpu")).run()
