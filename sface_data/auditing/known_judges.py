"""Judges that are known by the digest of their file: any file can be a judge, also one made to see nothing."""

from collections.abc import Iterable
from pathlib import Path

from sface_data.io.files import is_file, sha256_of_file

WANTED = 2  # of different files: what deceives one network need not deceive another

# SHA-256 by the name that insightface gives the file below its folder of models. These, and that of OpenCV, are
# what many public projects that load the files compare them with; the first two of KNOWN were tried here.
INSIGHTFACE = {
    "buffalo_l/w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    "antelopev2/glintr100.onnx": "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf",
    "buffalo_s/w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
}
KNOWN = {
    "1dc9a3dd0e0294aef86ee546d35cfdae6ec3468108c58c70165c678e06dfa104": "the embedder in the package sface-data; "
    "it knows rendered faces only",
    "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581": "fr_feature.onnx of the npm package "
    "faceplugin-face-recognition-js 0.0.1",
    "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79": "face_recognition_sface_2021dec.onnx of "
    "OpenCV's model zoo",
    **{sha256: f"{name} of insightface" for name, sha256 in INSIGHTFACE.items()},
}
MODELS = "~/.insightface/models"


def known_as(sha256: str) -> str | None:
    """What the judge of this digest is known as; None for one that is not known."""
    return KNOWN.get(sha256)


def count_known(digests: Iterable[str]) -> int:
    """How many different judges of these digests are known."""
    return len(KNOWN.keys() & set(digests))


def judges_at_hand() -> list[Path]:
    """The known ones among insightface's models on this machine, as many as are wanted, the best first."""
    found = []
    for name, sha256 in INSIGHTFACE.items():
        file = Path(MODELS).expanduser() / name
        nested = file.parent / name  # as an archive leaves it that has a folder of its own
        found += [each for each in (file, nested) if is_file(each) and sha256_of_file(each) == sha256][:1]
    return found[:WANTED]
