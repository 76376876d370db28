"""Who listens hears everything, changes what it returns, and leaves no trace."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.editing import Reading, editing
from core.edits import HeadOff
from core.hooks import HookPoint, listen
from core.transformer import Transformer

Make = Callable[..., Transformer]
SOURCE, TARGET = torch.tensor([[3, 7, 9, 2]]), torch.tensor([[1, 8, 6]])


def heard_in(network: Transformer, source: Tensor = SOURCE) -> dict[str, Tensor]:
    heard: dict[str, Tensor] = {}
    with listen(heard.__setitem__):
        network(source, TARGET)
    return heard


def test_every_hook_point_is_heard_once_under_its_path(make_network: Make) -> None:
    """The paths are public names: they follow the modules, and a pass crosses each exactly once."""
    network, calls = make_network(), []
    with listen(lambda path, _: calls.append(path)):
        network(SOURCE, TARGET)
    assert sorted(calls) == sorted(network.paths) and len(set(calls)) == len(calls)
    norm = ["input", "mean", "variance", "normalized", "output"]
    attention = ["query", "key", "value", "scores", "mask", "weights"]
    attention += ["head_outputs", "head_contributions", "output"]
    expected = [f"{side}.{name}" for side in ("source", "target") for name in ("embedding", "position", "input")]
    parts = {
        "encoder": ["norm_before_attention", "self_attention", "norm_before_feed_forward", "feed_forward"],
        "decoder": [
            *("norm_before_self_attention", "self_attention", "norm_before_cross_attention"),
            *("cross_attention", "norm_before_feed_forward", "feed_forward"),
        ],
    }
    after = {
        "encoder": ["after_attention", "after_feed_forward"],
        "decoder": ["after_self_attention", "after_cross_attention", "after_feed_forward"],
    }
    names = {"norm": norm, "attention": attention, "feed_forward": ["preactivation", "activation", "output"]}
    for stack in ("encoder", "decoder"):
        for layer in (0, 1):
            expected += [f"{stack}.{layer}.{name}" for name in after[stack]]
            for part in parts[stack]:
                kind = "norm" if "norm" in part else "attention" if "attention" in part else "feed_forward"
                expected += [f"{stack}.{layer}.{part}.{name}" for name in names[kind]]
        expected += [f"{stack}.final_norm.{name}" for name in norm]
    assert sorted(network.paths) == sorted([*expected, "logits"])


def test_listening_changes_nothing(make_network: Make) -> None:
    """The watched run is the unwatched one, bit for bit."""
    network = make_network().float()
    plain = network(SOURCE, TARGET)
    assert torch.equal(heard_in(network)["logits"], plain)


def test_a_returned_tensor_replaces_the_value(make_network: Make) -> None:
    """Capture and intervention are one mechanism, and later listeners hear the edit."""
    network, heard = make_network(), {}
    path = "encoder.1.self_attention.weights"

    def uniform(at: str, value: Tensor) -> Tensor | None:
        return torch.full_like(value, 0.25) if at == path else None

    with listen(uniform, heard.__setitem__):
        edited = network(SOURCE, TARGET)
    assert (heard[path] == 0.25).all()
    mean_value = heard["encoder.1.self_attention.value"].mean(2, keepdim=True)
    assert torch.allclose(heard["encoder.1.self_attention.head_outputs"], mean_value)
    assert not torch.allclose(edited, network(SOURCE, TARGET))


def test_listeners_nest_and_leave_nothing_behind(make_network: Make) -> None:
    """The inner block adds a listener to the outer's; after both, and after an error, nobody listens."""
    network, outer, inner = make_network(), [], []
    with listen(lambda path, _: outer.append(path)):
        with listen(lambda path, _: inner.append(path)):
            network(SOURCE, TARGET)
        network(SOURCE, TARGET)
    assert len(outer) == 2 * len(inner) > 0
    with pytest.raises(RuntimeError), listen(outer.append):  # type: ignore[arg-type]
        raise RuntimeError
    network(SOURCE, TARGET)
    assert len(outer) == 2 * len(inner) and not HookPoint().heard


def test_a_listener_can_ask_for_some_paths_only(make_network: Make) -> None:
    """What nobody asked for is not offered, and what only listeners need is not computed."""
    network, heard = make_network(), {}
    with listen(heard.__setitem__, paths={"decoder.0.cross_attention.weights", "decoder.final_norm.variance"}):
        assert not network.attentions["encoder.0.self_attention"].head_contributions.heard
        network(SOURCE, TARGET)
    assert sorted(heard) == ["decoder.0.cross_attention.weights", "decoder.final_norm.variance"]


def test_contributions_are_not_computed_unheard(make_network: Make) -> None:
    """The largest tensor of all costs nothing until someone listens."""
    point, computed = HookPoint(), []

    def compute() -> Tensor:
        computed.append(True)
        return torch.zeros(1)

    point.show(compute)
    assert not computed
    with listen(lambda path, value: None):
        point.show(compute)
    assert computed


def test_editing_what_nothing_reads_is_refused(make_network: Make) -> None:
    """Contributions are derived from head outputs; an edit of them would silently do nothing."""
    network = make_network()
    paths = {"encoder.0.self_attention.head_contributions"}
    with pytest.raises(ValueError, match="derived"), listen(lambda path, value: value * 0, paths=paths):
        network(SOURCE, TARGET)


def test_switching_a_head_off_removes_its_contribution_and_no_other(make_network: Make) -> None:
    """Its outputs are zero, the other heads of the layer are untouched."""
    network = make_network()
    before, after = heard_in(network), {}
    with editing([HeadOff("encoder.2.3")], Reading(network)), listen(after.__setitem__):
        network(SOURCE, TARGET)
    path = "encoder.1.self_attention"
    removed = before[f"{path}.head_contributions"][:, 2]
    assert (after[f"{path}.head_outputs"][:, 2] == 0).all()
    assert torch.equal(after[f"{path}.head_outputs"][:, 3], before[f"{path}.head_outputs"][:, 3])
    assert torch.allclose(before[f"{path}.output"] - after[f"{path}.output"], removed)
    assert not torch.allclose(after["logits"], before["logits"])


def test_two_threads_never_hear_each_other(make_network: Make) -> None:
    """Sessions share one model: each must see its own sentence, whatever the other does meanwhile."""
    network = make_network()
    sentences = [torch.tensor([[3, word, word, word, 2]]) for word in (10, 20)]
    alone = [heard_in(network, sentence) for sentence in sentences]
    mixed, unheard = [], []
    barrier = threading.Barrier(3)

    def watch(index: int) -> None:
        barrier.wait()
        for _ in range(25):
            heard = heard_in(network, sentences[index])
            same = all(torch.equal(heard[path], alone[index][path]) for path in network.paths)
            mixed.append(not same)

    def ignore() -> None:
        barrier.wait()
        for _ in range(25):
            network(sentences[0], TARGET)
            unheard.append(network.logits.heard)

    threads = [threading.Thread(target=watch, args=(index,)) for index in (0, 1)]
    threads.append(threading.Thread(target=ignore))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mixed) == 50 and not any(mixed)
    assert len(unheard) == 25 and not any(unheard)


def test_the_parts_of_a_norm_can_be_edited(make_network: Make) -> None:
    """Freezing the statistics makes a norm linear: the edit reaches the output."""
    network = make_network()
    path = "encoder.0.norm_before_attention"
    heard = heard_in(network)
    edits = {
        "mean": lambda value: value + 1.0,
        "variance": lambda value: torch.ones_like(value),
        "normalized": lambda value: value * 2.0,
    }
    for name, edit in edits.items():
        after: dict[str, Tensor] = {}
        with (
            listen(lambda _, value, edit=edit: edit(value), paths={f"{path}.{name}"}),
            listen(after.__setitem__),
        ):
            network(SOURCE, TARGET)
        norm = network.encoder.layers[0].norm_before_attention
        parts = {part: after[f"{path}.{part}"] for part in ("input", "mean", "variance", "normalized", "output")}
        if name != "normalized":
            by_hand = (parts["input"] - parts["mean"]) / (parts["variance"] + norm.epsilon).sqrt()
            assert torch.allclose(parts["normalized"], by_hand)
        assert torch.allclose(parts["output"], parts["normalized"] * norm.gain + norm.bias)
        assert not torch.allclose(parts["output"], heard[f"{path}.output"])
