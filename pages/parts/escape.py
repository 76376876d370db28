"""Typed text is hostile: everything a visitor wrote passes here before it meets markdown or HTML."""

import html
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=@/\"'])")


def in_markdown(text: str) -> str:
    """`text` shown literally in labels, buttons, metrics and prose."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def in_html(text: str) -> str:
    """`text` shown literally by `st.html`, kept apart from the direction of its surroundings."""
    return f"<bdi>{html.escape(text)}</bdi>"


def large(text: str) -> str:
    """HTML of typed or translated text where it is what one came to read."""
    return f'<div style="font-size:1.15rem;overflow-wrap:anywhere">{in_html(text or "–")}</div>'


def titled(name: str, text: str) -> str:
    """HTML of such a text below a small heading."""
    return f'<div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>{large(text)}'


def facts(pairs: dict[str, str]) -> str:
    """HTML of names and values in a row that wraps where the screen is narrow."""
    items = "".join(
        f'<div><div style="font-size:.8rem;opacity:.7">{in_html(name)}</div>'
        f'<div style="font-size:1.15rem;font-weight:600;overflow-wrap:anywhere">{in_html(value)}</div></div>'
        for name, value in pairs.items()
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.4rem 2rem;min-height:3.2rem">{items}</div>'
