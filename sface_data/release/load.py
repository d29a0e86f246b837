"""A finished data set as rows of images and labels."""

from pathlib import Path
from typing import TYPE_CHECKING

from sface_data.dataset.manifest import Manifest
from sface_data.errors import BadInput
from sface_data.release.folder_name import name_warning
from sface_data.runtime.arguments import StrPath, checks_arguments

if TYPE_CHECKING:
    import datasets


@checks_arguments
def load(directory: StrPath) -> "datasets.Dataset":
    """Loads a data set with `datasets`: a row for each image.

    The first time its images are copied into the cache of `datasets`.

    Args:
        directory: a finished data set.

    Returns:
        Rows with `image` (RGB, a PIL image) and `label` (a `ClassLabel`: the class of the generator, also where
        only some of its classes were drawn).

    Raises:
        BadInput: if it is no data set, or a shard is missing or broken.

    Example:
        >>> rows = sface_data.load(faces)
        >>> len(rows), rows[0]["image"].size, rows.features["label"].int2str(rows[7]["label"])
        (8, (112, 112), 'class_000003')
    """
    folder = Path(directory)
    plan = Manifest.load(folder).plan
    if (warning := name_warning(folder)) is not None:
        raise BadInput(warning)
    import datasets

    try:
        rows = datasets.load_dataset(str(folder), split=plan.split)
    except (datasets.exceptions.DatasetsError, OSError) as error:
        raise BadInput(
            f"{folder}: cannot be loaded ({error.__cause__ or error}); `sface-data validate {folder}` names all "
            "that is wrong"
        ) from error
    names = {plan.image.format: "image", "cls": "label"}
    return rows.select_columns(list(names)).rename_columns(names).cast_column("image", datasets.Image(mode="RGB"))
