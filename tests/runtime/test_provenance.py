"""What made something."""

from importlib import metadata

import pytest

from sface_data.runtime.provenance import version_of


def test_the_version_is_that_of_the_first_that_is_installed() -> None:
    assert version_of("numpy") == metadata.version("numpy")
    assert version_of("no-such-distribution", "numpy", "scipy") == metadata.version("numpy")
    with pytest.raises(metadata.PackageNotFoundError):
        version_of("no-such-distribution", "none-either")
