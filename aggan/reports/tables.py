"""Tables as data, and as Markdown and LaTeX; the page's template makes HTML of them."""

from typing import NamedTuple


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


def markdown(table: Table) -> str:
    """The best in bold."""
    lines = [f"## {table.title}\n", f"{table.about}\n", "| | " + " | ".join(table.headings) + " |"]
    lines.append("|---" * (len(table.headings) + 1) + "|")
    for line in table.lines:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in line.cells]
        note = f" ({line.why or line.note})" if line.why or line.note else ""
        lines.append(f"| {line.label}{note} | " + " | ".join(texts or [""] * len(table.headings)) + " |")
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """For booktabs, the best in bold."""
    lines = [f"% {table.title}", rf"\begin{{tabular}}{{l{'r' * len(table.headings)}}}", r"\toprule"]
    lines += [" & ".join(["", *map(_escaped, table.headings)]) + r" \\", r"\midrule"]
    for line in table.lines:
        texts = [rf"\textbf{{{_escaped(cell.text)}}}" if cell.best else _escaped(cell.text) for cell in line.cells]
        lines.append(" & ".join([_escaped(line.label), *(texts or ["-"] * len(table.headings))]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", r"\%").replace("_", r"\_").replace("&", r"\&").replace("#", r"\#")
