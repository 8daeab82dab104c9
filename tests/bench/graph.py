"""Kinds of graph as SVG, readable on white and on black, each with a title and a description for
those who do not see it."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 70, 20, 40, 50
# Each has a contrast of at least 3 to white and to black.
COLOURS = ("#2f6fd0", "#b8651b", "#3c8c3c")
STYLE = "font-family:sans-serif;font-size:12px;fill:#767676"


def nice(most):
    """The least round number that is not below."""
    scale = 1
    while scale * 10 <= most:
        scale *= 10
    for factor in (1, 2, 5, 10):
        if factor * scale >= most:
            return factor * scale
    return most


def text(x, y, words, anchor="middle"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def line(x1, y1, x2, y2):
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"'
        ' stroke="#767676" stroke-width="0.5"/>'
    )


def dot(x, y, colour, radius=3):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def page(title, told, parts, height=HEIGHT):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-labelledby="title desc" style="{STYLE}">',
        f'<title id="title">{html.escape(title)}</title>',
        f'<desc id="desc">{html.escape(told)}</desc>',
        text(WIDTH / 2, 20, title),
    )
    return "\n".join([*head, *parts]) + "\n</svg>\n"


def number(value):
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def lines(title, series, below):
    """Series of points against two axes that begin at zero."""
    across = nice(max(at for points in series.values() for at, _ in points))
    up = nice(max(value for points in series.values() for _, value in points))

    def x(at):
        return LEFT + (WIDTH - LEFT - RIGHT) * at / across

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / up

    parts = [text(WIDTH / 2, HEIGHT - 10, below)]
    for step in range(5):
        value, at = up * step / 4, across * step / 4
        parts.append(line(LEFT, y(value), WIDTH - RIGHT, y(value)))
        parts.append(text(LEFT - 8, y(value) + 4, number(value), "end"))
        parts.append(text(x(at), HEIGHT - BOTTOM + 18, number(at)))
    for n, (name, points) in enumerate(series.items()):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        colour = COLOURS[n % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [dot(x(at), y(value), colour) for at, value in points]
        parts.append(
            f'<text x="{LEFT + 10}" y="{TOP + 16 * n + 18}" style="fill:{colour}">'
            f"{html.escape(name)}</text>"
        )
    told = "; ".join(
        f"{name}: " + ", ".join(f"{number(value)} at {number(at)}" for at, value in points)
        for name, points in series.items()
    )
    return page(title, f"{below}. {told}.", parts)


def dots(title, pairs, unit):
    """One figure a name, by powers of ten; the first is ours."""
    left, row = 262, 26
    least = math.floor(math.log10(min(value for _, value in pairs)))
    most = math.ceil(math.log10(max(value for _, value in pairs) * 1.01))
    bottom = TOP + row * len(pairs)

    def x(value):
        return left + (WIDTH - left - 80) * (math.log10(value) - least) / (most - least)

    parts = []
    for power in range(least, most + 1):
        parts.append(line(x(10**power), TOP - 6, x(10**power), bottom))
        parts.append(text(x(10**power), bottom + 16, f"{10**power:g}"))
    parts.append(text(left + (WIDTH - left - 80) / 2, bottom + 36, unit))
    for n, (name, value) in enumerate(pairs):
        middle, colour = TOP + row * n + row / 2, COLOURS[n > 0]
        parts.append(text(left - 12, middle + 4, name, "end"))
        parts.append(line(left, middle, x(value), middle))
        parts.append(dot(x(value), middle, colour, 5))
        parts.append(text(WIDTH - RIGHT, middle + 4, number(value), "end"))
    told = ", ".join(f"{name} {value:.1f}" for name, value in pairs)
    return page(title, f"{unit}: {told}.", parts, bottom + 50)
