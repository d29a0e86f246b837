"""Identical files: training images that are in the release byte for byte."""

from dataclasses import dataclass, replace

from sface_data.auditing.checks.kind import CheckContext, CheckKind
from sface_data.auditing.verdict import NOT_BY_JUDGE, Finding
from sface_data.biometrics.intervals import Interval

_CERTAIN = 1e-12  # p-value of what cannot come about by chance


@dataclass(frozen=True)
class IdenticalFiles(CheckKind):
    """Share of the images of a release whose SHA-256 is that of a training image: a count, not an estimate."""

    def measured(self, context: CheckContext, finding: Finding) -> Finding:
        sets = context.nearness.sets
        known = set(sets.training.image_sha256) - {""}
        images = len(sets.release)
        count = sum(sha256 in known for sha256 in sets.release.image_sha256)
        share = count / images
        return replace(
            finding,
            judge=NOT_BY_JUDGE[self.name],
            interval=Interval(share, share, share, "count of all images", images),
            p_value=_CERTAIN if share > finding.limit else 1.0,
            facts={"images": images, "identical": count},
        )


IDENTICAL_FILES = IdenticalFiles(
    "identical-files",
    "No image of the release is a training image byte for byte",
    "share of images with the SHA-256 of a training image",
)
