"""A generator measured against the faces it was trained on, by the files of all three."""

from pathlib import Path
from typing import Annotated, Any

from sface_data.embedding.open import open_embedder
from sface_data.errors import BadInput
from sface_data.faces.base import identity_mark
from sface_data.faces.sources import open_source
from sface_data.faces.whole_faces import WholeFaces
from sface_data.generator.evaluation import evaluate
from sface_data.generator.generator_file import load_generator
from sface_data.generator.inception import Inception
from sface_data.runtime.arguments import MOST, Range, StrPath, checks_arguments


@checks_arguments
def evaluate_generator(
    network: StrPath,
    data: StrPath,
    *,
    embedder: StrPath,
    classes: Annotated[int, Range(2, MOST)] = 64,
    images_per_class: Annotated[int, Range(2, MOST)] = 50,
    inception: StrPath | None = None,
    skip_broken: bool = False,
) -> dict[str, Any]:
    """Measures a generator against the faces it was trained on, in the feature space of an embedder.

    Images are enlarged to the embedder's size.

    Args:
        network: a StyleGAN2-ADA snapshot (.pkl; nothing in it is executed) or .safetensors.
        data: the faces that it was trained on, of any form that `train_generator` takes.
        embedder: file of the embedder: .onnx, .safetensors of a training run, or a published .pth; or
            `demo`, which ships.
        classes: how many classes are looked at, spread over all.
        images_per_class: of each class, made and real.
        inception: weights of Inception as torch-fidelity publishes them: adds the Frechet distance that papers
            report, which takes some 10,000 images to mean the same as theirs.
        skip_broken: leave out images that cannot be decoded, instead of ending there.

    Returns:
        By name: numbers of classes and images; Frechet and kernel distance, precision and recall; AUC, EER and FDR
        of made classes, of real ones, and of made against real; 1 - mean cosine similarity within classes.

    Raises:
        BadInput: for files that cannot be used, and faces of other classes than the generator's.

    Example:
        >>> network, embedder = "generator/generator.safetensors", sface_data.DEMO_EMBEDDER
        >>> found = sface_data.evaluate_generator(network, "authentic", embedder=embedder, images_per_class=4)
        >>> found["classes"], 0 <= found["precision"] <= 1
        (8, True)
    """
    measured_in = None if inception is None else Inception(Path(inception))
    file = load_generator(network)
    opened = open_embedder(Path(embedder))
    faces = open_source(Path(data))
    if skip_broken:
        faces = WholeFaces(faces)
    known = file.trained_on.identities
    if known is not None and known != tuple(map(identity_mark, faces.class_names)):
        raise BadInput(f"{data}: of other people than {network} was trained on, or called otherwise; give those")
    return evaluate(file.generator, faces, opened, classes, images_per_class, measured_in)
