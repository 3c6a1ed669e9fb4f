"""Tables as data, and as Markdown and LaTeX; the page's template makes HTML of them."""

from collections.abc import Iterable
from typing import NamedTuple

LATEX = str.maketrans(
    {mark: rf"\{mark}" for mark in "%_&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
"""What LaTeX would take for its own, as text."""


class Cell(NamedTuple):
    """One figure as text."""

    text: str
    best: bool = False
    """Whether it is the best of its column or ties with it."""
    link: str = ""
    """The file that it comes from."""
    words: bool = False
    """Whether it is no number."""


class Line(NamedTuple):
    """One row: cells, or the reason why there are none."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""
    why: str = ""
    link: str = ""
    fixed: bool = False
    """Whether no system made it: such a row is never best."""


class Table(NamedTuple):
    """What is shown under one title."""

    title: str
    about: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]


def beside(title: str, about: str, tables: dict[str, Table]) -> Table:
    """Tables of the same rows as one, each under its name; a row that one of them lacks has no cells there."""
    lines_of = {name: {line.label: line for line in table.lines} for name, table in tables.items()}
    labels = dict.fromkeys(label for lines in lines_of.values() for label in lines)
    headings = tuple(f"{name}: {heading}" for name, table in tables.items() for heading in table.headings)
    lines = []
    for label in labels:
        cells: tuple[Cell, ...] = ()
        for name, table in tables.items():
            line = lines_of[name].get(label)
            cells += line.cells if line and line.cells else (Cell("-"),) * len(table.headings)
        fixed = any(lines[label].fixed for lines in lines_of.values() if label in lines)
        lines.append(Line(label, cells, fixed=fixed))
    return Table(title, about, headings, tuple(lines))


def markdown(table: Table) -> str:
    """The best in bold."""
    lines = [f"## {table.title}\n", f"{table.about}\n", f"| | {_beside(table.headings)} |"]
    lines.append("|---" * (len(table.headings) + 1) + "|")
    for line in table.lines:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in line.cells]
        note = f" ({line.why or line.note})" if line.why or line.note else ""
        lines.append(f"| {_beside([f'{line.label}{note}', *(texts or [''] * len(table.headings))])} |")
    return "\n".join(lines) + "\n"


def _beside(texts: Iterable[str]) -> str:
    return " | ".join(text.replace("|", r"\|") for text in texts)


def latex(table: Table) -> str:
    """For booktabs, the best in bold."""
    lines = [f"% {table.title}", rf"\begin{{tabular}}{{l{'r' * len(table.headings)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(_escaped, table.headings)]) + r" \\", r"\midrule"]
    for line in table.lines:
        texts = [rf"\textbf{{{_escaped(cell.text)}}}" if cell.best else _escaped(cell.text) for cell in line.cells]
        lines.append(" & ".join([_escaped(line.label), *(texts or ["-"] * len(table.headings))]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return text.translate(LATEX)
