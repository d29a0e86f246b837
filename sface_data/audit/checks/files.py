"""Identical files: training images that are in the release byte for byte."""

from collections.abc import Sequence

from sface_data.audit.verdict import Finding
from sface_data.biometrics.intervals import Interval

NAME = "identical-files"
_CERTAIN = 1e-12  # p-value of what cannot come about by chance


def identical_files(synthetic: Sequence[str], training: Sequence[str], limit: float) -> Finding:
    """Share of the images of a release whose SHA-256 is that of a training image: a count, not an estimate."""
    known = set(training) - {""}
    count = sum(sha256 in known for sha256 in synthetic)
    share = count / len(synthetic)
    return Finding(
        NAME,
        "files",
        "No image of the release is a training image byte for byte",
        "share of images with the SHA-256 of a training image",
        limit,
        interval=Interval(share, share, share, "count of all images", len(synthetic)),
        p_value=_CERTAIN if share > limit else 1.0,
        facts={"images": len(synthetic), "identical": count},
    )
