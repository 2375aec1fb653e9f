from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minikws.errors import MissingExtraError, RunError, SettingsError, ShapeError
from minikws.plots import (
    FeaturePicture,
    draw_arena,
    draw_confusion_matrix,
    draw_curves,
    draw_features,
    draw_side_by_side,
    draw_stream_curve,
    draw_waveform,
)
from minikws.runtime import Plan
from minikws.runtime.planner import PlannedBuffer, Step

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _matplotlib(request: pytest.FixtureRequest) -> None:
    if "without" not in request.node.name:
        pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")


def test_features_lie_from_left_to_right_and_from_low_to_high(tmp_path: Path) -> None:
    features = np.arange(12.0).reshape(4, 3)
    path = tmp_path / "f.png"
    figure = draw_features(
        features, hop_ms=20, centers_hz=np.array([200, 400, 900]), title="yes.wav", path=path
    )
    axes, bar = figure.axes
    image = axes.images[0]
    np.testing.assert_array_equal(image.get_array(), features.T)
    assert image.origin == "lower"
    assert axes.get_xlim() == (0, 80)
    assert axes.get_xlabel() == "time in ms"
    assert axes.get_title() == "yes.wav"
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "0  (200 Hz)",
        "1  (400 Hz)",
        "2  (900 Hz)",
    ]
    assert bar.get_ylabel() == "value"
    assert path.read_bytes().startswith(PNG)


def plan_of(*buffers: tuple[str, int, int, int, int]) -> Plan:
    """A plan of (name, bytes, first, last, offset) and four steps."""
    steps = (Step(0, -1, "input"), *(Step(0, i, name) for i, name in enumerate(("A", "B", "C"))))
    boxes = (
        PlannedBuffer(name, 0, i, n_bytes, first, last, offset)
        for i, (name, n_bytes, first, last, offset) in enumerate(buffers)
    )
    return Plan(tuple(boxes), steps)


def test_an_arena_shows_place_over_time(tmp_path: Path) -> None:
    plan = plan_of(("x", 64, 0, 1, 0), ("model/y;b$", 128, 1, 2, 64), ("tiny", 4, 2, 3, 0))
    path = tmp_path / "arena.png"
    (axes,) = draw_arena(plan, title="m$.tflite", path=path).axes
    boxes = [(b.get_x(), b.get_width(), b.get_y(), b.get_height()) for b in axes.patches[:3]]
    assert boxes == [(-0.5, 2, 0, 64), (0.5, 2, 64, 128), (1.5, 2, 0, 4)]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "1 A", "2 B", "3 C"]
    assert axes.get_title() == "m$.tflite\npeak at 1 A, 192 bytes"
    np.testing.assert_array_equal(axes.patches[3].get_data().values, [64, 192, 132, 4])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["x\n64", "y\n128"]  # the last part of a name; no room in the lowest box
    assert path.read_bytes().startswith(PNG)


def test_an_arena_of_many_steps_is_wide_and_not_endless() -> None:
    steps = tuple(Step(0, i - 1, "CONV_2D") for i in range(200))
    plan = Plan((PlannedBuffer("a", 0, 0, 16, 0, 199, 0),), steps)
    assert draw_arena(plan).get_size_inches()[0] == 16


def test_many_channels_get_few_ticks() -> None:
    axes = draw_features(np.zeros((5, 40)), hop_ms=20).axes[0]
    assert len(axes.get_yticks()) == 8


def test_frontends_side_by_side_share_their_time(tmp_path: Path) -> None:
    slow = FeaturePicture(features=np.ones((4, 3)), hop_ms=20, start_ms=5, title="slow")
    fast = FeaturePicture(features=np.ones((8, 5)), hop_ms=10, start_ms=10, title="fast")
    path = tmp_path / "both.png"
    figure = draw_side_by_side([slow, fast], clip_ms=100, title="yes.wav", path=path)
    left, right = (axes for axes in figure.axes if axes.images)
    assert left.get_xlim() == right.get_xlim() == (0, 100)
    assert left.images[0].get_extent() == [5, 85, -0.5, 2.5]
    assert right.images[0].get_extent() == [10, 90, -0.5, 4.5]
    assert (left.get_title(), right.get_title()) == ("slow", "fast")
    assert left.get_position().x1 < right.get_position().x0
    assert [text.get_text() for text in figure.texts] == ["yes.wav"]
    assert path.read_bytes().startswith(PNG)
    assert draw_side_by_side([slow, fast]).axes[0].get_xlim() == (0, 90)


def test_waveform_over_milliseconds() -> None:
    axes = draw_waveform(np.array([0, 5, -5, 1], np.int16), sample_rate_hz=1000).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 1, 2, 3])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 5, -5, 1])
    assert axes.get_xlabel() == "time in ms"


def test_confusion_matrix_has_true_down_and_predicted_across(tmp_path: Path) -> None:
    matrix = np.array([[8, 2], [0, 0]])
    axes = draw_confusion_matrix(matrix, ["yes", "no"], path=tmp_path / "c.svg").axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true (clips)", "predicted")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["yes", "no"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["yes  (10)", "no  (0)"]
    written = {
        (text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts
    }
    assert written == {(0, 0): "8", (0, 1): "2", (1, 0): "0", (1, 1): "0"}
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 0]])
    assert (tmp_path / "c.svg").exists()


def test_a_label_with_dollar_signs_is_no_formula(tmp_path: Path) -> None:
    draw_confusion_matrix(np.eye(2), ["$\\", "a$b$"], title="$\\$", path=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


def test_a_script_that_the_font_lacks_is_no_warning(tmp_path: Path) -> None:
    draw_confusion_matrix(np.eye(2), ["はい", "いいえ"], path=tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


def test_curves_hold_loss_and_accuracies_and_mark_a_new_rate(tmp_path: Path) -> None:
    left, right = draw_curves(
        [10, 20, 30],
        loss=[2.0, 1.5, 1.0],
        training_accuracy=[0.1, 0.2, 0.3],
        validation_accuracy=[0.2, 0.3, 0.5],
        learning_rates=[0.1, 0.1, 0.01],
        path=tmp_path / "curves.png",
    ).axes
    loss, mark = left.lines
    np.testing.assert_array_equal(loss.get_xydata(), [[10, 2], [20, 1.5], [30, 1]])
    assert list(mark.get_xdata()) == [20, 20]
    assert left.get_ylim()[0] == 0
    training, validation, _ = right.lines
    np.testing.assert_allclose(training.get_ydata(), [10, 20, 30])
    np.testing.assert_allclose(validation.get_ydata(), [20, 30, 50])
    assert [text.get_text() for text in right.get_legend().texts] == [
        "training batches",
        "validation",
    ]
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_a_validation_loss_is_drawn_where_it_is_known() -> None:
    def losses(validation_loss: list[float]) -> list[str]:
        left = draw_curves(
            [10, 20],
            loss=[2.0, 1.5],
            validation_loss=validation_loss,
            training_accuracy=[0.1, 0.2],
            validation_accuracy=[0.2, 0.3],
            learning_rates=[0.1, 0.1],
        ).axes[0]
        return [str(line.get_label()) for line in left.lines]

    assert losses([1.0, 0.5]) == ["training batches", "validation"]
    assert losses([np.nan, 0.5]) == ["training batches", "validation"]
    assert losses([np.nan, np.nan]) == ["training batches"]


def test_a_gliding_rate_is_not_marked() -> None:
    values = [0.5] * 8
    figure = draw_curves(
        range(8),
        loss=values,
        training_accuracy=values,
        validation_accuracy=values,
        learning_rates=list(np.linspace(1, 0, 8)),
    )
    assert [len(axes.lines) for axes in figure.axes] == [1, 2]


def test_a_streams_curve_marks_the_chosen_threshold(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    figure = draw_stream_curve(
        [60.0, 12.0, 0.0], [0.1, 0.25, 0.7], thresholds=[0.5, 0.7, 0.9], chosen=0.7, path=path
    )
    assert path.read_bytes().startswith(PNG)
    left, right, beside = figure.axes
    np.testing.assert_allclose(left.lines[0].get_xydata(), [[60, 10], [12, 25], [0, 70]])
    np.testing.assert_allclose(left.lines[1].get_xydata(), [[12, 25]])
    assert [text.get_text() for text in left.texts] == ["0.7"]
    np.testing.assert_allclose(right.lines[0].get_xydata(), [[0.5, 60], [0.7, 12], [0.9, 0]])
    np.testing.assert_allclose(beside.lines[0].get_ydata(), [10, 25, 70])
    assert len(draw_stream_curve([1.0], [0.5], thresholds=[0.7]).axes[0].lines) == 1


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"lists of one length of at least 1, found \[1, 2\]"):
        draw_stream_curve([1.0], [0.5, 0.4], thresholds=[0.7])
    with pytest.raises(ShapeError, match=r"one length of at least 1, found \[2, 1, 1, 1, 1\]"):
        draw_curves(
            [1, 2],
            loss=[1],
            training_accuracy=[1],
            validation_accuracy=[1],
            learning_rates=[1],
        )
    with pytest.raises(ShapeError, match=r"expected features \(T, F\), found the shape \(3,\)"):
        draw_features(np.zeros(3), hop_ms=20)
    with pytest.raises(ShapeError, match="a frequency for each of 3 channels, found 2"):
        draw_features(np.zeros((4, 3)), hop_ms=20, centers_hz=np.zeros(2))
    with pytest.raises(ShapeError, match="there is no arena to draw"):
        draw_arena(plan_of())
    with pytest.raises(ShapeError, match="no features to draw"):
        draw_side_by_side([])
    with pytest.raises(ShapeError, match=r"one row of samples \(N,\), found the shape \(2, 5\)"):
        draw_waveform(np.zeros((2, 5), np.int16), sample_rate_hz=16000)
    with pytest.raises(ShapeError, match=r"square matrix for 3 labels, found the shape \(2, 2\)"):
        draw_confusion_matrix(np.zeros((2, 2)), ["a", "b", "c"])


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"must end in .png, .svg, .pdf, found .*f\.gif"):
        draw_features(np.zeros((4, 3)), hop_ms=20, path=tmp_path / "f.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        draw_features(np.zeros((4, 3)), hop_ms=20, path=tmp_path / "file" / "f.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'minikws\[plots\]'"):
        draw_waveform(np.zeros(5, np.int16), sample_rate_hz=16000)


def test_nothing_global_is_touched() -> None:
    statement = (
        "import sys, numpy as np, minikws.plots as plots;"
        "assert 'matplotlib' not in sys.modules;"
        "plots.draw_waveform(np.zeros(5, np.int16), sample_rate_hz=16000);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", statement], check=True)


def test_names_are_no_formulas(tmp_path: Path) -> None:
    name = "$\\nix$ 5$.wav"
    figure = draw_waveform(np.ones(9), sample_rate_hz=8000, title=name, path=tmp_path / "w.png")
    assert figure.axes[0].get_title() == name


def test_powers_on_a_logarithmic_scale(tmp_path: Path) -> None:
    features = np.array([[1.0, 1e-2], [0.0, 1e-9]])
    picture = FeaturePicture(features=features, hop_ms=10, logarithmic=True)
    figure = draw_side_by_side([picture], path=tmp_path / "f.png")
    shown = figure.axes[0].images[0]
    np.testing.assert_allclose(shown.get_array(), [[1.0, 1e-6], [1e-2, 1e-6]])
    assert figure.axes[1].get_yscale() == "log"
    silent = FeaturePicture(features=0 * features, hop_ms=10, logarithmic=True)
    draw_side_by_side([silent], path=tmp_path / "silent.png")
