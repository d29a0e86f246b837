"""Names and depths of the backbones, for whoever chooses one without torch."""

from typing import Literal

IRESNETS = {  # blocks of each stage
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
BACKBONES = (*IRESNETS, "mobilefacenet", "tiny")
Backbone = Literal["iresnet18", "iresnet34", "iresnet50", "iresnet100", "mobilefacenet", "tiny"]
