"""Settings, labels and operators of a model as C and C++ headers for TFLite Micro.

In comes what is known of a model, a `Firmware`; out come texts. All names begin with kws, so that
they stand beside any project's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws._typing import Array
from minikws.runtime.planner import Plan
from minikws.runtime.vectors import RunVectors
from minikws.tflite.c_source import c_header, c_string, comment, linkage
from minikws.tflite.resolver import Resolver

if TYPE_CHECKING:
    from minikws.frontend import Frontend
    from minikws.graph import Tensor

ARENA_STEP = 1024
MARGIN = 8  # an eighth of head and tail; kernels of a vendor's library take scratch memory
LINEAR_PLANNER_BYTES = 8192  # the planner that lets no tensors share memory counts 1024 offsets
# What the microfrontend library's FrontendConfig calls the settings.
_LIBRARY_FIELDS: Mapping[str, str] = {
    "window_ms": "window.size_ms",
    "hop_ms": "window.step_size_ms",
    "n_mels": "filterbank.num_channels",
    "lower_hz": "filterbank.lower_band_limit",
    "upper_hz": "filterbank.upper_band_limit",
    "smoothing_bits": "noise_reduction.smoothing_bits",
    "even_smoothing": "noise_reduction.even_smoothing",
    "odd_smoothing": "noise_reduction.odd_smoothing",
    "min_signal_remaining": "noise_reduction.min_signal_remaining",
    "enable_pcan": "pcan_gain_control.enable_pcan",
    "pcan_strength": "pcan_gain_control.strength",
    "pcan_offset": "pcan_gain_control.offset",
    "gain_bits": "pcan_gain_control.gain_bits",
    "enable_log": "log_scale.enable_log",
    "scale_shift": "log_scale.scale_shift",
}
_MICRO_INT8 = """\
/* From the frontend's 16-bit value to the model's int8: 256 steps for 0 to 666. */
#define KWS_FEATURE_INT8(v) \\
  (((v) * 256 + 333) / 666 > 255 ? 127 : ((v) * 256 + 333) / 666 - 128)
"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Firmware:
    """What the texts are made of.

    model_name : the file's.
    input, output : the model's tensors.
    labels : in the order of the outputs; () where they are not known.
    frontend : None where it is not known; then there are no samples and features either.
    clip : what the samples are, in words.
    samples, features : (N,) int16 and (T, F) as the board computes them, int8 or float32; empty
        without a frontend.
    recognizer : what the file says of its use on a stream, {} where nothing.
    vectors : the runs; all together they take the clip's features, a few frames each where the
        model has a memory.
    """

    model_name: str
    input: Tensor
    output: Tensor
    labels: Sequence[str]
    frontend: Frontend | None
    recognizer: Mapping[str, Any]
    planned: Plan
    tail_bytes: int
    resolver: Resolver
    clip: str
    samples: Array
    features: Array
    vectors: RunVectors

    @property
    def has_int8_features(self) -> bool:
        """Whether the frontend's own integers go into the model."""
        return self.frontend is not None and self.features.dtype == np.int8

    @property
    def arena_bytes(self) -> int:
        """Head, tail and a margin, in whole KiB."""
        used = self.planned.arena_bytes + self.tail_bytes
        return math.ceil((used + used // MARGIN) / ARENA_STEP) * ARENA_STEP

    @property
    def preserving_arena_bytes(self) -> int:
        """The arena in which every tensor has a place of its own, as the self-test needs it."""
        tensors = sum(buffer.n_bytes for buffer in self.planned.buffers)
        used = tensors + self.tail_bytes + LINEAR_PLANNER_BYTES
        return math.ceil(used / ARENA_STEP) * ARENA_STEP


def settings_header(firmware: Firmware) -> str:
    """Return kws_settings.h: arena, input and output, and the features, as macros."""
    planned, tail = firmware.planned, firmware.tail_bytes
    lines = [
        "/* Memory: the head is TFLite Micro's plan of the tensors, the tail an estimate of what",
        "   it keeps beside them (64-bit; 32-bit boards need less). Once the model runs, set the",
        "   arena to what MicroInterpreter::arena_used_bytes() says. */",
        f"#define KWS_ARENA_HEAD_BYTES {planned.arena_bytes}",
        f"#define KWS_ARENA_TAIL_BYTES {tail}",
        f"#define KWS_ARENA_BYTES {firmware.arena_bytes}",
        "/* The self-test's, where no two tensors share memory. */",
        f"#define KWS_ARENA_PRESERVING_BYTES {firmware.preserving_arena_bytes}",
        "/* What MicroResourceVariables must hold; 0: the model has none. */",
        f"#define KWS_RESOURCE_VARIABLES {firmware.resolver.resource_variables}",
        "",
        "/* The model's input and output: real value = scale * (integer - zero point). */",
        *_tensor_lines("INPUT", firmware.input),
        *_tensor_lines("OUTPUT", firmware.output),
        f"#define KWS_OUTPUT_IS_EXACT {int(firmware.output.dtype != 'float32')}",
        f"#define KWS_LABEL_COUNT {len(firmware.labels)}",
    ]
    if firmware.frontend is not None:
        lines += ["", *_feature_lines(firmware.frontend, firmware)]
    if firmware.recognizer:
        lines += ["", "/* How the scores of a stream become words. */"]
        lines += _define("KWS_RECOGNIZER_", firmware.recognizer)
    about = f"The numbers that a firmware around {comment(firmware.model_name)} needs."
    return c_header("kws_settings", about, "\n".join(lines) + "\n")


def _tensor_lines(side: str, tensor: Tensor) -> list[str]:
    lines = [f"#define KWS_{side}_SIZE {math.prod(tensor.shape)} /* values, {tensor.dtype} */"]
    if tensor.scale:
        lines.append(f"#define KWS_{side}_SCALE {tensor.scale[0]!r}f")
        lines.append(f"#define KWS_{side}_ZERO_POINT ({tensor.zero_point[0]})")
    return lines


def _feature_lines(frontend: Frontend, firmware: Firmware) -> list[str]:
    settings = frontend.settings
    stored = settings.to_json()
    kind = stored.pop("kind")
    is_library = kind == "micro"
    fields = "\n   Beside them stand the fields of the microfrontend library's FrontendConfig."
    lines = [
        "/* The features, as the model was trained: nothing here may differ."
        f"{fields if is_library else ''} */",
        f"#define KWS_FRONTEND {c_string(kind)}",
        f"#define KWS_FRONTEND_{kind.upper()} 1",
        f"#define KWS_CLIP_SAMPLES {settings.clip_samples}",
        f"#define KWS_WINDOW_SAMPLES {settings.window_samples}",
        f"#define KWS_HOP_SAMPLES {settings.hop_samples}",
        f"#define KWS_FFT_SIZE {settings.fft_size}",
        f"#define KWS_FRAMES {settings.n_frames} /* of a clip */",
        f"#define KWS_FEATURES {settings.n_features} /* of a frame */",
        f"#define KWS_FRAMES_PER_RUN {firmware.vectors.inputs.shape[1] // settings.n_features}",
    ]
    lines += _define("KWS_", stored, _LIBRARY_FIELDS if is_library else {})
    return [*lines, *(_MICRO_INT8.splitlines() if firmware.has_int8_features else ())]


def _define(
    prefix: str, settings: Mapping[str, Any], notes: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """Return a line for each number, text, yes or no; a yes is 1."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, bool | int | float | str):
            literal = c_string(value) if isinstance(value, str) else repr(value * 1)
            note = f" /* {notes[name]} */" if name in notes else ""
            lines.append(f"#define {prefix}{name.upper()} {literal}{note}")
    return lines


def labels_files(firmware: Firmware) -> dict[str, str]:
    """Return kws_labels.h and .c: the words, in the order of the outputs."""
    declaration = "extern const char *const kws_labels[KWS_LABEL_COUNT];\n"
    words = ",\n".join(f"  {c_string(label)}" for label in firmware.labels)
    about = "The labels in the order of the model's outputs."
    return {
        "kws_labels.h": c_header(
            "kws_labels", about, f'#include "kws_settings.h"\n\n{linkage(declaration)}'
        ),
        "kws_labels.c": f'/* {about} */\n#include "kws_labels.h"\n\n'
        f"const char *const kws_labels[KWS_LABEL_COUNT] = {{\n{words}\n}};\n",
    }


def resolver_header(resolver: Resolver) -> str:
    """Return kws_op_resolver.h (C++): the operators that the model needs, and no others."""
    lines = [
        f"  if (resolver.{method}() != kTfLiteOk) return kTfLiteError;"
        for method in resolver.methods
    ]
    body = (
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n\n'
        "namespace kws {\n\n"
        f"using OpResolver = tflite::MicroMutableOpResolver<{resolver.size}>;\n\n"
        "inline TfLiteStatus RegisterOps(OpResolver& resolver) {\n"
        + "\n".join(lines)
        + "\n  return kTfLiteOk;\n}\n\n}  /* namespace kws */\n"
    )
    return c_header("kws_op_resolver", "The operators of the model, for TFLite Micro (C++).", body)
