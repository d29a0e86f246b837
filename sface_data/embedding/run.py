"""A folder of embeddings, from labelled faces and an embedder."""

import os
from pathlib import Path

from sface_data.embedding.embed import BATCH, Embedding
from sface_data.embedding.embeddings import EmbeddingSet
from sface_data.embedding.embeddings_folder import check_unclaimed, embed_into
from sface_data.embedding.open import open_embedder
from sface_data.faces.face_list import FaceList
from sface_data.faces.open_detector import open_detector
from sface_data.faces.sources import open_source
from sface_data.runtime.arguments import Align, Count, StrPath, checks_arguments
from sface_data.runtime.progress import progress_bar


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
) -> EmbeddingSet:
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

    Returns:
        The embeddings; `left_out` has the faces without, and why.

    Raises:
        BadInput: for files, a folder or a device that cannot be used, images that are broken or not square, and
            vectors that are not finite. What was finished is kept.

    Example:
        >>> found = sface_data.embed("faces", "embeddings", embedder=sface_data.DEMO_EMBEDDER)
        >>> found.vectors.shape, found.vectors.dtype
        ((8, 128), dtype('float32'))
    """
    folder = Path(outdir)
    aligner = open_detector(os.fspath(detector), device) if align == "detect" else None
    embedding = Embedding(open_embedder(Path(embedder), device), aligner, skip_broken, batch)
    check_unclaimed(folder, embedding)
    opened = open_source(Path(source), min_classes=1)
    with progress_bar(len(opened), "faces", desc="reading", delay=1) as bar:
        faces = FaceList.of(opened, bar.update)
    with progress_bar(len(opened), "faces", desc="embedding", delay=1, smoothing=0.05) as bar:
        return embed_into(folder, opened, faces, embedding, bar.update)
