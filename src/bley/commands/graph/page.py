"""The HTML page with the charts and their figures in tables: without scripts, in light and dark colors."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import groupby

from bley import __version__
from bley.commands.graph.charts import Band, Chart, in_words

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #222; --faint: #ccc }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1c1e; --ink: #e4e4e0; --faint: #4a4b4e }
  img { filter: brightness(.88) }
}
body { margin: 0 auto; padding: 0 1rem 2rem; max-width: 1100px; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
nav a { margin-right: 1rem }
a { color: inherit }
figure { margin: 1rem 0 }
div { overflow-x: auto }
img { display: block; width: 100%; min-width: 44rem; height: auto; border-radius: .4rem }
summary { cursor: pointer; padding: .4rem 0 }
table { border-collapse: collapse }
th, td { padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--faint); text-align: left; font-weight: normal }
thead th { font-weight: bold }
thead th, td { text-align: right; font-variant-numeric: tabular-nums }
"""

_WIDTH, _HEIGHT = 1100, 440

_OBSERVING = "<p><code>mode = observe</code>: the mail that is shown as deferred passed.</p>\n"


def page(charts: Sequence[Chart], file_format: str, now: datetime, *, observes: bool) -> str:
    """Return the HTML. The charts are files of this format in the same folder; `observes` means mode = observe."""
    periods = {period: list(group) for period, group in groupby(charts, lambda chart: chart.period)}
    links = "\n".join(f'<a href="#{period.name}">{in_words(period.length)}</a>' for period in periods)
    sections = "\n".join(_section(group, file_format, now) for group in periods.values())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>bley: outcomes of mail</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Outcomes of mail</h1>
<p>Made {now:%Y-%m-%d %H:%M} UTC by bley {escape(__version__)}. All times are UTC.
A request is one recipient in one attempt to send a mail; it can have several findings.</p>
{_OBSERVING if observes else ""}<nav aria-label="Time">
{links}
</nav>
</header>
<main>
{sections}
</main>
</body>
</html>
"""


def _section(charts: Sequence[Chart], file_format: str, now: datetime) -> str:
    period = charts[0].period
    figures = "\n".join(_figure(chart, file_format, now) for chart in charts)
    return f"""<section id="{period.name}" aria-labelledby="title-{period.name}">
<h2 id="title-{period.name}">The last {in_words(period.length)}</h2>
{figures}
</section>"""


def _figure(chart: Chart, file_format: str, now: datetime) -> str:
    """Return the figure. Its URL has the time, so that no browser shows a cached old chart in a new page."""
    source = f"{chart.name}.{file_format}?{int(now.timestamp())}"
    alternative = escape(chart.description)
    return f"""<figure>
<div tabindex="0"><img src="{source}" width="{_WIDTH}" height="{_HEIGHT}" alt="{alternative}" loading="lazy"></div>
<figcaption>
<details>
<summary>Figures: {escape(chart.title)}</summary>
{_table(chart)}
</details>
</figcaption>
</figure>"""


def _table(chart: Chart) -> str:
    if not chart.bands:
        return f"<p>{escape(chart.empty_text)}</p>"
    has_shares = chart.kind != "found"
    heads = [f"{escape(chart.counted_as)}s", *(["share"] if has_shares else [])]
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    rows = "\n".join(_row(chart, band, has_shares=has_shares) for band in chart.bands)
    return f"<table>\n<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def _row(chart: Chart, band: Band, *, has_shares: bool) -> str:
    share = f"<td>{chart.share(band)}</td>" if has_shares else ""
    return f'<tr><th scope="row">{escape(band.name)}</th><td>{band.total:,}</td>{share}</tr>'
