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
_PEERS = "README of Vec2Face+, August 2025"  # about 0.5 million images each


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
    _five("SynFace", _PEERS, 91.93, 61.63, 74.73, 70.43, 75.03),
    _five("IDnet", _PEERS, 92.58, 63.88, 79.90, 74.25, 75.40),
    _five("ExFaceGAN", _PEERS, 93.50, 78.92, 82.98, 71.60, 73.84),
    _five("SFace2", _PEERS, 95.60, 77.37, 83.40, 74.60, 77.11),
    _five("DigiFace-1M (rendered)", _PEERS, 95.40, 76.97, 78.62, 78.87, 87.40),
    _five("IDiff-Face", _PEERS, 98.00, 86.43, 90.65, 80.45, 85.47),
    _five("DCFace", _PEERS, 98.55, 89.70, 91.60, 82.62, 85.33),
    _five("Arc2Face", _PEERS, 98.81, 90.18, 92.63, 85.16, 91.87),
    _five("HSFace10K (Vec2Face)", _PEERS, 98.87, 93.12, 93.57, 85.47, 88.97),
    _five("CemiFace", _PEERS, 99.03, 91.33, 92.42, 87.65, 91.06),
    _five("VFace10K (Vec2Face+)", _PEERS, 99.35, 94.33, 94.17, 88.03, 93.56),
    PublishedRow("VariFace", "arXiv:2412.06235", {}, 94.05),
)
