"""Every picture: an array comes in, a Matplotlib figure goes out, and a file where one is named."""

from minikws.plots.arena import draw_arena
from minikws.plots.sound import FeaturePicture, draw_features, draw_side_by_side, draw_waveform
from minikws.plots.stream import draw_diary, draw_stream_curve
from minikws.plots.training import draw_confusion_matrix, draw_curves, draw_sweep

__all__ = [
    "FeaturePicture",
    "draw_arena",
    "draw_confusion_matrix",
    "draw_curves",
    "draw_diary",
    "draw_features",
    "draw_side_by_side",
    "draw_stream_curve",
    "draw_sweep",
    "draw_waveform",
]
