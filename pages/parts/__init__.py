"""What the pages share, and the only other place besides app.py that may import Streamlit.

A page begins with `here = enter()` and then has what it needs: `here.words` (name it `_`), `here.run` and
`here.model`. A choice lives in the URL through `keep`, just before the widget that has the same key.
"""
