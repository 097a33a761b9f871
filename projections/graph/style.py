"""The look of a picture, on light and on dark."""

from collections.abc import Mapping
from typing import Final

from projections.graph.text import FONTS

_FAMILY: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"

_SHAPES: Final = f"""
text{{font-family:{_FAMILY}}}
.label,.label-taken{{text-anchor:middle}}
.halo{{stroke-width:5px;stroke-linejoin:round}}
.box{{stroke-width:1.2px}}
.idle .box,.back .line{{stroke-dasharray:5 4}}
.line{{fill:none;stroke-width:1.4px}}
.taken .line{{stroke-width:2.6px}}
.sign{{fill:none;stroke-width:2px;stroke-linecap:round;stroke-linejoin:round}}
"""
_LIGHT: Final = {
    "paper": "#ffffff",
    "text": "#1e293b",
    "muted": "#64748b",
    "box": "#f8fafc",
    "border": "#cbd5e1",
    "line": "#94a3b8",
    "taken": "#2563eb",
    "outer": "#475569",
    "work": "#0ea5e9",
    "choice": "#8b5cf6",
    "Success": "#15803d",
    "Failed": "#c81e1e",
    "Running": "#b45309",
    "Suspended": "#7e22ce",
    "Cancelled": "#a21caf",
    "Created": "#64748b",
    "sign": "#ffffff",
}
_DARK: Final = {
    "paper": "#0f172a",
    "text": "#e2e8f0",
    "muted": "#94a3b8",
    "box": "#1e293b",
    "border": "#475569",
    "line": "#64748b",
    "taken": "#60a5fa",
    "outer": "#94a3b8",
    "work": "#38bdf8",
    "choice": "#a78bfa",
    "Success": "#4ade80",
    "Failed": "#f87171",
    "Running": "#fbbf24",
    "Suspended": "#c084fc",
    "Cancelled": "#e879f9",
    "Created": "#94a3b8",
    "sign": "#0f172a",
}
_STATUSES: Final = ("Success", "Failed", "Running", "Suspended", "Cancelled", "Created")
_KINDS: Final = ("outer", "work", "choice")


def style_sheet() -> str:
    """Return the style sheet: nothing in it comes from a user, and it needs nothing from elsewhere."""
    fonts = "".join(
        f".{font.css}{{font-size:{font.size}px;font-weight:{600 if font.bold else 400}}}\n" for font in FONTS
    )
    return f"{_SHAPES}{fonts}{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{\n{_colours(_DARK)}}}\n"


def _colours(palette: Mapping[str, str]) -> str:
    # Plain colours for each class: programs other than browsers know no variables.
    rules = [
        f".paper{{fill:{palette['paper']}}}",
        f"text{{fill:{palette['text']}}}",
        f".muted,.idle text{{fill:{palette['muted']}}}",
        f".label{{fill:{palette['muted']}}}",
        f".box{{fill:{palette['box']};stroke:{palette['border']}}}",
        f".line{{stroke:{palette['line']}}}",
        f".head{{fill:{palette['line']}}}",
        f".taken .line{{stroke:{palette['taken']}}}",
        f".taken .head,.label-taken{{fill:{palette['taken']}}}",
        f"text.halo{{fill:{palette['paper']};stroke:{palette['paper']}}}",
        f".idle .stripe{{fill:{palette['border']}}}",
        f".sign{{stroke:{palette['sign']}}}",
        *(f".{kind} .stripe{{fill:{palette[kind]}}}" for kind in _KINDS),
        *(
            f".{status} .stripe,.{status} .status,.{status} .error,.{status} .disc{{fill:{palette[status]}}}"
            f".{status} .box{{stroke:{palette[status]}}}"
            for status in _STATUSES
        ),
    ]
    return "".join(f"{rule}\n" for rule in rules)
