"""Turns generated pairs into batches: encoded once, kept on disk, sorted so that little is padding."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from core.corpus import DATA_VERSION, Pair, pairs
from core.corpus.typed import as_typed
from core.tokens import Tokenizer, load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build"
TOKENIZER_FILE = ROOT / "assets" / "tokenizer.json"
CHUNK = 2_000  # pairs drawn from one seed by one worker at a time
WINDOW = 50  # batches whose examples are sorted by length together
MULTIPLE = 4  # padded lengths are multiples of this, so that few distinct shapes occur
PREFETCH = 2  # processes that generate


@dataclass(frozen=True)
class Batch:
    """A padded batch; `expected` is `decoder_input` moved one step to the left, `<pad>` where nothing is asked."""

    source: Int[Tensor, "batch source"]
    decoder_input: Int[Tensor, "batch target"]
    expected: Int[Tensor, "batch target"]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.source.to(device), self.decoder_input.to(device), self.expected.to(device))


@dataclass(frozen=True)
class Examples:
    """Encoded sides, end to end: example 2p translates pair p into Korean, example 2p+1 into English.

    `ids` holds English, Korean and English as visitors type it (contracted, without capitals) for every pair, without
    special tokens; `lengths` has one row per pair. The typed side is only ever read, never asked for.
    """

    ids: NDArray[np.int16]
    lengths: NDArray[np.int16]
    specials: Specials

    def __len__(self) -> int:
        return 2 * len(self.lengths)

    @property
    def source_lengths(self) -> NDArray[np.int64]:
        """Tokens of each example's source: direction, sentence, `<end>`."""
        return self.lengths[:, (2, 1)].reshape(-1).astype(np.int64) + 2

    @property
    def target_lengths(self) -> NDArray[np.int64]:
        """Decoder positions of each example: `<start>` and the sentence in, the sentence and `<end>` out."""
        return self.lengths[:, (1, 0)].reshape(-1).astype(np.int64) + 1

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each side begins in `ids`; pair p has sides 3p (English), 3p+1 (Korean) and 3p+2 (typed English)."""
        return np.concatenate([[0], np.cumsum(self.lengths.reshape(-1), dtype=np.int64)])

    def gather(self, rows: NDArray[np.int64], starts: NDArray[np.int64], multiple: int = MULTIPLE) -> Batch:
        """The padded batch of the examples `rows`; `starts` is passed in because it is costly to recompute."""
        special = self.specials
        korean = rows % 2 == 0
        read, asked = rows // 2 * 3 + np.where(korean, 2, 1), rows // 2 * 3 + np.where(korean, 1, 0)
        sides = [self.ids[starts[side] : starts[side + 1]] for side in read]
        others = [self.ids[starts[side] : starts[side + 1]] for side in asked]
        direction = np.where(rows % 2 == 0, special.to_korean, special.to_english)
        start, end = np.full(len(rows), special.start), np.full(len(rows), special.end)
        return Batch(
            source=padded(sides, direction, end, special.pad, multiple),
            decoder_input=padded(others, start, None, special.pad, multiple),
            expected=padded(others, None, end, special.pad, multiple),
        )


@dataclass(frozen=True)
class Specials:
    """The special tokens' numbers, so that batches can be made without the tokenizer."""

    pad: int
    start: int
    end: int
    to_korean: int
    to_english: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Specials:
        return cls(
            tokenizer.pad_id,
            tokenizer.start_id,
            tokenizer.end_id,
            tokenizer.to_korean_id,
            tokenizer.to_english_id,
        )


def padded(
    sides: list[NDArray[np.int16]],
    first: NDArray[np.int64] | None,
    last: NDArray[np.int64] | None,
    pad: int,
    multiple: int,
) -> Int[Tensor, "batch position"]:
    """The sides as one rectangle, each with its first and last special token where given."""
    shift = first is not None
    lengths = np.array([len(side) for side in sides]) + shift + (last is not None)
    width = -(-int(lengths.max()) // multiple) * multiple
    rectangle = np.full((len(sides), width), pad, dtype=np.int64)
    for row, side in enumerate(sides):
        rectangle[row, shift : shift + len(side)] = side
    if first is not None:
        rectangle[:, 0] = first
    if last is not None:
        rectangle[np.arange(len(sides)), lengths - 1] = last
    return torch.from_numpy(rectangle)


def encode(stream: Iterable[Pair], tokenizer: Tokenizer, seed: int = 0) -> Examples:
    """Every side of every pair as one flat array of token numbers; `seed` decides how the typed side varies."""
    ids: list[int] = []
    lengths: list[tuple[int, ...]] = []
    random = Random(seed)
    for pair in stream:
        texts = (pair.english.text, pair.korean.text, as_typed(pair.english.text, random))
        sides = [tokenizer.ids(text) for text in texts]
        ids.extend(identity for side in sides for identity in side)
        lengths.append(tuple(map(len, sides)))
    return Examples(
        np.array(ids, dtype=np.int16),
        np.array(lengths, dtype=np.int16).reshape(-1, 3),
        Specials.of(tokenizer),
    )


def generated(count: int, *, seed: int, small: bool = False, cache: Path = CACHE, progress: bool = True) -> Examples:
    """`count` training pairs, encoded; read from `cache` when the same ones were generated before.

    Chunks of pairs have seeds of their own, so the result does not depend on how many processes made it.
    """
    file = cache / f"pairs-{fingerprint(count, seed, small)}.npz"
    specials = Specials.of(load_tokenizer())
    if not file.exists():
        ids, lengths = generate(count, seed, small, progress)
        write_arrays(file, ids=ids, lengths=lengths)
    with np.load(file) as stored:
        return Examples(stored["ids"], stored["lengths"], specials)


def fingerprint(count: int, seed: int, small: bool) -> str:
    """What the encoded pairs depend on, as sixteen hexadecimal digits."""
    tokenizer = hashlib.sha256(TOKENIZER_FILE.read_bytes()).hexdigest()
    return hashlib.sha256(repr((DATA_VERSION, tokenizer, count, seed, small)).encode()).hexdigest()[:16]


def generate(count: int, seed: int, small: bool, progress: bool) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Generate and encode in several processes, in an order that does not depend on them."""
    sizes = [min(CHUNK, count - begun) for begun in range(0, count, CHUNK)]
    jobs = [(size, chunk_seed(seed, number), small) for number, size in enumerate(sizes)]
    if len(jobs) == 1:
        return generate_chunk(jobs[0])
    with multiprocessing.get_context("spawn").Pool(min(PREFETCH, len(jobs))) as pool:
        chunks = list(
            tqdm(
                pool.imap(generate_chunk, jobs),
                total=len(jobs),
                desc="generating",
                unit=f"x{CHUNK}",
                disable=not progress,
            )
        )
    return np.concatenate([ids for ids, _ in chunks]), np.concatenate([lengths for _, lengths in chunks])


def chunk_seed(seed: int, number: int) -> int:
    """A seed for one chunk, unrelated to its neighbours'."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:6])


def generate_chunk(job: tuple[int, int, bool]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    size, seed, small = job
    examples = encode(itertools.islice(pairs(seed, slice=small), size), load_tokenizer(), seed)
    return examples.ids, examples.lengths


def write_arrays(file: Path, **arrays: NDArray[np.int16]) -> None:
    """Write so that a file with this name is always complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{os.getpid()}-{file.name}")
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(file)


def epoch_order(examples: Examples, tokens: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers of every batch of one pass over the data, at most `tokens` padded tokens in each.

    The shuffle depends on the seed and the epoch alone, so a resumed run finds its place again.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(examples))
    sources, targets = examples.source_lengths, examples.target_lengths
    window = max(1, int(WINDOW * tokens / (sources.mean() + targets.mean())))
    batches: list[NDArray[np.int64]] = []
    for begun in range(0, len(order), window):
        rows = order[begun : begun + window]
        rows = rows[np.lexsort((sources[rows], targets[rows]))]
        batches += cut(rows, sources, targets, tokens)
    return [batches[number] for number in generator.permutation(len(batches))]


def cut(
    rows: NDArray[np.int64], sources: NDArray[np.int64], targets: NDArray[np.int64], tokens: int
) -> Iterator[NDArray[np.int64]]:
    """Split sorted rows into batches whose padded rectangles hold at most `tokens` tokens (one row at least)."""
    while len(rows):
        ahead = rows[:tokens]
        longest = np.maximum.accumulate(sources[ahead]) + np.maximum.accumulate(targets[ahead])
        fitting = int(np.searchsorted(longest * np.arange(1, len(ahead) + 1), tokens, side="right"))
        yield rows[: max(1, fitting)]
        rows = rows[max(1, fitting) :]
