"""Every stage of variant "preprocessor" against the tensors of TFLite Micro's preprocessor."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from minikws.frontend import Micro
from minikws.settings import MicroSettings
from minikws.tflite.reader import read_model

tflm_runtime = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="oracle absent: pip install 'minikws[parity]'",
)
TENSORS = {  # our stage: the operator and which of its outputs
    "window": ("SignalWindow", 0),
    "shift": ("SignalFftAutoScale", 1),
    "fft": ("SignalRfft", 0),
    "energy": ("CONCATENATION", 0),  # unused bins set to 0, as int32
    "filterbank": ("SignalFilterBank", 0),
    "square_root": ("SignalFilterBankSquareRoot", 0),
    "noise_reduced": ("SignalFilterBankSpectralSubtraction", 0),
    "noise_estimate": ("SignalFilterBankSpectralSubtraction", 1),
    "pcan": ("SignalPCAN", 0),
    "log": ("SignalFilterBankLog", 0),
}


def tensors_of(model: Path, clip: np.ndarray) -> dict[str, np.ndarray]:
    outputs = {op.name: op.outputs for op in read_model(model).main.ops}
    keep = tflm_runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = tflm_runtime.Interpreter.from_file(str(model), intrepreter_config=keep)
    frames: dict[str, list[np.ndarray]] = {name: [] for name in TENSORS}
    for start in range(0, len(clip) - 479, 320):
        interpreter.set_input(clip[None, start : start + 480], 0)
        interpreter.invoke()
        for name, (op, which) in TENSORS.items():
            tensor = interpreter.GetTensor(outputs[op][which], 0)["tensor_data"]
            frames[name].append(np.array(tensor).reshape(-1))
    return {name: np.stack(rows) for name, rows in frames.items()}


def loud_and_quiet() -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, 16000) * 4.0 ** (np.arange(16000) // 2000)
    noise[12_000:] = rng.integers(-32768, 32768, 4000)
    return np.clip(noise, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("name", ["yes_1000ms.wav", "silence_1000ms.wav", "artificial"])
def test_every_stage(tflm: Path, name: str) -> None:
    clip = loud_and_quiet()
    if name != "artificial":
        with wave.open(str(tflm / name)) as file:
            clip = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    found = Micro(MicroSettings(variant="preprocessor")).stages(clip)
    expected = tensors_of(tflm / "audio_preprocessor_int8.tflite", clip)
    assert found.keys() == expected.keys()
    for stage, values in expected.items():
        np.testing.assert_array_equal(found[stage], values, err_msg=stage)
