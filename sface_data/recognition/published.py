"""The benchmarks that papers report, what they report, and the record of ours: percent, ten-fold."""

from dataclasses import dataclass

PUBLISHED = {  # name of the file, and as papers write it
    "lfw": "LFW",
    "agedb_30": "AgeDB-30",
    "cfp_fp": "CFP-FP",
    "calfw": "CALFW",
    "cplfw": "CPLFW",
}
EVALUATION = "evaluation.json"  # the record of an evaluation
FORMAT = 1  # of the record; goes up when a field changes its meaning
_SFACE = "arXiv:2206.10520"


@dataclass(frozen=True)
class PublishedRow:
    """What a paper reports of a network trained on a data set.

    Attributes:
        data: the training data, and how it was used.
        source: the paper.
        accuracy: percent by benchmark; those that are not known here are left out.
        average: percent over the five benchmarks, where the paper gives it or gives all five.
    """

    data: str
    source: str
    accuracy: dict[str, float]
    average: float | None = None


def _five(data: str, source: str, *accuracy: float) -> PublishedRow:
    names = ("lfw", "agedb_30", "calfw", "cplfw", "cfp_fp")
    by_name = dict(zip(names, accuracy, strict=True))
    return PublishedRow(data, source, by_name, round(sum(accuracy) / len(accuracy), 2))


ROWS = (
    _five("SFace, 10 images per class, cls", _SFACE, 87.13, 63.30, 73.47, 66.82, 68.84),
    _five("SFace, 20 images per class, cls", _SFACE, 90.50, 69.17, 76.35, 71.17, 73.33),
    _five("SFace, 40 images per class, cls", _SFACE, 91.43, 69.87, 76.92, 73.42, 73.10),
    _five("SFace, 60 images per class, cls", _SFACE, 91.87, 71.68, 77.93, 73.20, 73.86),
    PublishedRow("SFace, cls-kt", _SFACE, {"lfw": 99.13}),
    _five("CASIA-WebFace (authentic)", _SFACE, 99.38, 94.50, 93.35, 89.78, 96.91),
    PublishedRow("SFace2+", "IEEE TBIOM 2024", {}, 81.62),
    PublishedRow("DigiFace-1M (rendered)", "arXiv:2210.02579", {}, 83.45),
    PublishedRow("IDiff-Face", "arXiv:2308.04995", {}, 88.20),
    PublishedRow("DCFace", "arXiv:2304.07060", {}, 89.56),
    PublishedRow("HSFace10K (Vec2Face)", "arXiv:2409.02979", {}, 92.00),
    PublishedRow("VFace10K (Vec2Face+)", "arXiv:2507.17192", {}, 93.89),
)
