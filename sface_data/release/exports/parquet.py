"""Parquet with the columns image and label, which `datasets` loads and the hub shows as they stand."""

import json
from collections.abc import Iterator
from pathlib import Path

from sface_data.io.files import atomic_write
from sface_data.release.exports.faces import ExportedFaces

_ROWS, _ROWS_OF_GROUP = 20_000, 200  # of a file, of a part of it that is read at once


def write_parquet(faces: ExportedFaces, outdir: Path) -> Iterator[int]:
    """Writes `data/train-00000-of-00002.parquet` and so on, those that are missing; yields images that are there.

    `image` is as `datasets` stores pictures, `label` a number with the names of all classes of the generator.

    Raises:
        BadInput: if the folder cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    kinds = pa.schema([("image", image), ("label", pa.int64())], metadata={"huggingface": _features(faces)})
    count = -(-len(faces) // _ROWS)
    (outdir / "data").mkdir(exist_ok=True)
    for number in range(count):
        path = outdir / "data" / f"{faces.plan.split}-{number:05d}-of-{count:05d}.parquet"
        first, last = number * _ROWS, min((number + 1) * _ROWS, len(faces))
        if not path.exists():
            rows = list(faces.from_place(first, last))
            end = faces.plan.image.format
            pictures = [{"bytes": face.data, "path": f"{face.key}.{end}"} for face in rows]
            table = pa.table([pictures, [face.label for face in rows]], schema=kinds)
            with atomic_write(path) as file:
                # Pictures are compressed already.
                pq.write_table(table, file, row_group_size=_ROWS_OF_GROUP, compression="none")
        yield last - first


def _features(faces: ExportedFaces) -> str:
    """How `datasets` notes the kinds of columns in the file."""
    plan = faces.plan
    names = [plan.class_name(index) for index in range(plan.num_class_names)]
    label = {"names": names, "_type": "ClassLabel"}
    return json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
