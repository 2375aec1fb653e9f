"""TensorBoard event files, with the names that TensorFlow's tutorial gave its curves.

In: numbers of training steps and validations. Out: `FOLDER/train/` and `FOLDER/validation/`, one
event file each, which `tensorboard --logdir FOLDER` draws over each other. tensorboardX writes
them, so TensorFlow is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minikws.errors import RunError, import_extra

CROSS_ENTROPY = "eval/cross_entropy"
ACCURACY = "eval/accuracy"
FLUSH_S = 10  # at most so long until TensorBoard, beside a running training, sees a point


class SummaryWriter:
    """Writes the two curves of training and validation, one point a call.

    Parameters
    ----------
    folder : holds `train` and `validation` afterwards.
    first_step : the first step that will be written. Where a run is resumed, TensorBoard hides
        the points that an earlier session wrote from this step on.

    Raises
    ------
    MissingExtraError : tensorboardX is not installed.
    RunError : the folder cannot be written.

    Source: train.py, the `train` and `validation` FileWriters and their merged scalars. Differs:
    no graph, no images, and one validation record an evaluation (there: one a block of clips).
    """

    def __init__(self, folder: str | Path, *, first_step: int = 1) -> None:
        self.folder = Path(folder)
        module = import_extra(
            "tensorboardX", extra="train", purpose="writing TensorBoard summaries"
        )

        def open_writer(name: str) -> Any:
            # An event file is named after the second it is made in; the suffix keeps a session
            # that is resumed within it from writing over the one before.
            return module.SummaryWriter(
                str(self.folder / name),
                purge_step=first_step if first_step > 1 else None,
                filename_suffix=f".{first_step}",
                flush_secs=FLUSH_S,
            )

        try:
            self._train = open_writer("train")
            self._validation = open_writer("validation")
        except OSError as error:
            raise RunError(
                f"the summaries cannot be written to {self.folder} ({error.strerror or error}); "
                "give another --summaries-dir"
            ) from error

    def step(self, step: int, cross_entropy: float, accuracy: float) -> None:
        """Write the loss and the share of right answers (0 to 1) of a training batch."""
        _write(self._train, step, cross_entropy, accuracy)

    def validation(self, step: int, cross_entropy: float, accuracy: float) -> None:
        """Write the loss and the accuracy (0 to 1) of the validation partition at a step."""
        _write(self._validation, step, cross_entropy, accuracy)

    def close(self) -> None:
        """Write what is left and close the files; a second call does nothing."""
        self._train.close()
        self._validation.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _write(writer: Any, step: int, cross_entropy: float, accuracy: float) -> None:
    writer.add_scalar(CROSS_ENTROPY, cross_entropy, step)
    writer.add_scalar(ACCURACY, accuracy, step)
