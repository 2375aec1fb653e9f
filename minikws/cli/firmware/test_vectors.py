"""The test vectors as C: a clip's samples and features, the runs, every tensor of the last one.

In comes a `Firmware`, out come a header and a source that need nothing but the C library. Beside
the arrays stand two functions that hold a board's tensor against them.
"""

from __future__ import annotations

import zlib

import numpy as np

from minikws.cli.firmware.headers import Firmware
from minikws.runtime.vectors import TensorVector
from minikws.tflite.c_source import c_array, c_header, c_string, c_type, comment


def vectors_files(firmware: Firmware) -> dict[str, str]:
    """Return kws_test_vectors.h and .c: a clip, its features, every tensor, the outputs."""
    vectors = firmware.vectors
    arrays = {"kws_test_inputs": vectors.inputs, "kws_test_outputs": vectors.outputs}
    if firmware.samples.size:
        arrays = {
            "kws_test_samples": firmware.samples,
            "kws_test_features": firmware.features,
            **arrays,
        }
    declared = "".join(
        f"extern const {c_type(values.dtype)} {name}[{values.size}];\n"
        for name, values in arrays.items()
    )
    header = c_header(
        "kws_test_vectors",
        f"What {comment(firmware.model_name)} makes of {comment(firmware.clip)}, step by step.",
        _VECTORS_HEADER.format(
            samples=firmware.samples.size,
            frames=len(firmware.features),
            runs=len(vectors.inputs),
            tensors=len(vectors.tensors),
            arrays=declared,
        ),
    )
    values = "\n".join(
        f"static {c_array(_value_name(tensor), tensor.values)}"
        for tensor in vectors.tensors
        if tensor.values.size
    )
    rows = ",\n".join(_row(tensor) for tensor in vectors.tensors)
    definitions = "\n".join(c_array(name, array) for name, array in arrays.items())
    words = ", ".join(f"{label} {score:.5f}" for label, score in scores_of(firmware).items())
    source = _VECTORS_SOURCE.format(
        result=comment(words) if words else "kws_test_outputs",
        definitions=definitions,
        values=values,
        rows=rows,
    )
    return {"kws_test_vectors.h": header, "kws_test_vectors.c": source}


def _value_name(tensor: TensorVector) -> str:
    return f"tensor_{tensor.index}"


def _row(tensor: TensorVector) -> str:
    little = np.ascontiguousarray(tensor.values, tensor.values.dtype.newbyteorder("<"))
    kind = f"KWS_{c_type(tensor.values.dtype).removesuffix('_t').upper()}"
    values = f"VALUES({_value_name(tensor)})" if tensor.values.size else "0"
    return (
        f"  {{{c_string(tensor.name)}, {tensor.index}, {tensor.op + 1}, {kind}, "
        f"{tensor.values.size}u, 0x{zlib.crc32(little.tobytes()):08x}u, {values}}}"
    )


def scores_of(firmware: Firmware) -> dict[str, float]:
    """Return the labels' scores after the last run, {} where there are no labels."""
    if not firmware.labels:
        return {}
    last = firmware.vectors.outputs[-1].tolist()
    scale, zero_point = firmware.output.scale or (1.0,), firmware.output.zero_point or (0,)
    return {
        label: scale[0] * (float(value) - zero_point[0])
        for label, value in zip(firmware.labels, last, strict=True)
    }


_VECTORS_HEADER = """\
#include <stdint.h>

/* Define KWS_TEST_CRC_ONLY where flash is short: tensors are then known by their CRC-32 alone
   (of the values in little-endian order, as zlib computes it), those of floats not at all. */

typedef enum {{
  KWS_INT8, KWS_UINT8, KWS_INT16, KWS_UINT16, KWS_INT32, KWS_UINT32, KWS_INT64, KWS_UINT64,
  KWS_FLOAT, KWS_DOUBLE
}} kws_type_t;

/* A tensor after the last run: its index in the model, the number of the operator that computes it
   (from 1, as minikws info counts; 0: the input, or a state that the model keeps), its values. */
typedef struct {{
  const char *name;
  int index;
  int op;
  kws_type_t type;
  uint32_t count;
  uint32_t crc32;
  const void *values; /* 0 where KWS_TEST_CRC_ONLY leaves them out */
}} kws_test_tensor_t;

#define KWS_TEST_SAMPLES {samples} /* 0: the model's frontend is not known */
#define KWS_TEST_FRAMES {frames}
#define KWS_TEST_RUNS {runs} /* in a row, from an empty memory */
#define KWS_TEST_TENSORS {tensors}

#ifdef __cplusplus
extern "C" {{
#endif
{arrays}extern const kws_test_tensor_t kws_test_tensors[KWS_TEST_TENSORS];

/* Returns the index of the first value of a tensor that differs from what it must be, -1 where
   none does; 0 where only the CRC is known and differs. Floats may differ by their rounding. */
long kws_test_first_difference(const kws_test_tensor_t *expected, const void *found);

/* Returns the CRC-32 of bytes, as zlib computes it. */
uint32_t kws_test_crc32(const void *bytes, uint32_t count);
#ifdef __cplusplus
}}
#endif
"""

_VECTORS_SOURCE = """\
/* The last run gives: {result}. */
#include "kws_test_vectors.h"

#include <math.h>
#include <string.h>

{definitions}
#ifdef KWS_TEST_CRC_ONLY
#define VALUES(array) 0
#else
#define VALUES(array) array
{values}#endif

const kws_test_tensor_t kws_test_tensors[KWS_TEST_TENSORS] = {{
{rows}
}};

static uint32_t bytes_of(kws_type_t type) {{
  switch (type) {{
    case KWS_INT8:
    case KWS_UINT8:
      return 1;
    case KWS_INT16:
    case KWS_UINT16:
      return 2;
    case KWS_INT32:
    case KWS_UINT32:
    case KWS_FLOAT:
      return 4;
    default:
      return 8;
  }}
}}

static double value_at(const void *values, kws_type_t type, uint32_t i) {{
  return type == KWS_FLOAT ? (double)((const float *)values)[i] : ((const double *)values)[i];
}}

uint32_t kws_test_crc32(const void *bytes, uint32_t count) {{
  const uint8_t *byte = (const uint8_t *)bytes;
  uint32_t crc = 0xffffffffu;
  uint32_t i;
  int bit;
  for (i = 0; i < count; i++) {{
    crc ^= byte[i];
    for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
  }}
  return ~crc;
}}

long kws_test_first_difference(const kws_test_tensor_t *expected, const void *found) {{
  const uint32_t size = bytes_of(expected->type);
  const int is_real = expected->type == KWS_FLOAT || expected->type == KWS_DOUBLE;
  double largest = 0.0;
  uint32_t i;
  if (expected->values == 0) {{
    if (is_real) return -1;
    return kws_test_crc32(found, size * expected->count) == expected->crc32 ? -1 : 0;
  }}
  if (!is_real) {{
    const uint8_t *a = (const uint8_t *)expected->values;
    const uint8_t *b = (const uint8_t *)found;
    for (i = 0; i < expected->count; i++) {{
      if (memcmp(a + size * i, b + size * i, size) != 0) return (long)i;
    }}
    return -1;
  }}
  for (i = 0; i < expected->count; i++) {{
    const double value = fabs(value_at(expected->values, expected->type, i));
    if (value > largest) largest = value;
  }}
  for (i = 0; i < expected->count; i++) {{
    const double a = value_at(expected->values, expected->type, i);
    const double b = value_at(found, expected->type, i);
    if (!(fabs(a - b) <= 1e-5 * largest + 1e-6)) return (long)i;
  }}
  return -1;
}}
"""
