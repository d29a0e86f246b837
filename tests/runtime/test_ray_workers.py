"""Workers on a cluster of Ray: the results of workers on this machine, and lost ones are replaced."""

import operator
import os
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from sface_data.auditing.run import AuditOptions, PreparedAudit
from sface_data.embedding import embeddings_folder
from sface_data.embedding.job import EmbedJob
from sface_data.embedding.open import DEMO_EMBEDDER
from sface_data.embedding.run import embed
from sface_data.errors import BadInput
from sface_data.faces.face_list import FaceList
from sface_data.release.generate import generate
from sface_data.rendered.run import render
from sface_data.runtime.ray_workers import Cluster, ray_workers
from tests.killing import tree

CPU = torch.device("cpu")
with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def test_an_address_goes_with_ray() -> None:
    assert Cluster.of("local", None) is None
    assert Cluster.of("ray", "auto") == Cluster("auto")
    with pytest.raises(
        BadInput, match=r"--address 10\.0\.0\.1:6379 is that of a Ray cluster: it goes with --engine ray"
    ):
        Cluster.of("local", "10.0.0.1:6379")


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_ray_that_is_not_installed_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="pip install ray"), ray_workers(Cluster(), 1, int, CPU):
        pass


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one core each on this machine, with a token of their own; nothing is written into the home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 2)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # nodes are on loopback, as on those systems
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]))
        from ray.cluster_utils import Cluster as RayCluster

        made = RayCluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False},
        )
        made.add_node(num_cpus=1)
        yield made
        made.shutdown()


def ends_once(folder: str, unit: int) -> int:
    """Ends its process, as if by want of memory, the first time that it is given number 3."""
    mark = Path(folder) / "ended"
    if unit == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def ends_always(folder: str, unit: int) -> int:
    """Ends its process at number 3, and counts how often."""
    if unit == 3:
        with (Path(folder) / "ended").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return unit


def node_of(_: object, unit: int) -> tuple[str, int]:
    import ray

    return ray.get_runtime_context().get_node_id(), unit


def refuses(_: object, unit: int) -> int:
    raise BadInput(f"unit {unit} is bad")


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_works_like_this_machine(cluster: Any, tmp_path: Path) -> None:
    def workers() -> Any:
        return ray_workers(Cluster(cluster.address), None, partial(int, 100), CPU)

    with workers() as two:
        assert list(two.map(operator.add, range(20))) == list(range(100, 120))
        with pytest.raises(BadInput, match=r"^unit 0 is bad$"):
            list(two.map(refuses, range(2)))
    with ray_workers(Cluster(cluster.address), None, partial(str, tmp_path), CPU) as two:
        assert list(two.map(ends_once, range(8))) == list(range(8))
        assert (tmp_path / "ended").exists()
    with workers() as two:
        results = two.map(node_of, range(30))
        nodes = {next(results)[0] for _ in range(4)}
        assert len(nodes) == 2
        lost = cluster.worker_nodes.copy().pop()
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(num_cpus=1)
        assert [unit for _, unit in results] == list(range(4, 30))


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_work_that_ends_its_workers_is_a_sentence(cluster: Any, tmp_path: Path) -> None:
    with (
        ray_workers(Cluster(cluster.address), 1, partial(str, tmp_path), CPU) as one,
        pytest.raises(BadInput, match=r"was lost 4 times at the same work.*: run the same command again"),
    ):
        list(one.map(ends_always, range(8)))
    assert (tmp_path / "ended").read_text() == "xxxx"


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_a_machine_with_another_library_makes_nothing(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cv2.__version__", "0")  # of this machine: it is what the others are compared with
    made = tmp_path / "made"
    with (
        ray_workers(Cluster(cluster.address), 1, made.touch, CPU) as one,
        pytest.raises(BadInput, match=r"a machine of the Ray cluster has opencv [\d.]+, not 0: "),
    ):
        list(one.map(node_of, range(2)))
    assert not made.exists()


@with_ray
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_images_are_those_of_one_machine(cluster: Any, golden: Path, tmp_path: Path, precision: str) -> None:
    given: dict[str, Any] = {"network": golden / "conditional-32.pkl", "size": 32, "device": "cpu"}
    given |= {"samples_per_class": 12, "samples_per_shard": 25, "precision": precision}
    for name, options in (("here", {}), ("there", {"engine": "ray", "address": cluster.address})):
        generate(tmp_path / name, **given, **options)
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_embeddings_and_certificate_are_those_of_one_machine(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_folder, "FACES_PER_PART", 7)  # several units
    on_ray = {"engine": "ray", "address": cluster.address}
    for name, seed in (("release", 1), ("training", 0), ("control", 2)):
        faces = tmp_path / name
        render(faces, identities=6, images_per_identity=3, size=48, seed=seed)
        for engine, options in (("here", {}), ("there", on_ray)):
            embed(faces, tmp_path / engine / name, embedder=DEMO_EMBEDDER, **options)
        parts = sorted((tmp_path / "here" / name).iterdir())
        assert [part.read_bytes() for part in parts] == [
            (tmp_path / "there" / name / part.name).read_bytes() for part in parts
        ]
    certificates = []
    for engine, options in (("here", {}), ("there", on_ray)):
        sets = tmp_path / engine
        given = {"training": sets / "training", "control": sets / "control", "outdir": sets / "audit"}
        outcome = PreparedAudit.of(
            sets / "release", AuditOptions(**given, device="cpu", unrelated_labels=True, **options)
        ).run()
        certificates.append((outcome.certificate.sha256, (sets / "audit" / "certificate.json").read_bytes()))
    assert certificates[0] == certificates[1]


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_a_machine_with_other_faces_is_a_sentence(cluster: Any, tmp_path: Path) -> None:
    render(tmp_path / "faces", identities=2, images_per_identity=2, size=48)
    job = EmbedJob(tmp_path / "faces", DEMO_EMBEDDER, None, "cpu", False, 4)
    faces = FaceList.of(job.faces())
    with pytest.raises(BadInput, match="holds 4 faces on a machine of the cluster, and 5 here"):
        list(job.on(Cluster(cluster.address), job.embedding(), 5, lambda count: None, [(0, faces)]))


@with_ray
@pytest.mark.filterwarnings("ignore")
def test_what_the_cluster_has_not_is_a_sentence(cluster: Any) -> None:
    with (
        pytest.raises(BadInput, match="the Ray cluster has no GPU"),
        ray_workers(Cluster(cluster.address), None, int, torch.device("cuda")),
    ):
        pass
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with (
            pytest.raises(BadInput, match=f"no Ray cluster answers at {address}"),
            ray_workers(Cluster(address), None, int, CPU),
        ):
            pass
