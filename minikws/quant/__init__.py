"""The only translator from a float network to an integer graph.

After training: calibrate, then convert. During it: `quantization_aware`, then convert.
"""

from minikws.quant.calibrate import observe_ranges
from minikws.quant.choose import CHOICES, Calibration, calibrate
from minikws.quant.convert import convert, to_float_graph
from minikws.quant.fold import folded
from minikws.quant.layer_noise import layer_noise
from minikws.quant.lower import LOWERINGS
from minikws.quant.qat import is_quantization_aware, quantization_aware

__all__ = [
    "CHOICES",
    "LOWERINGS",
    "Calibration",
    "calibrate",
    "convert",
    "folded",
    "is_quantization_aware",
    "layer_noise",
    "observe_ranges",
    "quantization_aware",
    "to_float_graph",
]
