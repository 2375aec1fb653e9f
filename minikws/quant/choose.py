"""Choose the range of every tensor by what it does to the answer.

A tensor's own rounding error says little: the first cepstral coefficient is far larger than the
others, so that the whole range keeps it best, and leaves the others, which tell the words apart,
steps as large as themselves. So each choice is tried where it counts. The network runs with its
weights and all tensors up to this one rounded, the later ones exact, and the way of
`quant.ranges` is taken that leaves the logits the best signal-to-noise ratio. In come a trained
network and training features, out come scales and zero points, which `quant.convert` stores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from minikws._typing import Features, Float
from minikws.errors import SettingsError, nearest
from minikws.nn import FakeQuant, Layer, Network
from minikws.quant.builder import INT8_MAX, INT8_MIN, Quantization
from minikws.quant.calibrate import observe_histograms
from minikws.quant.noise import Noise
from minikws.quant.qat import quantization_aware, ranges_of, without_rounding
from minikws.quant.ranges import METHODS, quantization_of

# What may be asked for -> the ways that are tried.
CHOICES: dict[str, tuple[str, ...]] = {
    "auto": tuple(METHODS),
    "minmax": ("minmax",),
    "percentile": tuple(name for name in METHODS if name.startswith("percentile")),
    "mse": ("mse",),
}
Options = Mapping[str, Mapping[str, Quantization]]  # name of a tensor -> way -> scale, zero point

TRIAL_CLIPS = 100
WORTH_DB = 0.1  # by which a later way must win: less may be chance


@dataclass(frozen=True)
class Calibration:
    """What 8 bits hold of each layer's values, and what that leaves of the logits.

    quantizations : {"features" or layer name: (scale, zero point)}.
    methods : for the tensors that the file stores anew, which of `ranges.METHODS` was taken.
    sqnr_db, minmax_sqnr_db : signal-to-noise ratio of the logits with weights and tensors rounded
        as chosen, and with whole ranges throughout; None where nothing was lost.
    """

    quantizations: Mapping[str, Quantization]
    methods: Mapping[str, str]
    sqnr_db: float | None
    minmax_sqnr_db: float | None


def calibrate(
    network: Network,
    features: Features,
    choice: str = "auto",
    *,
    input_quantization: Quantization | None = None,
) -> Calibration:
    """Choose how the input and each layer's output is stored in int8.

    Parameters
    ----------
    network : features (T, F) to logits (L,); what `quantization_aware` has put around it is left
        out, and its ranges with it.
    features : (n, T, F), real units, of training clips, some hundreds.
    choice : a name of `CHOICES`.
    input_quantization : the frontend's own scale and zero point, where it has one.

    Raises
    ------
    SettingsError : an unknown choice, no features, or values that are not finite.
    ShapeError : features of another size than the network's.
    """
    if choice not in CHOICES:
        raise SettingsError(f"unknown calibration {choice!r}; {nearest(choice, CHOICES)}")
    network = without_rounding(network)
    ways = CHOICES[choice]
    options: Options = {
        name: {way: quantization_of(METHODS[way](histogram)) for way in {*ways, "minmax"}}
        for name, histogram in observe_histograms(network, features).items()
    }
    some = features[:: math.ceil(len(features) / TRIAL_CLIPS)]
    trial = _Trial(network, some, input_quantization)
    whole = dict.fromkeys(options, "minmax")
    whole_db = trial.sqnr_db(options, whole)
    chosen = dict.fromkeys(options, ways[0])
    if len(ways) > 1:
        chosen |= trial.choose(options, ways)
    chosen_db = trial.sqnr_db(options, chosen)
    if choice == "auto" and _worth(chosen_db) < _worth(whole_db):
        chosen, chosen_db = whole, whole_db
    return Calibration(
        {name: options[name][way] for name, way in chosen.items()},
        {name: chosen[name] for name in trial.knobs},
        chosen_db,
        whole_db,
    )


class _Trial:
    """A network whose tensors can be rounded one by one, and its exact logits.

    knobs : what rounds each tensor that the int8 file stores anew, by its name.
    """

    def __init__(
        self, network: Network, features: Features, input_quantization: Quantization | None
    ) -> None:
        self.features, self.exact = features, network.predict(features)
        rounded = quantization_aware(network, input_quantization)
        self.layers = [layer for _, layer in rounded.layers]
        self.by_layer: list[dict[str, FakeQuant]] = [
            {name: knob for name, knob in ranges_of([pair]).items() if knob.fixed is None}
            for pair in rounded.layers
        ]
        self.knobs = {name: knob for knobs in self.by_layer for name, knob in knobs.items()}

    def sqnr_db(self, options: Options, chosen: Mapping[str, str]) -> float | None:
        """Return the signal-to-noise ratio of the logits with every tensor rounded."""
        for name, knob in self.knobs.items():
            _set(knob, options[name][chosen[name]])
        return self._after(self.layers, self.features)

    def choose(self, options: Options, ways: tuple[str, ...]) -> dict[str, str]:
        """Return the best way for each tensor, from the first one on, those before it rounded."""
        for knob in self.knobs.values():
            _set(knob, None)
        chosen: dict[str, str] = {}
        x: Float = self.features
        for i, (layer, knobs) in enumerate(zip(self.layers, self.by_layer, strict=True)):
            for name, knob in knobs.items():
                best = -math.inf
                for way in ways:
                    _set(knob, options[name][way])
                    found = _worth(self._after(self.layers[i:], x))
                    if name not in chosen or found > best + WORTH_DB:
                        chosen[name], best = way, found
                _set(knob, options[name][chosen[name]])
            x = layer.forward(x)
        return chosen

    def _after(self, layers: list[Layer], x: Float) -> float | None:
        for layer in layers:
            x = layer.forward(x)
        noise = Noise()
        noise.add(self.exact, x)
        return noise.db


def _set(knob: FakeQuant, quantization: Quantization | None) -> None:
    """Round by this scale and zero point, or not at all."""
    averages, weight = knob.buffers["averages"], knob.buffers["weight"]
    weight[:] = quantization is not None
    if quantization is not None:
        scale, zero_point = quantization
        averages[:] = scale * (INT8_MIN - zero_point), scale * (INT8_MAX - zero_point)


def _worth(db: float | None) -> float:
    """Return a ratio that can be compared: no noise is best."""
    return math.inf if db is None else db
