"""A whole data set, from a generator to the folder that is published."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.workspace import open_workspace
from sface_data.generation.build import build, estimate
from sface_data.generation.job import plan_job
from sface_data.release.contents import finish
from sface_data.release.licences import Licence, check_licence
from sface_data.runtime.arguments import Align, Count, StrPath, checks_arguments


@dataclass(frozen=True)
class FaceDataset(os.PathLike[str]):
    """A finished data set; every function that takes the folder of one takes this.

    Attributes:
        path: its folder.
        manifest: its plan, and the shards that there are.
    """

    path: Path
    manifest: Manifest = field(repr=False)

    def __fspath__(self) -> str:
        return str(self.path)


@checks_arguments
def generate(
    outdir: StrPath,
    *,
    network: StrPath | None = None,
    classes: str | None = None,
    new_identities: int | None = None,
    identity_seed: int | None = None,
    mix: int | None = None,
    samples_per_class: int = 60,
    seed: int = 0,
    trunc: float = 1.0,
    trunc_cutoff: int | None = None,
    trunc_center: Literal["global", "class"] = "global",
    noise_mode: Literal["const", "random", "none"] = "const",
    size: int = 112,
    align: Align = "none",
    detector: StrPath = "buffalo_l",
    format: Literal["jpg", "png", "webp"] = "jpg",
    quality: int | None = None,
    split: str = "train",
    samples_per_shard: int = 10_000,
    batch: Count | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    licence: Licence | None = None,
    overwrite: bool = False,
) -> FaceDataset:
    """Makes a class-labelled data set of synthetic faces, as WebDataset shards.

    Stopped at any moment and called again with the same arguments, it makes only what is missing. Images depend
    on the generator, seed, class and index, truncation, noise mode, precision and form, and on nothing else.

    Args:
        outdir: folder of the data set: new, empty, or one to go on with.
        network: generator: a StyleGAN2-ADA snapshot (.pkl; nothing in it is executed) or .safetensors; the one
            that ships by default.
        classes: ranges such as `0-9,12,20-29`; all by default.
        new_identities: draw so many classes that the generator was not trained on, in place of `classes`.
        identity_seed: what that draw derives from; 0 by default.
        mix: make each new identity an equal mixture of so many training classes.
        samples_per_class: images of each class.
        seed: what the seeds of all images derive from.
        trunc: truncation psi, 0 to 2; 1 for full variety.
        trunc_cutoff: truncate only the first layers, so many; all by default.
        trunc_center: `global`: towards the mean w of all classes; `class`: of the image's class.
        noise_mode: `const`: the network's own; `random`: drawn for each image from its seed; `none`.
        size: height and width of the images in pixels; the generator's are resized to it.
        align: `detect`: find the face in each image and put its landmarks where ArcFace has them; `none`.
        detector: for `align="detect"`: an .onnx file, or the name of a model in `~/.insightface/models`.
        format: `jpg`, `png` or `webp`.
        quality: 1 to 100, for jpg and webp; 95 by default.
        split: name of the split.
        samples_per_shard: images per tar.
        batch: images at a time; 64 by default, fewer for large networks on a CPU.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        precision: of the convolutions: `auto`, `fp32`, `bf16` or `fp16`.
        licence: by default the one that the folder has, else that of the generator.
        overwrite: replace the data set of another plan that the folder holds.

    Returns:
        The data set: hand it to `load`, `validate`, `audit`, `publish`, or to whatever takes a path.

    Raises:
        BadInput: for files, a folder, a device or options that cannot be used, for values that are not finite, a
            full disk, and classes with too few faces found. What was finished is kept.

    Example:
        >>> import sface_data
        >>> faces = sface_data.generate("faces", classes="0-3", samples_per_class=2)
        >>> faces.path.name, faces.manifest.num_samples
        ('faces', 8)
    """
    folder = Path(outdir)
    job = plan_job(
        None if network is None else Path(network),
        classes=classes,
        new_identities=new_identities,
        identity_seed=identity_seed,
        mix=mix,
        samples_per_class=samples_per_class,
        seed=seed,
        trunc=trunc,
        trunc_cutoff=trunc_cutoff,
        trunc_center=trunc_center,
        noise_mode=noise_mode,
        size=size,
        align=align,
        detector=os.fspath(detector),
        format=format,
        quality=quality,
        split=split,
        samples_per_shard=samples_per_shard,
        batch=batch,
        device=device,
        precision=precision,
    )
    if overwrite:
        estimate(job)  # what is there goes only if the new images can be made
    else:
        check_licence(folder, licence)
    with open_workspace(folder, job.plan, overwrite) as workspace:
        manifest = build(workspace, job)
        finish(workspace, manifest, licence)
    return FaceDataset(folder, manifest)
