"""The fast Fourier transform to learn from: a row of numbers comes in, its frequencies go out.

The transform asks how much of each frequency k is in x:

    X[k] = sum over j of x[j] exp(-2 pi i j k / n)

Taken at its word, that is n sums of n terms. The trick is that a sum over all samples is one over
the even and one over the odd ones, and each of these is again a transform, half as long:

    X[k]         = E[k] + exp(-2 pi i k / n) O[k]
    X[k + n / 2] = E[k] - exp(-2 pi i k / n) O[k]        a "butterfly"

Halved until single numbers are left, that is log2(n) rounds of n / 2 butterflies. The frontends use
faster forms of the same idea (`ordered_fft`, with four branches; `fft`, in 16 bits).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minikws._typing import Float
from minikws.errors import ShapeError

Complex = NDArray[np.complexfloating]


def dft(x: Complex | Float) -> Complex:
    """Return the transform by its definition, n sums of n terms: (..., n) -> (..., n) complex128.

    >>> dft(np.array([1.0, 0.0, 0.0, 0.0])).tolist()
    [(1+0j), (1+0j), (1+0j), (1+0j)]
    """
    n = x.shape[-1]
    turns = np.outer(np.arange(n), np.arange(n)) % n
    waves = np.exp(-2j * np.pi * np.arange(n) / n)[turns]
    return np.asarray(x @ waves, np.complex128)


def fft(x: Complex | Float) -> Complex:
    """Return the same by halving, n a power of two.

    float32 and complex64 are computed in single precision, everything else in double.

    Raises
    ------
    ShapeError : n is not a power of two.

    >>> fft(np.array([1.0, 0.0, -1.0, 0.0])).real.tolist()
    [0.0, 2.0, 0.0, 2.0]
    """
    n = x.shape[-1]
    if n < 1 or n & (n - 1):
        raise ShapeError(
            f"expected a length that is a power of two, found {n}; pad with zeros to "
            f"{1 << max(n - 1, 0).bit_length()}"
        )
    single = x.dtype in (np.float32, np.complex64)
    return _halve(x.astype(np.complex64 if single else np.complex128))


def _halve(x: Complex) -> Complex:
    n = x.shape[-1]
    if n == 1:
        return x
    even, odd = _halve(x[..., 0::2]), _halve(x[..., 1::2])
    turned = np.exp(-2j * np.pi * np.arange(n // 2) / n).astype(x.dtype) * odd
    return np.concatenate((even + turned, even - turned), axis=-1)


def real_fft(x: Float) -> Complex:
    """Return bins 0 … n / 2 of real numbers, (..., n) -> (..., n / 2 + 1), with half the work.

    Even samples become the real parts and odd ones the imaginary parts of n / 2 complex numbers;
    their transform Z holds both transforms, E and O, for those of real numbers are symmetric:

        E[k] = (Z[k] + conj Z[n/2 - k]) / 2        O[k] = (Z[k] - conj Z[n/2 - k]) / 2i

    and one last round of butterflies puts them together.

    Raises
    ------
    ShapeError : n is not a power of two from 2 on.
    """
    n = x.shape[-1]
    if n < 2 or n & (n - 1):
        raise ShapeError(
            f"expected a length that is a power of two from 2 on, found {n}; pad with zeros to "
            f"{max(2, 1 << max(n - 1, 0).bit_length())}"
        )
    pairs = fft(x[..., 0::2] + np.asarray(1j, np.result_type(x.dtype, np.complex64)) * x[..., 1::2])
    z = np.concatenate((pairs, pairs[..., :1]), axis=-1)  # Z[n / 2] is Z[0]
    mirrored = np.conj(z[..., ::-1])
    even, odd = (z + mirrored) / 2, (z - mirrored) * np.asarray(-0.5j, z.dtype)
    turn = np.exp(-2j * np.pi * np.arange(n // 2 + 1) / n).astype(z.dtype)
    return np.asarray(even + turn * odd)
