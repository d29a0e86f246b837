"""The front matter of a card: the facts by which `datasets.load_dataset` works and the hub sorts."""

from typing import Any

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import SamplePlan

MANAGED = ("license", "size_categories", "configs", "dataset_info")  # other names are for people to change
_MOST_NAMES = 50_000  # the hub refuses cards with as many names of classes
_SIZES = (  # the hub's categories
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def front_matter(manifest: Manifest, licence: str) -> dict[str, Any]:
    """The facts of a card that follow from a manifest; `datasets` and the hub read them."""
    plan = manifest.plan
    splits = [{"name": plan.split, "num_bytes": manifest.num_bytes, "num_examples": manifest.num_samples}]
    data_files = [{"split": plan.split, "path": f"data/{plan.split}-*.tar"}]
    return {
        "annotations_creators": ["machine-generated"],
        "license": licence,
        "pretty_name": "Synthetic faces, class-labelled",
        "size_categories": [_size_category(manifest.num_samples)],
        "source_datasets": ["original"],
        "tags": ["synthetic", "face-recognition", "biometrics", "stylegan2-ada", "webdataset"],
        "task_categories": ["image-classification", "image-feature-extraction"],
        "configs": [{"config_name": "default", "data_files": data_files}],
        "dataset_info": {
            "description": _description(manifest),
            "features": _features(plan),
            "splits": splits,
            "download_size": manifest.num_bytes,
            "dataset_size": manifest.num_bytes,
        },
    }


def _description(manifest: Manifest) -> str:
    # `datasets` names its cache of a local folder by the folder's name and by what the card says, not by the
    # shards: without this, another data set in a folder of this name may be loaded in place of this one.
    return f"sha256:{manifest.identity}"


def _features(plan: SamplePlan) -> list[dict[str, Any]]:
    # Every column is declared, the two that `datasets` adds as well: streaming in some versions needs them.
    label: Any = "int64"
    if plan.num_class_names < _MOST_NAMES:
        label = {"class_label": {"names": {str(c): plan.class_name(c) for c in range(plan.num_class_names)}}}
    integers = [{"name": name, "dtype": "int64"} for name in ("class_index", "index", "seed")]
    return [
        {"name": "cls", "dtype": label},
        {"name": plan.image.format, "dtype": "image"},
        {"name": "json", "struct": integers},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _size_category(samples: int) -> str:
    return next((category for limit, category in _SIZES if samples < limit), "100M<n<1B")
