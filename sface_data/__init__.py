"""Generate, use and certify class-labelled synthetic face data sets.

>>> import sface_data
>>> faces = sface_data.generate("faces")
>>> rows = sface_data.load(faces)
"""

from typing import TYPE_CHECKING, Any

from sface_data import api

if TYPE_CHECKING:
    from sface_data.api import *  # noqa: F403

    __version__: str

__all__ = list(api.MODULES)


def __dir__() -> list[str]:
    return [*api.MODULES, "__version__"]


if not TYPE_CHECKING:  # type checkers know the names from above

    def __getattr__(name: str) -> Any:
        if name != "__version__":
            return getattr(api, name)
        from importlib.metadata import version

        return version("sface-data")
