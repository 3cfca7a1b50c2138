"""One report format per file: `render(results) -> str`.

Modules that start with an underscore are shared by several: rows and words by all that people read, the
rest are the charts of the HTML page.
"""
