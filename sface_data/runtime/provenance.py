"""What made something: versions of the libraries that the bytes depend on."""

import platform
from contextlib import suppress
from importlib import metadata

_LIBRARIES = ("sface-data", "torch", "numpy", "simplejpeg", "pillow")


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that images depend on; nothing is imported."""
    found = {"python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _LIBRARIES}


def version_of(*names: str) -> str:
    """The version of the first of these distributions that is installed: several may provide one module.

    Raises:
        PackageNotFoundError: if none is.
    """
    for name in names[:-1]:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return metadata.version(names[-1])
