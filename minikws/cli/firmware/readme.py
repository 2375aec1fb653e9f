"""The README of a firmware's folder: what the files are, and how a board is held against them."""

from __future__ import annotations

from minikws.cli.firmware.headers import Firmware
from minikws.cli.firmware.test_vectors import scores_of

_TEXT = """\
{model_name} for TFLite Micro
{line}

The model takes {n_bytes} bytes of flash and about {used} bytes of memory: {head} for tensors
(the head of the arena, exact) and about {tail} for what TFLite Micro keeps beside them (the
tail, an estimate). KWS_ARENA_BYTES, {arena}, leaves a margin. Once the model runs on the board, set
the arena to what MicroInterpreter::arena_used_bytes() says. Kernels of a vendor's library
(CMSIS-NN, ESP-NN) may ask for scratch memory beyond it; AllocateTensors() fails where it is short.

The files
  kws_model.c .h           the model, an array that starts at a multiple of 16 (C)
{labels}  kws_settings.h           arena, input, output{features}: macros (C)
  kws_op_resolver.h        the {n_ops} operators the model needs, no others (C++)
  kws_test_vectors.c .h    what the model makes of {clip}:
                           {steps} (C; not for shipping)
  kws_self_test.cc .h      runs the model on the board and compares every tensor (C++; needs
                           {preserving} bytes of memory, since no two tensors may share any)

How to use them
  1. Add the files to a project that has TFLite Micro. The C files compile as C99 and as C++11; an
     Arduino project wants kws_self_test.cc renamed to .cpp.
  2. Make the interpreter:

       alignas(16) static uint8_t arena[KWS_ARENA_BYTES];
       static kws::OpResolver resolver;
       kws::RegisterOps(resolver);
{interpreter}       interpreter.AllocateTensors();

  3. Give it input, and read its output:

       memcpy(interpreter.input(0)->data.raw, features, interpreter.input(0)->bytes);
       interpreter.Invoke();
       /* interpreter.output(0)->data: KWS_OUTPUT_SIZE values{output_order} */
{feature_text}
Does the board compute the same?
  1. Call kws::SelfTest(). It returns 0 where every integer is the same, and says which tensors
     differ where not. The operators compute in the order of their numbers, so the tensor of the
     lowest one shows the cause. {result}
     Integers are equal on every board with TFLite Micro's reference kernels; a library built with
     TFLITE_SINGLE_ROUNDING=1, and some vendors' kernels, differ by one step here and there.
{feature_test}{crc_number}. Where flash is short, compile with KWS_TEST_CRC_ONLY to compare CRC-32s.
"""


def readme(firmware: Firmware, *, n_bytes: int) -> str:
    """Return the text."""
    planned = firmware.planned
    has_features = bool(firmware.samples.size)
    name = f"{firmware.model_name} for TFLite Micro"
    return _TEXT.format(
        model_name=firmware.model_name,
        line="=" * len(name),
        n_bytes=n_bytes,
        used=planned.arena_bytes + firmware.tail_bytes,
        head=planned.arena_bytes,
        tail=firmware.tail_bytes,
        arena=firmware.arena_bytes,
        preserving=firmware.preserving_arena_bytes,
        labels="  kws_labels.c .h          the words, in the order of the outputs (C)\n"
        if firmware.labels
        else "",
        features=" and features" if has_features else "",
        n_ops=firmware.resolver.size,
        clip=firmware.clip,
        result=_result(firmware),
        steps="samples, features, every tensor, the scores"
        if has_features
        else "inputs, every tensor, outputs",
        interpreter=_interpreter(firmware),
        output_order=", in the order of kws_labels" if firmware.labels else "",
        feature_text=_feature_text(firmware),
        feature_test=_FEATURE_TEST if has_features else "",
        crc_number="  3" if has_features else "  2",
    )


def _result(firmware: Firmware) -> str:
    scores = scores_of(firmware)
    if not scores:
        return "The outputs must be kws_test_outputs."
    best = max(scores, key=lambda label: scores[label])
    return f"The last output must be {best}, {scores[best]:.5f}."


def _interpreter(firmware: Firmware) -> str:
    if not firmware.resolver.resource_variables:
        return (
            "       static tflite::MicroInterpreter interpreter(\n"
            "           tflite::GetModel(g_kws_model), resolver, arena, sizeof(arena));\n"
        )
    return (
        "       tflite::MicroAllocator* allocator =\n"
        "           tflite::MicroAllocator::Create(arena, sizeof(arena));\n"
        "       tflite::MicroResourceVariables* variables =\n"
        "           tflite::MicroResourceVariables::Create(allocator, KWS_RESOURCE_VARIABLES);\n"
        "       static tflite::MicroInterpreter interpreter(\n"
        "           tflite::GetModel(g_kws_model), resolver, allocator, variables);\n"
    )


_FEATURE_TEST = """\
  2. Feed kws_test_samples to the board's own frontend, from its reset state, and compare what it
     makes with kws_test_features. Start here where the self-test passes and live words do not.
"""


def _feature_text(firmware: Firmware) -> str:
    frontend = firmware.frontend
    if frontend is None:
        return ""
    settings = frontend.settings
    n_frames = firmware.vectors.inputs.shape[1] // settings.n_features
    lines = [
        "",
        "The features",
        f"  {settings.kind}: {settings.n_features} of a window of {settings.window_samples} "
        f"samples, every {settings.hop_samples} samples, at {settings.sample_rate_hz} Hz.",
    ]
    if settings.kind == "micro":
        lines += [
            "  They are those of the microfrontend library, or of TFLite Micro's preprocessor",
            '  model where KWS_VARIANT is "preprocessor"; kws_settings.h names the fields of',
            "  FrontendConfig.",
        ]
    if firmware.has_int8_features:
        lines.append("  KWS_FEATURE_INT8(v) turns its 16-bit values into the model's input.")
    elif firmware.input.scale:
        lines.append(
            "  A feature v goes in as round(v / KWS_INPUT_SCALE) + KWS_INPUT_ZERO_POINT, clamped "
            "to the type."
        )
    if n_frames == settings.n_frames:
        lines.append(
            f"  The model takes all {n_frames} frames of the last {settings.clip_ms:g} ms at once."
        )
    else:
        lines += [
            f"  The model takes {n_frames} new frame{'s' if n_frames > 1 else ''} a run and keeps "
            "what it needs of earlier ones:",
            "  call Invoke() for each, and Reset() where the sound starts anew.",
        ]
    return "\n".join(lines) + "\n"
