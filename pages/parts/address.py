"""A link is the session's choices written out: read from the URL once, written back after every run.

One mirror for all choices instead of `bind="query-params"`: the URL then holds the same plain values in both
languages, and the selections of components can live there too.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

T = TypeVar("T")
COMMON = ("text", "to", "lang", "model", "edits", "tour")  # what every page has above it


def begin() -> None:
    """Forget which choices the last page had; each page names its own again.

    After Back or Forward the browser's address decides, and not what the session had last.
    """
    context = get_script_run_ctx()
    st.session_state["address"] = {}
    st.session_state["address_decides"] = bool(context and context.is_history_navigation)


def keep(key: str, default: T, read: Callable[[str], T], write: Callable[[T], str] = str) -> T:
    """The choice named `key`: from the session, else the URL, else `default`, as also for what is invalid.

    Call it before the widget with the same key, which gets `persist_state="session"` and no value of its own.
    `read` raises ValueError or KeyError for what it does not accept.
    """
    in_session = key in st.session_state and not st.session_state.get("address_decides")
    held = write(st.session_state[key]) if in_session else st.query_params.get(key)
    value = _attempt(read, held, default)
    if st.session_state.get(key) != value or key not in st.session_state:
        st.session_state[key] = value
    st.session_state.setdefault("address", {})[key] = None if value == default else write(value)
    return value


def one_of(options: Collection[str]) -> Callable[[str], str]:
    """A reader that accepts the names in `options`."""

    def read(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return read


def flag(text: str) -> bool:
    """A reader for switches, written with `write_flag`."""
    return {"1": True, "0": False}[text]


def write_flag(value: bool) -> str:
    """1 or 0."""
    return "1" if value else "0"


def go(page: str, choices: Mapping[str, str]) -> None:
    """Let the next run open a page with these choices, written as in a link; a callback, or followed by a rerun."""
    kept = {key: value for key, value in st.session_state["address"].items() if key in COMMON and value}
    st.session_state["going"] = page, dict(choices), kept | dict(choices)


def follow() -> None:
    """Go where `go` said, before anything is drawn."""
    if "going" not in st.session_state:
        return
    page, choices, link = st.session_state.pop("going")
    for key in choices:
        st.session_state.pop(key, None)
    st.switch_page(page, query_params=link)


def publish() -> None:
    """Bring the URL up to date with everything kept so far, in one message to the browser if possible."""
    st.session_state["address_decides"] = False
    kept: dict[str, str | None] = st.session_state.get("address", {})
    changed = {key: value for key, value in kept.items() if value and st.query_params.get(key) != value}
    if changed:
        st.query_params.update(changed)
    for key, value in kept.items():
        if not value and key in st.query_params:
            del st.query_params[key]


def _attempt(read: Callable[[str], T], text: str | None, default: T) -> T:
    try:
        return default if text is None else read(text)
    except (ValueError, KeyError):
        return default
