"""Generate, use and certify class-labelled synthetic face data sets."""

from importlib.metadata import version as _version

__version__ = _version("sface-data")
