"""The command line: python -m core train | translate | trace | evaluate | corpus."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from core.corpus import Pair
    from core.tokens import Direction

ASSETS = Path(__file__).resolve().parent.parent / "assets"

WAYS: dict[str | None, Direction] = {"ko": "en-ko", "en": "ko-en"}


class Mistake(Exception):
    """Something the user can put right; the message says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on stderr and exit code 2."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options) or 0
    except mistakes() as error:
        print(f"core: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"core: this needs {error.name}: pip install -r requirements-dev.txt", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def mistakes() -> tuple[type[Exception], ...]:
    """Errors whose message is meant for users."""
    from core.checkpoint import CheckpointError
    from core.edits import EditError
    from core.tokens import TokenizerError

    return Mistake, CheckpointError, EditError, TokenizerError


# --- options --------------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other mistake is said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def parser() -> Parser:
    whole = Parser(prog="python -m core", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_train, add_evaluate, add_translate, add_trace, add_corpus):
        add(commands)
    return whole


def add_train(commands: Any) -> None:
    """Numbers that are not given come from the recipe in core/variants.py."""
    command = commands.add_parser("train", help="train a variant and write its model under assets/models")
    command.add_argument("name", metavar="NAME", nargs="?", help="a row of VARIANTS, e.g. translator")
    command.add_argument("--zoo", action="store_true", help="train every small model, going on where it stopped")
    command.add_argument("--minutes", type=positive_float, help="finish within so many minutes")
    command.add_argument("--steps", type=positive, help="finish after so many steps")
    command.add_argument("--pairs", type=positive, help="generate so many training pairs")
    command.add_argument("--processes", type=positive, help="processes that share each batch")
    command.add_argument("--sample", type=positive, default=300, help="pairs of each split in the evaluation")
    seeds = command.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, help="seed of the weights and the order of the data")
    seeds.add_argument("--seeds", type=seed_list, help="several seeds in turn, e.g. 0,1,2; the first is kept")
    command.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    command.add_argument("--out", type=Path, metavar="DIR", help="write models/, runs/ and build/ there")
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.set_defaults(run=run_train)


def add_evaluate(commands: Any) -> None:
    command = commands.add_parser("evaluate", help="grade a trained model on held-out sentences")
    command.add_argument("name", metavar="NAME", nargs="?", default="translator")
    command.add_argument("--sample", type=positive, default=300, help="pairs of each split")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument("--save", action="store_true", help="put the figures on the model's card")
    add_assets(command)
    command.add_argument("--device", default="cpu", help="cpu or cuda")
    command.set_defaults(run=run_evaluate)


def add_translate(commands: Any) -> None:
    command = commands.add_parser("translate", help="translate each line of the standard input")
    command.add_argument("--to", choices=("ko", "en"), help="target language; guessed from each line's letters")
    command.add_argument("--beams", type=positive, default=1, help="hypotheses kept by beam search")
    command.add_argument("--model", metavar="NAME", default="translator")
    add_edits(command)
    add_assets(command)
    command.set_defaults(run=run_translate)


def add_trace(commands: Any) -> None:
    command = commands.add_parser("trace", help="write everything the model computes for a sentence")
    command.add_argument("sentence", metavar="SENTENCE")
    command.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    command.add_argument("--to", choices=("ko", "en"), help="target language; guessed from the letters")
    command.add_argument("--target", metavar="TEXT", help="read this translation instead of the model's own")
    command.add_argument("--model", metavar="NAME", default="translator")
    add_edits(command)
    add_assets(command)
    command.set_defaults(run=run_trace)


def add_edits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--edits",
        metavar="EDITS",
        default="",
        help="change the model first; the text after edits= in a link, e.g. off_cross.2.3_mean~scale_encoder_1",
    )


def add_assets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--assets", type=Path, metavar="DIR", default=ASSETS, help="folder of tokenizer.json and models/"
    )


def add_corpus(commands: Any) -> None:
    corpus = commands.add_parser("corpus", help="look at the training corpus, or build its tokenizer")
    actions = corpus.add_subparsers(required=True, metavar="ACTION")
    sample = actions.add_parser("sample", help="print sentence pairs with their gold")
    sample.add_argument("--count", type=positive, default=10)
    sample.add_argument("--seed", type=int, default=0)
    sample.set_defaults(run=run_sample)
    tokenizer = actions.add_parser("tokenizer", help="build assets/tokenizer.json from the corpus")
    tokenizer.set_defaults(run=run_tokenizer)
    probes = actions.add_parser(
        "probes", help="write assets/probes.json, the held-out sentences that states are read on"
    )
    probes.set_defaults(run=run_probes)
    unigram = actions.add_parser("unigram", help="write assets/unigram.json, the loss of who only knows frequencies")
    unigram.set_defaults(run=run_unigram)


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def positive_float(text: str) -> float:
    if not (number := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def seed_list(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(part) for part in text.split(",")))


# --- commands -------------------------------------------------------------------------------------------------------


def run_train(options: argparse.Namespace) -> int:
    """Exit code 130 when a request to stop came before the end."""
    from core.training.ship import Order, train_and_ship
    from core.variants import VARIANTS

    if options.zoo:
        return run_zoo(options)
    if options.name is None:
        raise Mistake("name a variant, or give --zoo")
    if options.name not in VARIANTS:
        raise Mistake(f"there is no variant {options.name!r}; known are {', '.join(VARIANTS)}")
    check_device(options.device)
    taken = ("name", "minutes", "steps", "pairs", "processes", "sample", "resume", "out", "device")
    seeds = options.seeds or (VARIANTS[options.name].recipe.seed if options.seed is None else options.seed,)
    order = Order(seeds=seeds, command=typed(), **{name: getattr(options, name) for name in taken})
    try:
        finished = train_and_ship(order)
    except ValueError as error:
        raise Mistake(str(error)) from error
    if not finished:
        print("core: stopped; go on with --resume", file=sys.stderr)
    return 0 if finished else 130


def run_zoo(options: argparse.Namespace) -> int:
    """Exit code 130 when a request to stop came before the end."""
    from core.training.zoo import train_zoo

    if options.name:
        raise Mistake("--zoo trains every small model; leave the name out")
    taken = {name: getattr(options, name) for name in ("sample", "steps", "pairs", "out")}
    return 0 if train_zoo(options.seeds or (0, 1, 2), processes=options.processes or 2, **taken) else 130


def typed() -> str:
    """The command that makes this model from nothing, for the card; whether it was interrupted does not matter."""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return shlex.join(["python", "-m", "core", *words])


def check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise Mistake(f"the device {device!r} cannot be used here") from error


def run_evaluate(options: argparse.Namespace) -> None:
    from core import load
    from core.checkpoint import save_metrics
    from core.training.evaluate import evaluate
    from core.variants import VARIANTS

    check_device(options.device)
    model = load(options.name, assets=options.assets)
    small = options.name in VARIANTS and VARIANTS[options.name].recipe.slice
    report = evaluate(model.network.to(options.device), model.tokenizer, sample=options.sample, small=small)
    if options.save:
        save_metrics(options.name, report, assets=options.assets)
    print(json.dumps(report, indent=2) if options.json else table(report))


def table(report: dict[str, Any]) -> str:
    """The report as lines for people."""
    lines = []
    for direction in ("en-ko", "ko-en"):
        for split, figures in report[direction].items():
            said = ", ".join(
                f"{name.replace('_', ' ')} {'—' if value is None else format(value, '.1%')}"
                for name, value in figures.items()
            )
            lines.append(f"{direction}  {split:14} {said}")
    for name, value in report["alignment"].items():
        if name != "heads":
            said = value if isinstance(value, str) else f"{value:.3f}"
            lines.append(f"alignment  {name.replace('_', ' '):36} {said}")
    measured = report["self_attention"]
    for stack, even in measured["uniform"].items():
        own = [each["weight_on_itself"] for head, each in measured["heads"].items() if head.startswith(stack)]
        said = f"{min(own):.3f} to {max(own):.3f}, uniform attention {even:.3f}"
        lines.append(f"self-attention  {f'{stack} heads, weight on itself':31} {said}")
    return "\n".join(lines)


def run_translate(options: argparse.Namespace) -> None:
    from core import load, read_edits, translate

    edits = read_edits(options.edits)
    model = load(options.model, assets=options.assets)
    direction = WAYS.get(options.to)
    for line in sys.stdin:
        text = line.strip()
        written = translate(model, text, direction=direction, beams=options.beams, edits=edits) if text else ""
        print(written, flush=True)


def run_trace(options: argparse.Namespace) -> None:
    from core import load, read_edits, trace

    if not options.sentence.strip():
        raise Mistake("the sentence is empty")
    edits = read_edits(options.edits)
    model = load(options.model, assets=options.assets)
    run = trace(model, options.sentence, options.target, direction=WAYS.get(options.to), edits=edits)
    try:
        run.save(options.out)
    except OSError as error:
        raise Mistake(f"{options.out} cannot be written: {error.strerror}") from error
    print(run.translation)


def run_sample(options: argparse.Namespace) -> None:
    from core.corpus import pairs

    for pair in itertools.islice(pairs(options.seed), options.count):
        print(described(pair), end="\n\n")


def described(pair: Pair) -> str:
    """A pair with its gold, words in place of their numbers."""
    english, korean = ([word.text for word in side.words] for side in (pair.english, pair.korean))
    words = {"en": english, "ko": korean}
    lines = [pair.english.text, pair.korean.text]
    lines += ["  sure      " + " ".join(f"{english[i]}={korean[j]}" for i, j in sorted(pair.sure))]
    loose = sorted(pair.possible - pair.sure)
    lines += ["  possible  " + " ".join(f"{english[i]}~{korean[j]}" for i, j in loose)] if loose else []
    lines += [f"  sense     {words[s.language][s.word]}: {s.sense}" for s in pair.senses]
    lines += [
        f"  pronoun   {english[a.pronoun]}: {english[a.antecedent]} = {a.translation}, not {a.rival}"
        for a in pair.antecedents
    ]
    lines += [f"  subject   {words[way][verb]}: {words[way][subject]}" for way, verb, subject in pair.subjects]
    lines += [
        f"  negation  {words[way][negator]}: {' '.join(words[way][each] for each in scope)}"
        for way, negator, scope in pair.negations
    ]
    return "\n".join(lines + [f"  copied    {word}" for word in pair.copies])


def run_tokenizer(options: argparse.Namespace) -> None:
    from core.corpus.vocabulary import build_tokenizer

    tokenizer = build_tokenizer(ASSETS / "tokenizer.json")
    print(f"{ASSETS / 'tokenizer.json'}: {tokenizer.size} pieces")


def run_probes(options: argparse.Namespace) -> None:
    from core.corpus.probes import write_probes
    from core.measures.context import FILE

    print(f"{FILE}: {write_probes(FILE)} sentences")


def run_unigram(options: argparse.Namespace) -> None:
    from core.measures.unigram import FILE
    from core.training.unigram import measure

    found = measure()
    found.write(ASSETS / FILE)
    print(f"{ASSETS / FILE}: {found.loss:.3f} nats, on held-out pairs {found.held_out_loss:.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
