"""minikws: keyword spotting in pure NumPy, small enough to read and exact enough to trust.

>>> import minikws                                              # doctest: +SKIP
>>> model = minikws.load("yes_no.tflite")                       # doctest: +SKIP
>>> model.label("clip.wav")                                     # doctest: +SKIP
[('yes', 0.996), ('_unknown_', 0.004), ...]
"""

__version__ = "0.1.0"
