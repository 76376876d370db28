"""Hook points: every tensor worth seeing passes one, and whoever listens may read it or replace it."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

Listener = Callable[[str, Tensor], Tensor | None]
"""Called with a path ("encoder.0.self_attention.weights") and its tensor; a returned tensor replaces it."""


Subscription = tuple[Listener, Container[str] | None]
"""A listener and the paths it hears; None for all."""

_subscriptions: ContextVar[tuple[Subscription, ...]] = ContextVar("subscriptions", default=())


class HookPoint:
    """An identity with a name, so that capturing and intervening are one mechanism.

    Who listens is a property of the context, never of the module: threads that share a model cannot see
    each other's tensors, and no hook is left behind. It is no torch module, because a pass crosses some two
    hundred of these and torch takes 2 µs to find and call one.
    """

    def __init__(self) -> None:
        self.path = ""

    def __call__(self, value: Tensor) -> Tensor:
        for listener, paths in _subscriptions.get():
            if paths is None or self.path in paths:
                edited = listener(self.path, value)
                value = value if edited is None else edited
        return value

    @property
    def heard(self) -> bool:
        """Whether anyone listens here now: what only listeners need is computed only then."""
        for _, paths in _subscriptions.get():  # noqa: SIM110 (any() costs twice as much, at each of the norms)
            if paths is None or self.path in paths:
                return True
        return False

    def show(self, compute: Callable[[], Tensor]) -> None:
        """Compute a value for listeners alone; raises ValueError at an edit, which nothing would read."""
        if self.heard:
            value = compute()
            if self(value) is not value:
                raise ValueError(f"{self.path} is derived from other tensors: edit those")


@contextmanager
def listen(*listeners: Listener, paths: Container[str] | None = None) -> Iterator[None]:
    """Let listeners hear every hook point that this context runs, or only those whose path is in `paths`.

    Later listeners see what earlier ones returned, so the one that captures comes last. Changes worth a name are
    made by `core.editing`, which listens here.
    """
    token = _subscriptions.set(_subscriptions.get() + tuple((listener, paths) for listener in listeners))
    try:
        yield
    finally:
        _subscriptions.reset(token)


def someone_listens() -> bool:
    """Whether this context has a listener, who may edit what it hears."""
    return bool(_subscriptions.get())


def name_hook_points(model: nn.Module) -> tuple[str, ...]:
    """Tell each hook point its path once, so that no forward pass has to work it out; returns the paths."""
    points = {
        f"{path}.{name}".lstrip("."): point
        for path, module in model.named_modules()
        for name, point in vars(module).items()
        if isinstance(point, HookPoint)
    }
    for path, point in points.items():
        point.path = path
    return tuple(points)
