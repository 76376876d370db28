"""What the tests of the pages share: a page opened by a link, and what stands on it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[1]


def opened(page: str, **address: str) -> AppTest:
    """A page opened through a link, as on a fresh server."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300)
    for name, value in ({"lang": "en"} | address).items():
        app.query_params[name] = value
    app.run()
    return settled(app.switch_page(f"pages/{page}.py").run())


def settled(app: AppTest) -> AppTest:
    """The same, if nothing went wrong in it."""
    assert not app.exception, [each.value for each in app.exception]
    return app


def shown(app: AppTest) -> str:
    """All text of a page."""
    kinds = ("title", "subheader", "markdown", "caption", "html", "warning", "info", "error", "text", "code", "latex")
    blocks = [block for kind in kinds for block in app.get(kind)]
    return "\n".join(str(getattr(block, "value", "") or getattr(block.proto, "body", "")) for block in blocks)


def rows_of(app: AppTest, chart: int) -> list[dict[str, Any]]:
    """The rows that a chart draws."""
    proto = app.get("vega_lite_chart")[chart].proto
    sent = [each.data.data for each in proto.datasets] + [proto.data.data]
    rows = [row for data in sent if data for row in pa.ipc.open_stream(data).read_all().to_pylist()]
    return rows + json.loads(proto.spec).get("data", {}).get("values", [])


def forget() -> None:
    """What the app keeps from one session to the next."""
    st.cache_data.clear()
    st.cache_resource.clear()
