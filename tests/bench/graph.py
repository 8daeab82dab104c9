"""Two kinds of graph as SVG, readable on white and on black."""

import html

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 70, 20, 40, 50
COLOURS = ("#2266bb", "#bb6622", "#448844")
STYLE = "font-family:sans-serif;font-size:12px;fill:#808080"


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


def page(parts, height=HEIGHT):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" style="{STYLE}">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def lines(title, series, below):
    across = nice(max(at for points in series.values() for at, _ in points))
    up = nice(max(value for points in series.values() for _, value in points))

    def x(at):
        return LEFT + (WIDTH - LEFT - RIGHT) * at / across

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / up

    parts = [text(WIDTH / 2, 20, title), text(WIDTH / 2, HEIGHT - 10, below)]
    for step in range(5):
        value, at = up * step / 4, across * step / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.0f}" y2="{y(value):.0f}"'
            ' stroke="#808080" stroke-width="0.5"/>'
        )
        parts.append(text(LEFT - 8, y(value) + 4, number(value), "end"))
        parts.append(text(x(at), HEIGHT - BOTTOM + 18, number(at)))
    for n, (name, points) in enumerate(series.items()):
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        colour = COLOURS[n % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(at):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
            for at, value in points
        ]
        parts.append(
            f'<text x="{LEFT + 10}" y="{TOP + 16 * n + 8}" style="fill:{colour}">'
            f"{html.escape(name)}</text>"
        )
    return page(parts)


def bars(title, pairs):
    most = max(value for _, value in pairs)
    parts = [text(WIDTH / 2, 20, title)]
    for n, (name, value) in enumerate(pairs):
        top, long = 40 + 26 * n, (WIDTH - 260) * value / most
        parts.append(text(150, top + 14, name, "end"))
        parts.append(
            f'<rect x="160" y="{top}" width="{max(long, 1):.1f}" height="18"'
            f' fill="{COLOURS[n > 0]}"/>'
        )
        parts.append(text(168 + long, top + 14, f"{value:.1f}", "start"))
    return page(parts, 60 + 26 * len(pairs))
