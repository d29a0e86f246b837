"""What faces are embedded with, by name: opened in this process, or in workers on other machines."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sface_data.embedding.embed import Embedding, embed_part
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.faces.base import Source
from sface_data.faces.face_list import FaceList
from sface_data.faces.open_detector import open_detector
from sface_data.faces.sources import open_source
from sface_data.runtime.devices import choose_device
from sface_data.runtime.progress import Progress
from sface_data.runtime.ray_workers import Cluster, ray_workers


@dataclass(frozen=True)
class EmbedJob:
    """Names of source, embedder and detector, and how they are used; see `embed`.

    Attributes:
        detector: None for faces that are aligned.
    """

    source: Path
    embedder: Path
    detector: str | None
    device: str
    skip_broken: bool
    batch: int

    def embedding(self, threads: int = 0) -> Embedding:
        """Opens embedder and detector. Raises BadInput if they cannot be used."""
        embedder = open_embedder(self.embedder, self.device, threads)
        aligner = None if self.detector is None else open_detector(self.detector, self.device)
        return Embedding(embedder, aligner, self.skip_broken, self.batch)

    def faces(self) -> Source:
        """Opens the source. Raises BadInput if it cannot be read."""
        return open_source(self.source, min_classes=1)

    def on(
        self,
        cluster: Cluster,
        embedding: Embedding,
        count: int,
        progress: Progress,
        parts: list[tuple[int, FaceList]],
    ) -> Iterator[EmbeddingSet]:
        """Embeds parts of the source on a cluster; see `embed_into`.

        Args:
            embedding: as it was opened here; `count`: faces of the source.

        Raises:
            BadInput: as `ray_workers`, and if a machine of the cluster has other files under these names.
        """
        make = _Elsewhere(self._absolute(), embedding.embedder.sha256, embedding.detector_sha256, count)
        with ray_workers(cluster, None, make, choose_device(self.device)) as workers:
            for part in workers.map(_embed_part, parts):
                progress(len(part) + len(part.left_out))
                yield part

    def _absolute(self) -> "EmbedJob":
        """The same for processes in other folders."""
        detector = None if self.detector is None else str(_absolute(Path(self.detector)))
        return replace(self, source=_absolute(self.source), embedder=_absolute(self.embedder), detector=detector)


@dataclass(frozen=True)
class _Elsewhere:
    """Opens the files of a job in a worker, and sees that they are the same."""

    job: EmbedJob
    embedder_sha256: str
    detector_sha256: str | None
    faces: int

    def __call__(self) -> tuple[Source, Embedding]:
        embedding, source = self.job.embedding(threads=1), self.job.faces()
        if embedding.embedder.sha256 != self.embedder_sha256:
            raise BadInput(f"{self.job.embedder}: is another file on a machine of the cluster")
        if embedding.detector_sha256 != self.detector_sha256:
            raise BadInput(f"{self.job.detector}: is another detector on a machine of the cluster")
        if len(source) != self.faces:
            raise BadInput(
                f"{self.job.source}: holds {len(source):,} faces on a machine of the cluster, and {self.faces:,} "
                "here; it must lie in a folder that all machines share"
            )
        return source, embedding


def _embed_part(state: tuple[Source, Embedding], unit: tuple[int, FaceList]) -> EmbeddingSet:
    (source, embedding), (first, faces) = state, unit
    return embed_part(source, first, faces, embedding, None)


def _absolute(path: Path) -> Path:
    """Of a file; what ships and what lies on the hub have no place."""
    return path.resolve() if path.exists() else path
