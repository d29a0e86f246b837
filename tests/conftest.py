"""Fixtures that more than one room of the tests uses."""

from pathlib import Path

import pytest

from sface_data.faces.rendered.folder import RenderRequest, fill_folder

RENDERED = RenderRequest(identities=8, images_per_identity=6, size=64)


@pytest.fixture(scope="session")
def rendered_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sface-data render` makes of 8 identities x 6 images of 64 x 64 pixels. For reading only."""
    outdir = tmp_path_factory.mktemp("rendered") / "faces"
    for _ in fill_folder(outdir, RENDERED, workers=1):
        pass
    return outdir
