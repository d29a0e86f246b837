"""What made something: versions of the libraries that the bytes depend on."""

import platform
from importlib import metadata

_LIBRARIES = ("sface-data", "torch", "numpy", "simplejpeg", "pillow")


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that images depend on; nothing is imported."""
    found = {"python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _LIBRARIES}
