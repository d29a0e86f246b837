"""What an embedder of faces says about a generator and the faces it was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sface_data.errors import BadInput
from sface_data.generator.labelled import LabelledFaces
from sface_data.generator.metrics import (
    Features,
    frechet_distance,
    kernel_distance,
    precision_and_recall,
    separability,
)
from sface_data.generator.networks import Generator
from sface_data.generator.sampler import latents, resize
from sface_data.plan import spec_of

_BATCH = 32


class Judge:
    """An embedder in an ONNX file: [N,3,112,112], RGB, (x - 127.5) / 127.5, to [N,D], as ArcFace's are.

    Raises:
        BadInput: if the file is none.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        if not path.is_file():
            raise BadInput(f"{path}: no such file; give an embedder of faces as .onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except (errors.InvalidProtobuf, errors.InvalidArgument, errors.InvalidGraph, errors.Fail) as error:
            raise BadInput(f"{path}: not an ONNX file; get it again") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(outputs) != 1 or len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
            raise BadInput(f"{path}: not an embedder of faces; one input [N,3,R,R] and one output are expected")
        self._name = inputs[0].name
        self.size: int = shape[2] if isinstance(shape[2], int) else 112

    def features(self, images: torch.Tensor) -> Features:
        """Of images [N,3,R,R], -1 to 1, of any size: [N,D], scaled to a root mean square of one.

        Only the direction of an embedding means anything.
        """
        levels = (resize(images, self.size) * 127.5 + 127.5).clamp(0, 255).round()
        values = ((levels - 127.5) / 127.5).numpy().astype(np.float32)
        features = self._session.run(None, {self._name: values})[0].astype(np.float64)
        return features / np.sqrt(np.square(features).mean(axis=1, keepdims=True))


def evaluate(
    generator: Generator, source: LabelledFaces, judge: Judge, classes: int, per_class: int
) -> dict[str, Any]:
    """Compares images of a generator with the faces it was trained on.

    Args:
        generator: conditional; its classes are those of `source`.
        classes: how many classes are looked at, spread over all.
        per_class: images of each, made and real.

    Raises:
        BadInput: if the generator has other classes than the source.
    """
    total = len(source.class_names)
    if generator.config.c_dim != total:
        raise BadInput(
            f"the faces are of {total} classes, but the generator has {generator.config.c_dim}; "
            "give the faces that it was trained on"
        )
    chosen = [i * total // min(classes, total) for i in range(min(classes, total))]
    made, made_classes = _made(generator, judge, chosen, per_class)
    real, real_classes = _real(source, judge, chosen, per_class)
    precision, recall = precision_and_recall(real, made)
    within, training = separability(made, made_classes), separability(real, real_classes)
    across = separability(made, made_classes, real, real_classes)
    return {
        "classes": len(chosen),
        "images_made": len(made),
        "images_real": len(real),
        "frechet_distance": frechet_distance(real, made),
        "kernel_distance": kernel_distance(real, made),
        "precision": precision,
        "recall": recall,
        "made_auc": within.auc,
        "made_eer": within.eer,
        "made_fdr": within.fdr,
        "made_diversity_in_class": 1 - within.mated_mean,
        "real_auc": training.auc,
        "real_eer": training.eer,
        "real_fdr": training.fdr,
        "real_diversity_in_class": 1 - training.mated_mean,
        "made_against_real_auc": across.auc,
        "made_against_real_eer": across.eer,
        "made_against_real_fdr": across.fdr,
    }


@torch.no_grad()
def _made(
    generator: Generator, judge: Judge, classes: list[int], per_class: int
) -> tuple[Features, NDArray[np.int64]]:
    specs = [spec_of(0, c, i) for c in classes for i in range(per_class)]
    features = []
    for first in range(0, len(specs), _BATCH):
        batch = specs[first : first + _BATCH]
        indices = torch.tensor([spec.class_index for spec in batch])
        features.append(judge.features(generator(latents(batch, generator.config.z_dim), indices)))
    return np.concatenate(features), np.array([spec.class_index for spec in specs])


def _real(
    source: LabelledFaces, judge: Judge, classes: list[int], per_class: int
) -> tuple[Features, NDArray[np.int64]]:
    places = np.concatenate([np.flatnonzero(source.class_indices == c)[:per_class] for c in classes])
    features = []
    for place in places.tolist():
        pixels = torch.from_numpy(source[place].decode().copy()).permute(2, 0, 1)[None]  # [1,3,H,W]
        features.append(judge.features(pixels.float() / 127.5 - 1))
    return np.concatenate(features), source.class_indices[places]
