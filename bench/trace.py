"""A whole trace beside the same forward through PyTorch's fused attention with nothing captured."""

import torch

from bench.measuring import in_turn
from bench.models import ENGLISH, KOREAN, beginning, ids, translator
from bench.reference import Pytorch, fused
from bench.table import TIMED, Compared, Section, timed
from core.hooks import listen
from core.run import trace

TOKENS = 16
LIMIT = 1.15
FUSED = "forward through F.scaled_dot_product_attention from token ids, nothing captured"
READ = "the same from text"
PYTORCH = "nn.Transformer from token ids, nothing captured"
PLAIN = "core from token ids, nothing captured"
WATCHED = "core from token ids, a listener at every hook point"
TRACE = "core.trace from text, everything captured"
ARRAYS = "core.trace from text, and every tensor asked for as an array"


ROWS = (
    *(Compared(name, FUSED) for name in (FUSED, READ, PYTORCH, PLAIN, WATCHED)),
    Compared(TRACE, READ, LIMIT),
    Compared(TRACE, FUSED),
    Compared(ARRAYS, READ),
)


def measured(rounds: int = 200) -> Section:
    """Teacher-forced, 16 source and 16 target tokens; the sameness of all logits is checked first."""
    model = translator()
    network, tokenizer = model.network, model.tokenizer
    text, target = beginning(ENGLISH, TOKENS - 2, tokenizer), beginning(KOREAN, TOKENS - 1, tokenizer)
    source, read = ids(tokenizer.source(text, "en-ko")), ids(tokenizer.target(target)[:-1])
    reference, pytorch = fused(network), Pytorch(network)

    def from_text() -> torch.Tensor:
        return reference(ids(tokenizer.source(text, "en-ko")), ids(tokenizer.target(target)[:-1]))

    def watched() -> torch.Tensor:
        heard: dict[str, torch.Tensor] = {}
        with listen(heard.__setitem__):
            return network(source, read)

    works = {
        FUSED: lambda: reference(source, read),
        READ: from_text,
        PYTORCH: lambda: pytorch(source, read),
        PLAIN: lambda: network(source, read),
        WATCHED: watched,
        TRACE: lambda: trace(model, text, target, direction="en-ko").logits,
        ARRAYS: lambda: trace(model, text, target, direction="en-ko").arrays()["logits"],
    }
    with torch.inference_mode():
        same(*(torch.as_tensor(work()) for work in works.values()))
        times = in_turn(works, rounds)
    about = (
        f"{source.shape[1]} source and {read.shape[1]} target tokens, teacher-forced; {model.name}; {rounds} rounds. "
        "A trace holds every hook point; mean, variance and normalised values of a norm and the contribution of each "
        "head are computed from what was captured when first asked for."
    )
    return Section("Full trace", about, TIMED, timed(times, ROWS))


def same(expected: torch.Tensor, *others: torch.Tensor) -> None:
    """Raise AssertionError where logits differ by more than rounding."""
    for other in others:
        torch.testing.assert_close(other.reshape(expected.shape), expected, atol=1e-4, rtol=1e-4)
