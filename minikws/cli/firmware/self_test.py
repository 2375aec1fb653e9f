"""The self-test as C++ for TFLite Micro: the same text for every model."""

from __future__ import annotations

from minikws.tflite.c_source import c_header

SELF_TEST_HEADER = c_header(
    "kws_self_test",
    "Runs the model on the board and holds every tensor against kws_test_vectors (C++).",
    """\
namespace kws {

/* Returns how many runs and tensors differ, and says which through MicroPrintf; -1 where the model
   does not run at all. Needs KWS_ARENA_PRESERVING_BYTES of memory. */
int SelfTest();

}  /* namespace kws */
""",
)

SELF_TEST_SOURCE = """\
/* Runs the model on the board and holds every tensor against kws_test_vectors (C++). */
#include "kws_self_test.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kws_model.h"
#include "kws_op_resolver.h"
#include "kws_settings.h"
#include "kws_test_vectors.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace kws {
namespace {

/* With the linear planner no two tensors share memory: all can be looked at after a run. */
alignas(16) uint8_t arena[KWS_ARENA_PRESERVING_BYTES];

}  /* namespace */

int SelfTest() {
  static OpResolver resolver;
  static bool is_registered = false;
  if (!is_registered && RegisterOps(resolver) != kTfLiteOk) return -1;
  is_registered = true;
  tflite::MicroAllocator* allocator = tflite::MicroAllocator::Create(
      arena, sizeof(arena), tflite::MemoryPlannerType::kLinear);
  tflite::MicroResourceVariables* variables = nullptr;
  if (KWS_RESOURCE_VARIABLES > 0) {
    variables = tflite::MicroResourceVariables::Create(allocator, KWS_RESOURCE_VARIABLES);
  }
  tflite::MicroInterpreter interpreter(tflite::GetModel(g_kws_model), resolver, allocator,
                                       variables);
  if (interpreter.AllocateTensors() != kTfLiteOk) return -1;

  int faults = 0;
  const size_t input_bytes = sizeof(kws_test_inputs) / KWS_TEST_RUNS;
  const size_t output_bytes = sizeof(kws_test_outputs) / KWS_TEST_RUNS;
  for (int run = 0; run < KWS_TEST_RUNS; run++) {
    std::memcpy(interpreter.input(0)->data.raw,
                reinterpret_cast<const char*>(kws_test_inputs) + run * input_bytes, input_bytes);
    if (interpreter.Invoke() != kTfLiteOk) return -1;
    if (KWS_OUTPUT_IS_EXACT &&
        std::memcmp(interpreter.output(0)->data.raw,
                    reinterpret_cast<const char*>(kws_test_outputs) + run * output_bytes,
                    output_bytes) != 0) {
      MicroPrintf("run %d: the output differs", run);
      faults++;
    }
  }
  for (int i = 0; i < KWS_TEST_TENSORS; i++) {
    const kws_test_tensor_t* expected = &kws_test_tensors[i];
    const TfLiteEvalTensor* found = interpreter.GetTensor(expected->index);
    if (found == nullptr || found->data.data == nullptr) continue;
    const long at = kws_test_first_difference(expected, found->data.data);
    if (at >= 0) {
      MicroPrintf("op %d: tensor %d (%s) differs, first at value %d", expected->op,
                  expected->index, expected->name, static_cast<int>(at));
      faults++;
    }
  }
  return faults;
}

}  /* namespace kws */
"""
