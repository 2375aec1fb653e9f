"""The only translator from a float network to an integer graph: calibrate, then convert."""

from minikws.quant.calibrate import observe_ranges
from minikws.quant.convert import LOWERINGS, convert, to_float_graph

__all__ = ["LOWERINGS", "convert", "observe_ranges", "to_float_graph"]
