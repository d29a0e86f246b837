"""`sface-data embed`."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from sface_data import api
from sface_data.cli.options import (
    ADDRESS,
    ALIGN,
    BATCH,
    DETECTOR,
    DEVICE,
    ENGINE,
    SKIP_BROKEN,
    NamedPath,
    SourcePath,
    say,
)
from sface_data.errors import counted


@click.command(short_help="Turn labelled faces into embeddings (Parquet)")
@click.argument("source", metavar="SOURCE", type=SourcePath(path_type=Path))
@click.option(
    "--embedder",
    metavar="FILE|demo",
    required=True,
    type=NamedPath(path_type=Path),
    help="Embedder of faces: demo, which ships and knows rendered faces only, or a file. An .onnx takes RGB "
    "[N,3,R,R] as (x - 127.5) / 127.5, or as its first operations or its metadata (Image.NominalPixelRange, "
    "Image.BitmapPixelFormat) tell; images of another size than R are resized.",
)
@click.option(
    "--outdir",
    metavar="EMB",
    required=True,
    type=NamedPath(path_type=Path),
    help="Folder of the embeddings: new, empty, or one to go on with.",
)
@DEVICE
@BATCH
@ALIGN
@DETECTOR
@SKIP_BROKEN
@ENGINE
@ADDRESS
def embed(source: Path, outdir: Path, embedder: Path, **options: Any) -> None:
    """Make embeddings of labelled faces: Parquet files with key, class and vector of each.

    SOURCE is a folder per identity, WebDataset shards, RecordIO (.rec), LMDB (.lmdb), Parquet or a folder of
    `datasets`, or a data set on the hub (hf://ORG/NAME). A vector is the sum
    of those of the image and of its mirror image, scaled to length 1.

    With --align detect, images in which no face is found have no vector: they are counted, and listed in
    EMB/embeddings.json.

    It can be stopped at any moment: run the same command again, and only what is missing is made.

    \b
    Example:
      sface-data embed faces --embedder judge.onnx --outdir embeddings
    """
    from sface_data.embedding.embed import NO_FACE
    from sface_data.embedding.embeddings import warning_of_strangers
    from sface_data.embedding.embeddings_folder import INDEX

    made = api.embed(source, outdir, embedder=embedder, **options)
    made_of = f"{counted(made.embeddings, 'embedding')} of {counted(made.classes, 'class')}"
    say(f"{outdir}: {made_of}, {made.dimensions} dimensions")
    if warning := warning_of_strangers(str(embedder), made.cosine_of_strangers):
        say(warning)
    reasons = Counter("no face found" if face.reason == NO_FACE else "broken" for face in made.left_out)
    for reason, count in reasons.items():
        say(f"{outdir}: {counted(count, 'image')} left out, {reason}; {outdir / INDEX} lists them")
