"""Tables as data, and as Markdown and LaTeX. The template of the page renders them as HTML."""

from collections.abc import Iterable
from typing import NamedTuple

LATEX = str.maketrans(
    {mark: rf"\{mark}" for mark in "%_&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
"""Escapes the special characters of LaTeX."""


class Cell(NamedTuple):
    """One entry as text."""

    text: str
    best: bool = False
    """Whether it is the best of its column, or cannot be distinguished from the best."""
    link: str = ""
    """The file that it comes from."""
    prose: bool = False
    """Whether it is a text instead of a number."""


class Line(NamedTuple):
    """One row: its cells, or the reason why there are none."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""
    error: str = ""
    link: str = ""
    is_reference: bool = False
    """Whether it is the identity baseline or the ground truth, not a method."""


class Table(NamedTuple):
    """A table with its title and a paragraph about it."""

    title: str
    about: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]


EMPTY = Cell("-")


def side_by_side(title: str, about: str, tables: dict[str, Table]) -> Table:
    """Join the columns of tables, each headed by the table's name. A row that a table lacks has empty cells there."""
    lines_of = {name: {line.label: line for line in table.lines} for name, table in tables.items()}
    labels = dict.fromkeys(label for lines in lines_of.values() for label in lines)
    headings = tuple(f"{name}: {heading}" for name, table in tables.items() for heading in table.headings)
    joined = []
    for label in labels:
        cells: tuple[Cell, ...] = ()
        for name, table in tables.items():
            line = lines_of[name].get(label)
            cells += line.cells if line and line.cells else (EMPTY,) * len(table.headings)
        is_reference = any(lines[label].is_reference for lines in lines_of.values() if label in lines)
        joined.append(Line(label, cells, is_reference=is_reference))
    return Table(title, about, headings, tuple(joined))


def markdown(table: Table) -> str:
    """As Markdown, the best in bold."""
    lines = [f"## {table.title}\n", f"{table.about}\n", f"| | {_join(table.headings)} |"]
    lines.append("|---" * (len(table.headings) + 1) + "|")
    for line in table.lines:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in line.cells]
        note = f" ({line.error or line.note})" if line.error or line.note else ""
        lines.append(f"| {_join([f'{line.label}{note}', *(texts or [''] * len(table.headings))])} |")
    return "\n".join(lines) + "\n"


def _join(texts: Iterable[str]) -> str:
    return " | ".join(text.replace("|", r"\|") for text in texts)


def latex(table: Table) -> str:
    """As LaTeX for the package booktabs, the best in bold."""
    lines = [f"% {table.title}", rf"\begin{{tabular}}{{l{'r' * len(table.headings)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(_escape, table.headings)]) + r" \\", r"\midrule"]
    for line in table.lines:
        texts = [rf"\textbf{{{_escape(cell.text)}}}" if cell.best else _escape(cell.text) for cell in line.cells]
        lines.append(" & ".join([_escape(line.label), *(texts or ["-"] * len(table.headings))]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escape(text: str) -> str:
    return text.translate(LATEX)
