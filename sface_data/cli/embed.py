"""`sface-data embed`."""

from collections import Counter
from pathlib import Path

import click

from sface_data.cli.options import ALIGN, BATCH, DETECTOR, DEVICE, NamedPath


@click.command()
@click.argument("source", metavar="SOURCE", type=NamedPath(path_type=Path))
@click.option(
    "--model",
    metavar="FILE",
    required=True,
    type=NamedPath(path_type=Path),
    help="Embedder of faces. An .onnx takes RGB [N,3,R,R] as (x - 127.5) / 127.5, or as 0 to 255 if its first "
    "nodes do this; images of another size than R are resized.",
)
@click.option(
    "--out",
    metavar="EMB",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder of the embeddings: new, empty, or one to go on with.",
)
@DEVICE
@BATCH
@ALIGN
@DETECTOR
@click.option("--skip-broken", is_flag=True, help="Leave out images that cannot be decoded, and list them.")
def embed(
    source: Path,
    model: Path,
    out: Path,
    device: str,
    batch: int,
    align: str,
    detector: str,
    skip_broken: bool,
) -> None:
    """Make embeddings of labelled faces: Parquet files with key, class and vector of each.

    SOURCE is a folder per identity, WebDataset shards, RecordIO (.rec) or a folder of `datasets`. A vector is
    the sum of those of the image and of its mirror image, scaled to length 1.

    With --align detect, images in which no face is found have no vector: they are counted, and listed in
    EMB/embeddings.json.

    It can be stopped at any moment: run the same command again, and only what is missing is made.

    \b
    Example:
      sface-data embed faces --model judge.onnx --out embeddings
    """
    from sface_data.embedding.embed import NO_FACE, Embedding
    from sface_data.embedding.embeddings_folder import INDEX, check_unclaimed, embed_into
    from sface_data.embedding.open import open_embedder
    from sface_data.faces.detector import open_detector
    from sface_data.faces.face_list import FaceList
    from sface_data.faces.sources import open_source
    from sface_data.runtime.progress import progress_bar

    aligner = open_detector(detector, device) if align == "detect" else None
    embedding = Embedding(open_embedder(model, device), aligner, skip_broken, batch)
    check_unclaimed(out, embedding)
    opened = open_source(source, min_classes=1)
    with progress_bar(len(opened), "faces", desc="reading", delay=1) as bar:
        faces = FaceList.of(opened, bar.update)
    with progress_bar(len(opened), "faces", desc="embedding", delay=1, smoothing=0.05) as bar:
        found = embed_into(out, opened, faces, embedding, bar.update)
    click.echo(
        f"{out}: {len(found):,} embeddings of {len(found.class_names):,} classes, {found.dimensions} dimensions",
        err=True,
    )
    reasons = Counter("no face found" if face.reason == NO_FACE else "broken" for face in found.left_out)
    for reason, count in reasons.items():
        click.echo(f"{out}: {count:,} images left out, {reason}; {out / INDEX} lists them", err=True)
