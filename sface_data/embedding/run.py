"""A folder of embeddings, from labelled faces and an embedder."""

import os
from functools import partial
from pathlib import Path

from sface_data.embedding.embed import BATCH, Embedding
from sface_data.embedding.embeddings_folder import EmbeddingFolder, check_unclaimed, embed_into
from sface_data.embedding.job import EmbedJob
from sface_data.faces.face_list import FaceList
from sface_data.runtime.arguments import Align, Count, StrPath, checks_arguments
from sface_data.runtime.progress import progress_bar
from sface_data.runtime.ray_workers import Cluster, Engine


@checks_arguments
def embed(
    source: StrPath,
    outdir: StrPath,
    *,
    embedder: StrPath,
    device: str = "auto",
    batch: Count = BATCH,
    align: Align = "none",
    detector: StrPath = "mtcnn",
    skip_broken: bool = False,
    engine: Engine = "local",
    address: str | None = None,
) -> EmbeddingFolder:
    """Makes embeddings of labelled faces: Parquet files with key, class and vector of each.

    A vector is the sum of those of the image and of its mirror image, scaled to length 1. Stopped at any moment
    and called again with the same arguments, it makes only what is missing.

    Args:
        source: a folder per identity, WebDataset shards, RecordIO (.rec), LMDB (.lmdb), Parquet or a folder of
            `datasets`, or `hf://ORG/NAME` on the hub.
        outdir: folder of the embeddings: new, empty, or one to go on with.
        embedder: file of the embedder: .onnx, .safetensors of a training run, or a published .pth; or
            `demo`, which ships.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        batch: images at a time.
        align: `detect`: find the face in each image first, and leave out those in which there is none; `none`.
        detector: for `align="detect"`: `mtcnn`, which ships; an .onnx file that insightface runs, or the name of a
            model in `~/.insightface/models`.
        skip_broken: leave out images that cannot be decoded, instead of ending there.
        engine: `local`: this process embeds; `ray`: workers on a cluster of Ray do, 10,000 faces at a time. They
            need source and embedder under the same names.
        address: of that cluster, as `ray.init` takes it; by default the one that the environment names, else one
            on this machine.

    Returns:
        The folder; `left_out` has the faces without a vector, `load()` reads the vectors.

    Raises:
        BadInput: for files, a folder, a device or a cluster that cannot be used, images that are broken or not
            square, and vectors that are not finite. What was finished is kept.

    Example:
        >>> made = sface_data.embed("faces", "embeddings", embedder=sface_data.DEMO_EMBEDDER)
        >>> made.embeddings, made.classes, made.dimensions
        (8, 4, 128)
        >>> made.load().vectors.dtype
        dtype('float32')
    """
    folder, cluster = Path(outdir), Cluster.of(engine, address)
    if cluster is not None:
        cluster.check()
    finds = os.fspath(detector) if align == "detect" else None
    job = EmbedJob(Path(source), Path(embedder), finds, device, skip_broken, batch)
    embedding = job.embedding()
    check_unclaimed(folder, embedding)
    return _filled(folder, job, embedding, cluster)


def _filled(folder: Path, job: EmbedJob, embedding: Embedding, cluster: Cluster | None) -> EmbeddingFolder:
    """The folder with a vector of every face, made by this process or on a cluster."""
    opened = job.faces()
    with progress_bar(len(opened), "faces", desc="reading", delay=1) as bar:
        faces = FaceList.of(opened, bar.update)
    with progress_bar(len(opened), "faces", desc="embedding", delay=1, smoothing=0.05) as bar:
        away = None if cluster is None else partial(job.on, cluster, embedding, len(faces), bar.update)
        return embed_into(folder, opened, faces, embedding, bar.update, away)
