"""Report formats, one per file: `render(results) -> str`.

`sections/` holds the rows and sentences that several formats share, `charts/` the charts of the HTML page.
"""
