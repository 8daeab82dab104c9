"""Renews the tables and graphs in docs/performance.md: what stands between its marks is made here,
the words around them are not."""

import os
import re

import graph

MARKS = re.compile(r"(<!-- (\w+): made by tools/bench -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def lines_of(rows):
    """Those of the table and those of the notes, by what they tell of."""
    table, notes = {}, {}
    for row in rows:
        cells = (row.what, row.shown(), row.least_shown(), row.aim_shown(), row.verdict())
        table[row.what] = "| " + " | ".join(cells) + " |"
        if row.note:
            notes[row.what] = f"- {row.what}: {row.note}"
    return table, notes


def lines_in(made):
    """The same, of what was written before."""
    lines = made.splitlines()
    rows = [line for line in lines if line.startswith("| ")][2:]
    cells = {line.removeprefix("| ").split(" | ")[0]: line for line in rows}
    notes = {
        what: line for line in lines for what in cells if line.startswith(f"- {what}: ")
    }
    return cells, notes


def table(rows, before):
    """Where `before` is told, what was not measured now stays as it is there."""
    (cells, notes), (new_cells, new_notes) = lines_in(before), lines_of(rows)
    for what in new_cells:
        notes.pop(what, None)
    lines = ["| what | measured | at least | aim | |", "| --- | --- | --- | --- | --- |"]
    lines += {**cells, **new_cells}.values()
    return "\n".join([*lines, "", *{**notes, **new_notes}.values()]) + "\n"


def conditions_text(conditions, wanted, before):
    if not wanted:
        return "".join(f"- {name}: {value}\n" for name, value in conditions.items())
    apart = f"- {', '.join(wanted)}"
    kept = [line for line in before.splitlines() if line and not line.startswith(f"{apart}: ")]
    return "\n".join([*kept, f"{apart}: measured apart, load {conditions['load']}"]) + "\n"


def graphs(series):
    """The name of each graph that there are figures for, and the graph."""
    if "window" in series:
        yield "throughput", graph.lines(
            "Rotations a second, against assets in work",
            {
                "measured": [(at, rate) for at, rate, _ in series["window"]],
                "what window and CPU allow": [(at, limit) for at, _, limit in series["window"]],
            },
            "assets in work, half a second of latency a step",
        )
    if "memory" in series:
        yield "memory", graph.lines(
            "Memory of a wire in MB, against sessions",
            {"measured": [(at, kb / 1024) for at, kb in series["memory"]]},
            "sessions",
        )
    if "peers" in series:
        yield "peers", graph.dots(
            "A password set and logged in with: CPU of the client for each host",
            series["peers"],
            "milliseconds, each line ten times the one before",
        )


def write(src, rows, series, conditions, wanted):
    """Where only some rows were wanted, the others stay."""
    page = os.path.join(src, "docs/performance.md")

    def made(mark):
        before = mark[3] if wanted else ""
        if mark[2] == "table":
            return mark[1] + table(rows, before) + mark[4]
        return mark[1] + conditions_text(conditions, wanted, before) + mark[4]

    with open(page) as file:
        text = file.read()
    with open(page, "w") as file:
        file.write(MARKS.sub(made, text))
    for name, drawn in graphs(series):
        with open(os.path.join(src, f"docs/performance-{name}.svg"), "w") as file:
            file.write(drawn)
