"""The texts for people around the shards: card, datasheet and citation, of which tools write only the blocks."""

import re
from dataclasses import dataclass

from sface_data.auditing.certificate import Certificate
from sface_data.dataset.manifest import Manifest
from sface_data.errors import counted
from sface_data.io.blocks import read_blocks
from sface_data.release.licences import LICENCES
from sface_data.release.recognition_results import Results
from sface_data.release.templates import render

CITATION = "CITATION.cff"
NOTICE = "> **Published without a certificate that passes under the policy `strict` or `standard`.**"
_PREVIEW = re.compile(r"^- \*\*Picture:\*\* `preview\.png`, `sha256:([0-9a-f]{64})`$", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """What the texts around the shards say.

    Attributes:
        licence: one of `LICENCES`.
        certificate: that of the data set, if it has one.
        results: of face recognition trained on it, if there are any.
        preview_sha256: digest of `preview.png`.
        notice: what the card says in its first lines: why it comes without a certificate that passes.
    """

    manifest: Manifest
    licence: str
    certificate: Certificate | None = None
    results: Results | None = None
    preview_sha256: str = ""
    notice: str = ""


def card_prose(facts: Facts) -> str:
    """The card below its front matter, as it is when nobody has edited it."""
    manifest = facts.manifest
    networks = {(e["network"]["file"], e["network"]["sha256"]) for e in manifest.environments}
    return render(
        "dataset_card.md.j2",
        manifest=manifest,
        plan=manifest.plan,
        counts=counts(manifest),
        licence=LICENCES[facts.licence],
        certificate=facts.certificate,
        networks=sorted(networks),
        results=facts.results,
        preview_sha256=facts.preview_sha256,
        notice=facts.notice,
        columns=f'{{"{manifest.plan.image.format}": "image", "cls": "label"}}',
    )


def citation_text(facts: Facts) -> str:
    """The CITATION.cff of a data set, as it is when nobody has edited it."""
    return render("dataset_citation.cff.j2", plan=facts.manifest.plan, licence=LICENCES[facts.licence])


def counts(manifest: Manifest) -> str:
    """How many images of how many classes, in words."""
    return f"{counted(manifest.num_samples, 'image')} of {counted(len(manifest.plan.classes), 'class')}"


def notice(reason: str) -> str:
    """What a card says in its first lines without a certificate that passes."""
    return f"{NOTICE} The publisher gives the reason: {reason}"


def held_notice(prose: str) -> str:
    """The notice in the first lines of a card, empty if there is none. Raises as `read_blocks` does."""
    first, _, more = read_blocks(prose).get("notice", "").partition("\n")
    return first if first.startswith(NOTICE) and not more else ""


def named_preview(prose: str) -> str:
    """The digest of `preview.png` that a card names, empty if it names none. Raises as `read_blocks` does."""
    found = _PREVIEW.search(read_blocks(prose).get("details", ""))
    return found[1] if found else ""
