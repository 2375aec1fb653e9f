"""Learning rates against Keras' schedules, which are computed in float32: 1e-6 of the peak."""

from __future__ import annotations

import pytest

from minikws.schedule import make_schedule
from minikws.settings import TrainSettings

tf = pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")


@pytest.mark.parametrize("warmup", [0, 7])
def test_cosine_equals_keras_once_it_is_warm(warmup: int) -> None:
    """Keras' steps count from 0; its warm-up begins with a step at rate 0, ours does not."""
    total, peak = 40, 0.1
    settings = TrainSettings(
        steps=(total,), learning_rates=(peak,), schedule="cosine", warmup_steps=warmup
    )
    schedule = make_schedule(settings)
    oracle = tf.keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak,
        total - warmup,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )
    for step in range(warmup + 1, total + 1):
        expected = float(oracle(step - 1))
        # 1 + cos cancels near the end: float32 keeps 1e-7 of the peak, not of the rate.
        assert schedule.rate_at(step) == pytest.approx(expected, rel=0, abs=1e-6 * peak)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_plateau_equals_keras() -> None:
    settings = TrainSettings(steps=(1,), learning_rates=(1e-3,), schedule="plateau", patience=3)
    schedule = make_schedule(settings)
    oracle = tf.keras.callbacks.ReduceLROnPlateau(
        monitor="accuracy", mode="max", factor=0.5, patience=3, min_delta=0, min_lr=1e-5
    )
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(optimizer=tf.keras.optimizers.SGD(1e-3))
    oracle.set_model(model)
    oracle.on_train_begin()
    for epoch in range(60):
        accuracy = (epoch * 37 % 11) / 11 if epoch < 20 else 0.5
        schedule.evaluated(accuracy)
        oracle.on_epoch_end(epoch, {"accuracy": accuracy})
        assert schedule.rate_at(1) == pytest.approx(
            float(model.optimizer.learning_rate.numpy()), rel=1e-6
        )
