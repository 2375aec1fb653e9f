"""A model file as C source: an array that a firmware compiles into flash."""

from __future__ import annotations

import re

from minikws.errors import SettingsError

_ALIGNMENT = """\
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
    guard = f"{name.upper()}_H_"
    macro = f"{name.upper()}_ALIGN"
    origin = f"/* {made_from} as a C array, {len(blob)} bytes of flash. */\n"
    header = (
        f"{origin}#ifndef {guard}\n#define {guard}\n\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n'
        f"extern const unsigned char {name}[];\nextern const unsigned int {name}_len;\n"
        f"#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    )
    rows = (blob[i : i + 12] for i in range(0, len(blob), 12))
    numbers = ",\n".join("  " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    source = (
        f"{origin}\n{_ALIGNMENT.format(macro=macro)}\n"
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\n'
        f"extern const unsigned char {name}[];\nextern const unsigned int {name}_len;\n\n"
        f"{macro} const unsigned char {name}[] = {{\n{numbers}\n}};\n"
        f"const unsigned int {name}_len = {len(blob)};\n"
        "#ifdef __cplusplus\n}\n#endif\n"
    )
    return {".c": source, ".h": header}
