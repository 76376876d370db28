"""Writing 32 tokens with everything captured beside writing them with nothing captured."""

import torch

from bench.measuring import in_turn
from bench.models import endless, ids, translator
from bench.reference import fused
from bench.table import TIMED, Compared, Section, timed
from core.decoding import greedy, longest_translation
from core.hooks import listen
from core.run import trace

TEXT = "I am a cat"
STEPS = 32
LIMIT = 1.1
PLAIN = "core, cached, nothing captured"
FUSED = "through F.scaled_dot_product_attention, cached, nothing captured"
WATCHED = "core, cached, a listener at every hook point of every step"
TRACE = "core.trace from text: the decoding, and everything captured"
ROWS = (Compared(PLAIN, PLAIN), Compared(FUSED, PLAIN), Compared(WATCHED, PLAIN), Compared(TRACE, PLAIN, LIMIT))


def measured(rounds: int = 40) -> Section:
    """A translation that never ends, cut off after exactly 32 tokens; all ways must write the same ones."""
    model = endless(translator())
    network, start, end = model.network, model.tokenizer.start_id, model.tokenizer.end_id
    source = ids(model.tokenizer.source(TEXT, "en-ko"))
    if longest_translation(source.shape[1]) != STEPS:
        raise ValueError(f"{TEXT!r} is not translated into {STEPS} tokens")
    mask, reference = torch.ones_like(source, dtype=torch.bool), fused(network)

    def plain() -> list[int]:
        return greedy(network, network.encode(source, mask), mask, start=start, end=end)[0]

    def watched() -> list[int]:
        heard: list[torch.Tensor] = []
        with listen(lambda _, value: heard.append(value)):
            return plain()

    def traced() -> list[int]:
        return [token.id for token in trace(model, TEXT, direction="en-ko").predicted_tokens]

    works = {PLAIN: plain, FUSED: lambda: reference.greedy(source, start, STEPS), WATCHED: watched, TRACE: traced}
    with torch.inference_mode():
        written = [work() for work in works.values()]
        times = in_turn(works, rounds)
    if any(tokens != written[0] for tokens in written) or len(written[0]) != STEPS:
        raise AssertionError("the ways to decode do not write the same tokens")
    about = (
        f"{source.shape[1]} source tokens, exactly {STEPS} tokens written; {model.name}, with `<end>` made impossible; "
        f"{rounds} rounds. A trace decodes, keeping the logits, then reads its own translation once more for all else."
    )
    return Section("Greedy decoding", about, TIMED, timed(times, ROWS))
