"""A whole data set, from a generator to the folder that is published."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sface_data.dataset.manifest import Manifest
from sface_data.dataset.part import Part
from sface_data.dataset.workspace import open_workspace
from sface_data.generation.build import build, estimate, fitted
from sface_data.generation.job import PlanOptions, plan_job
from sface_data.release.contents import finish
from sface_data.release.licences import Licence, check_licence
from sface_data.runtime.arguments import StrPath, Workers, takes
from sface_data.runtime.ray_workers import Cluster, Engine


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


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(PlanOptions):
    """What a data set is made from.

    Attributes:
        licence: by default the one that the folder has, else that of the generator.
        overwrite: replace the data set of another plan that the folder holds, and shards that were made where
            images may come out otherwise.
        workers: processes that make images; by default one for each core, or for each GPU.
        part: make only a part of the shards: `I/N`, I from 0 to N-1, or `auto`. Others may make theirs in the same
            folder at the same time; the one that finds all shards there finishes the data set.
        extend: make more samples per class than the finished data set in the folder has, and keep its full shards.
            Its certificate is removed, as it is of other bytes.
        engine: `local`: the workers are processes of this machine; `ray`: they run on a cluster of Ray.
        address: of that cluster, as `ray.init` takes it; by default the one that the environment names, else one
            on this machine for as long as it takes.
    """

    licence: Licence | None = None
    overwrite: bool = False
    workers: Workers | None = None
    part: str | None = None
    extend: bool = False
    engine: Engine = "local"
    address: str | None = None


@takes(GenerateOptions)
def generate(outdir: StrPath, options: GenerateOptions) -> FaceDataset:
    """Makes a class-labelled data set of synthetic faces, as WebDataset shards.

    Stopped at any moment and called again with the same arguments, it makes only what is missing. Images depend
    on the generator, seed, class and index, truncation, noise mode, precision and form, and on nothing else: not
    on the number of workers or parts, nor on threads.

    Args:
        outdir: folder of the data set: new, empty, or one to go on with.

    Returns:
        The data set: hand it to `load`, `validate`, `audit`, `publish`, or to whatever takes a path. While shards
        of other parts are missing, its manifest lists those that there are.

    Raises:
        BadInput: for files, a folder, a device or options that cannot be used, for values that are not finite, a
            full disk, and classes with too few faces found. What was finished is kept.

    Example:
        >>> import sface_data
        >>> faces = sface_data.generate("faces", classes="0-3", samples_per_class=2)
        >>> faces.path.name, faces.manifest.num_samples
        ('faces', 8)
    """
    folder, part = Path(outdir), Part.parse(options.part)
    cluster = Cluster.of(options.engine, options.address)
    job = plan_job(options)
    if options.batch is None and job.device.type == "cuda" and cluster is None:
        job = fitted(job)
    if options.overwrite:
        estimate(job)  # what is there goes only if the new images can be made
    else:
        check_licence(folder, options.licence)
    with open_workspace(folder, job.plan, part, options.overwrite, options.extend) as workspace:
        build(workspace, job, options.workers, options.overwrite, cluster)
        with workspace.alone():
            manifest = workspace.found()
            if len(manifest.shards) == job.plan.num_shards:
                finish(workspace, manifest, options.licence)
    return FaceDataset(folder, manifest)
