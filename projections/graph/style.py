"""The look of a picture, on light and on dark."""

from collections.abc import Iterable, Mapping
from typing import Final

from projections.graph.text import FONTS

_FAMILY: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"

SCOPE: Final = "runline-graph"
"""The class of a picture: in a page that contains it, its rules concern nothing else."""

_SHAPES: Final = (
    ("text", f"font-family:{_FAMILY}"),
    (".label,.label-taken", "text-anchor:middle"),
    (".halo", "stroke-width:5px;stroke-linejoin:round"),
    (".box", "stroke-width:1.2px"),
    (".idle .box,.back .line", "stroke-dasharray:5 4"),
    (".line", "fill:none;stroke-width:1.4px"),
    (".taken .line", "stroke-width:2.6px"),
    (".sign", "fill:none;stroke-width:2px;stroke-linecap:round;stroke-linejoin:round"),
    *((f".{font.css}", f"font-size:{font.size}px;font-weight:{600 if font.bold else 400}") for font in FONTS),
)
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
    dark = _rules(_colours(_DARK))
    return f"\n{_rules(_SHAPES)}{_rules(_colours(_LIGHT))}@media (prefers-color-scheme:dark){{\n{dark}}}\n"


def _rules(rules: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{_scoped(selectors)}{{{declarations}}}\n" for selectors, declarations in rules)


def _scoped(selectors: str) -> str:
    return ",".join(f".{SCOPE} {selector}" for selector in selectors.split(","))


def _colours(palette: Mapping[str, str]) -> list[tuple[str, str]]:
    # Plain colours for each class: programs other than browsers know no variables.
    rules = [
        (".paper", f"fill:{palette['paper']}"),
        ("text", f"fill:{palette['text']}"),
        (".muted,.idle text,.label", f"fill:{palette['muted']}"),
        (".box", f"fill:{palette['box']};stroke:{palette['border']}"),
        (".line", f"stroke:{palette['line']}"),
        (".head", f"fill:{palette['line']}"),
        (".taken .line", f"stroke:{palette['taken']}"),
        (".taken .head,.label-taken", f"fill:{palette['taken']}"),
        ("text.halo", f"fill:{palette['paper']};stroke:{palette['paper']}"),
        (".idle .stripe", f"fill:{palette['border']}"),
        (".sign", f"stroke:{palette['sign']}"),
        *((f".{kind} .stripe", f"fill:{palette[kind]}") for kind in _KINDS),
    ]
    for status in _STATUSES:
        parts = ",".join(f".{status} .{part}" for part in ("stripe", "status", "error", "disc"))
        rules += [(parts, f"fill:{palette[status]}"), (f".{status} .box", f"stroke:{palette[status]}")]
    return rules
