"""The data set card: front matter that makes `datasets.load_dataset` work, and prose for people."""

import re
from pathlib import Path
from typing import Any

from sface_data.audit.certificate import CERTIFICATE, REPORT, Certificate
from sface_data.dataset.manifest import Manifest
from sface_data.dataset.plan import SamplePlan, class_name
from sface_data.errors import BadInput
from sface_data.io.files import os_errors_as_bad_input
from sface_data.io.seal import MARKDOWN, YAML, sealed, unedited
from sface_data.release.recognition_results import Results
from sface_data.release.templates import LICENCES, render

CARD = "README.md"
CITATION = "CITATION.cff"
LICENSE = "LICENSE"
NOTICE = "> **Published without a certificate that passes under the policy `strict`.**"
_FRONT = re.compile(r"---\n.*?\n---\n\n?", re.DOTALL)
_NOTICE = re.compile(rf"^{re.escape(NOTICE)}[^\n]*\n\n?", re.MULTILINE)
_SIZES = (  # the hub's categories
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def front_matter(manifest: Manifest, licence: str) -> dict[str, Any]:
    """The facts of a card, as the hub and `datasets` read them."""
    plan = manifest.plan
    return {
        "annotations_creators": ["machine-generated"],
        "license": licence,
        "pretty_name": "Synthetic faces, class-labelled",
        "size_categories": [_size_category(manifest.num_samples)],
        "source_datasets": ["original"],
        "tags": ["synthetic", "face-recognition", "biometrics", "stylegan2-ada", "webdataset"],
        "task_categories": ["image-classification", "image-feature-extraction"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": plan.split, "path": f"data/{plan.split}-*.tar"}],
            }
        ],
        "dataset_info": {
            "features": _features(plan),
            "splits": [
                {"name": plan.split, "num_bytes": manifest.num_bytes, "num_examples": manifest.num_samples}
            ],
            "download_size": manifest.num_bytes,
            "dataset_size": manifest.num_bytes,
        },
    }


def claims(manifest: Manifest, certificate: Certificate | None = None) -> dict[str, str]:
    """What the prose of a card says of the data set, word by word: people may write around it, not change it.

    Args:
        certificate: that of the data set, if it has one.
    """
    return {
        "counts": f"{manifest.num_samples:,} images of {len(manifest.plan.classes):,} classes",
        "certificate": _certificate_claim(certificate),
    }


def _certificate_claim(certificate: Certificate | None) -> str:
    if certificate is None:
        return (
            "**No certificate yet.** Whether images of this data set can be linked to the people whose "
            "photographs the\ngenerator was trained on has not been examined."
        )
    judges = ", ".join(f"`{name}`" for name in certificate.judges)
    return (
        f"**Identity-relation audit: {certificate.verdict}.** {certificate.in_words}\n\n"
        f"Judged by {judges} under {certificate.policy_in_words}\n(`sha256:{certificate.policy_sha256}`): "
        f"[report]({REPORT}), "
        f"[certificate]({CERTIFICATE})\n`sha256:{certificate.sha256}`."
    )


def card_text(
    manifest: Manifest,
    licence: str,
    results: Results | None = None,
    certificate: Certificate | None = None,
) -> str:
    """The whole card: front matter and prose.

    Args:
        results: of face recognition trained on the data set.
        certificate: that of the data set, if it has one.
    """
    from huggingface_hub import DatasetCardData

    facts = DatasetCardData(**front_matter(manifest, licence)).to_yaml()
    networks = {(e["network"]["file"], e["network"]["sha256"]) for e in manifest.environments}
    prose = render(
        "dataset_card.md.j2",
        manifest=manifest,
        plan=manifest.plan,
        claims=claims(manifest, certificate),
        licence=LICENCES[licence],
        networks=sorted(networks),
        results=results,
        columns=f'{{"{manifest.plan.image.format}": "image", "cls": "label"}}',
    )
    return sealed(f"---\n{facts}\n---\n\n{prose}", MARKDOWN)


def with_notice(card: str, reason: str | None) -> str:
    """A card that says in its first lines why it comes without a certificate, or does not say so any more."""
    found = _FRONT.match(card)
    front = found[0] if found else ""
    prose = _NOTICE.sub("", card[len(front) :])
    text = f"{front}{NOTICE} The publisher gives the reason: {reason}\n\n{prose}" if reason else front + prose
    return sealed(text, MARKDOWN) if unedited(card.encode()) else text


def read_front_matter(directory: Path) -> dict[str, Any]:
    """The facts of the card in a folder.

    Raises:
        BadInput: if there is no card, or its front matter cannot be parsed.
    """
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    path = directory / CARD
    with os_errors_as_bad_input(path):
        data = path.read_bytes()
    try:
        return DatasetCard(data.decode(), ignore_metadata_errors=True).data.to_dict()
    except (ValueError, TypeError, YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())  # YAML explains in many lines
        raise BadInput(f"{path}: its front matter cannot be parsed ({reason})") from error


def citation_text(manifest: Manifest, licence: str) -> str:
    """The CITATION.cff of a data set."""
    text = render("dataset_citation.cff.j2", manifest=manifest, plan=manifest.plan, licence=LICENCES[licence])
    return sealed(text, YAML)


def _features(plan: SamplePlan) -> list[dict[str, Any]]:
    # Every column is declared, the two that `datasets` adds as well: streaming in some versions needs them.
    names = {str(c): class_name(c) for c in range(plan.num_class_names)}
    integers = [{"name": name, "dtype": "int64"} for name in ("class_index", "index", "seed")]
    return [
        {"name": "cls", "dtype": {"class_label": {"names": names}}},
        {"name": plan.image.format, "dtype": "image"},
        {"name": "json", "struct": integers},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _size_category(samples: int) -> str:
    return next((category for limit, category in _SIZES if samples < limit), "100M<n<1B")
