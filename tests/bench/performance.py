"""Renews the tables and graphs in docs/performance.md: what stands between its marks is made here,
the words around them are not."""

import os
import re

import graph

MARKS = re.compile(r"(<!-- (\w+): made by tools/bench -->\n).*?(<!-- end -->)", re.DOTALL)


def table(rows):
    lines = ["| what | measured | at least | aim | |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        cells = (row.what, row.shown(), row.least_shown(), row.aim_shown(), row.verdict())
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"- {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join(lines) + "\n"


def conditions_text(conditions):
    return "".join(f"- {name}: {value}\n" for name, value in conditions.items())


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
        yield "peers", graph.bars("CPU of a rotation in ms", series["peers"])


def write(src, rows, series, conditions):
    page = os.path.join(src, "docs/performance.md")
    with open(page) as file:
        text = file.read()
    made = {"table": table(rows), "conditions": conditions_text(conditions)}
    text = MARKS.sub(lambda mark: mark[1] + made[mark[2]] + mark[3], text)
    with open(page, "w") as file:
        file.write(text)
    for name, drawn in graphs(series):
        with open(os.path.join(src, f"docs/performance-{name}.svg"), "w") as file:
            file.write(drawn)
