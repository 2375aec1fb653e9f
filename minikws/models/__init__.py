"""Every architecture, each a list of layers, with the recipe it trains well with."""

# Each module enters what it builds into ARCHITECTURES.
from minikws.models import (  # noqa: F401
    ds_cnn,
    raw_ds_conv,
    speech_commands,
    svdf_stream,
    tc_resnet,
)
from minikws.models.cost import Cost, costs
from minikws.models.registry import (
    ARCHITECTURES,
    Architecture,
    Builder,
    Recipe,
    architecture,
    build,
    enter,
)
from minikws.models.stack import Stack

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Builder",
    "Cost",
    "Recipe",
    "Stack",
    "architecture",
    "build",
    "costs",
    "enter",
]
