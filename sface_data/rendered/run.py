"""A folder of rendered faces, from a few numbers."""

from pathlib import Path
from typing import Annotated

from sface_data.rendered.folder import RenderRequest, fill_folder
from sface_data.runtime.arguments import Range, Seed, StrPath, checks_arguments
from sface_data.runtime.pool import cores
from sface_data.runtime.progress import progress_bar

_MANY = 200  # images from which processes save more time than they take to start


@checks_arguments
def render(
    outdir: StrPath,
    *,
    identities: Annotated[int, Range(1, 999_999)],
    images_per_identity: Annotated[int, Range(1, 999_999)],
    size: Annotated[int, Range(16, 1024)] = 112,
    seed: Seed = 0,
    strength: Annotated[float, Range(0, 1.5)] = 0.8,
) -> RenderRequest:
    """Draws faces of people who do not exist, from a mesh and random numbers.

    Fills `outdir` with `000000/000000.jpg` (identity / image) and so on, JPEG files aligned as ArcFace's are, and
    `landmarks.csv` with the exact five landmarks of each. An image depends on seed, size, strength, its identity
    and its number only. Stopped at any moment and called again with the same arguments, it goes on.

    More than a few images are made by processes, one for each core.

    Args:
        outdir: folder to fill: new, empty, or one to go on with.
        identities: number of identities, 1 to 999,999.
        images_per_identity: images of each, 1 to 999,999.
        size: side of the images in pixels, 16 to 1024.
        seed: another seed, other faces.
        strength: how much pose, light, tint, sharpness and noise vary, 0 to 1.5; 0 gives frontal faces.

    Returns:
        What was asked for, as in `request.json`; its length is the number of images.

    Raises:
        BadInput: for numbers out of range, and a folder that holds something else or cannot be written.

    Example:
        >>> len(sface_data.render("authentic", identities=8, images_per_identity=4, size=16))
        32
    """
    request = RenderRequest(identities, images_per_identity, size, seed, strength)
    workers = cores() if len(request) >= _MANY else 1
    blocks = fill_folder(Path(outdir), request, workers)
    done = 0
    with progress_bar(len(request), "images", smoothing=0.05) as bar:
        for block in blocks:
            done += block.found  # images that were there do not count as speed
            bar.initial = done
            bar.update(block.new + block.found)
    return request
