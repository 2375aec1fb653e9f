"""C source: a model file, or any array, as something that a firmware compiles into flash.

What is written compiles as C99 and as C++11, without warnings: headers are guarded, names have C
linkage, a model's array starts at a multiple of 16.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from minikws._typing import Array
from minikws.errors import SettingsError

ALIGNMENT = """\
/* The runtime reads the array as a flatbuffer: it must start at a multiple of 16. */
#if defined(__cplusplus)
#define {macro} alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {macro} _Alignas(16)
#elif defined(__GNUC__)
#define {macro} __attribute__((aligned(16)))
#else
#define {macro}
#endif
"""
_INDENT = "  "
_LINE = 96  # characters


def c_source(name: str, blob: bytes, *, made_from: str) -> dict[str, str]:
    """Return {".c": source, ".h": header} that define the array `name` and `name`_len.

    Raises
    ------
    SettingsError : `name` is not a C identifier.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise SettingsError(
            f"--c-array {name!r} is not a C identifier; use letters, digits and _, such as g_model"
        )
    macro = f"{name.upper()}_ALIGN"
    origin = f"{comment(made_from)} as a C array, {len(blob)} bytes of flash."
    declarations = f"extern const unsigned char {name}[];\nextern const unsigned int {name}_len;\n"
    rows = (blob[i : i + 12] for i in range(0, len(blob), 12))
    numbers = ",\n".join("  " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    source = f"/* {origin} */\n\n{ALIGNMENT.format(macro=macro)}\n" + linkage(
        f"{declarations}\n"
        f"{macro} const unsigned char {name}[] = {{\n{numbers}\n}};\n"
        f"const unsigned int {name}_len = {len(blob)};\n"
    )
    return {".c": source, ".h": c_header(name, origin, linkage(declarations))}


def c_header(name: str, about: str, body: str) -> str:
    """Return a header's text: what it is about, and a body that is read once.

    Parameters
    ----------
    name : the header's, of which the guard is made.
    """
    guard = f"{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_H_"
    return f"/* {about} */\n#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


def linkage(body: str) -> str:
    """Return declarations or definitions whose names C++ leaves as they are."""
    return f'#ifdef __cplusplus\nextern "C" {{\n#endif\n{body}#ifdef __cplusplus\n}}\n#endif\n'


def c_type(dtype: np.dtype) -> str:
    """Return <stdint.h>'s name of a type, or float; a bool is one byte.

    >>> c_type(np.dtype(np.int8)), c_type(np.dtype(np.float32))
    ('int8_t', 'float')
    """
    if dtype.kind == "b":
        return "uint8_t"
    if dtype.kind == "f":
        return "float" if dtype.itemsize <= 4 else "double"
    return f"{'u' if dtype.kind == 'u' else ''}int{8 * dtype.itemsize}_t"


def c_array(name: str, values: Array) -> str:
    """Return the definition of a constant array, all of `values` one after the other."""
    kind = c_type(values.dtype)
    return f"const {kind} {name}[{values.size}] = {{\n{_rows(_literals(values))}\n}};\n"


def c_string(text: str) -> str:
    r"""Return a C string literal, bytes beyond ASCII as octal escapes of their UTF-8.

    >>> print(c_string('say "h\u00e9"'))
    "say \"h\303\251\""
    """
    body = "".join(
        f"\\{chr(byte)}"
        if chr(byte) in '"\\'
        else chr(byte)
        if 32 <= byte < 127 and chr(byte) != "?"  # ??( and its like would be trigraphs
        else f"\\{byte:03o}"
        for byte in text.encode("utf-8")
    )
    return f'"{body}"'


def comment(text: str) -> str:
    """Return text that cannot end the comment it stands in."""
    return text.replace("*/", "* /").replace("/*", "/ *")


def _literals(values: Array) -> Iterable[str]:
    flat = values.ravel()
    if flat.dtype.kind == "f":
        ending = "" if flat.dtype.itemsize > 4 else "f"
        return (_float(v, ending) for v in flat.tolist())
    ending = "ULL" if flat.dtype == np.uint64 else "LL" if flat.dtype == np.int64 else ""
    # C has no literal for the lowest number: it would be minus one that is too large.
    lowest = "(-9223372036854775807LL - 1)"
    return (lowest if v == -(2**63) else f"{int(v)}{ending}" for v in flat.tolist())


def _float(value: float, ending: str) -> str:
    """Return a literal; those that are no number are <math.h>'s macros."""
    if math.isfinite(value):
        return f"{value!r}{ending}"
    return "NAN" if math.isnan(value) else "-INFINITY" if value < 0 else "INFINITY"


def _rows(literals: Iterable[str]) -> str:
    """Lay literals out in lines."""
    lines: list[str] = []
    line = _INDENT
    for literal in literals:
        if len(line) + len(literal) + 2 > _LINE:
            lines.append(line.rstrip())
            line = _INDENT
        line += f"{literal}, "
    lines.append(line.rstrip().rstrip(","))
    return "\n".join(lines)
