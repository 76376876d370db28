"""From a tree to a pair: say it twice, read the alignment off the shared keys, and collect the gold."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from core.corpus import english, korean
from core.corpus.lexicon import Lexicon, PersonalPronoun, Verb, load_lexicon
from core.corpus.pair import Antecedent, Direction, Language, Link, Pair, Sense
from core.corpus.tree import Asked, Clause, Gap, Named, NounPhrase, Pronoun, Sentence
from core.corpus.unit import Line

MOST_REFERENCES = 4096
Choice = tuple[str, bool]
PLAIN = (int, str, bool, float, type(None))


def build(sentence: Sentence, lexicon: Lexicon, combinations: frozenset[tuple[str, str, str]] = frozenset()) -> Pair:
    """Both sides of one sentence with every kind of gold."""
    left, right = english.say(sentence), korean.say(sentence)
    nodes = _nodes(sentence.clause)
    clauses = _of(Clause, nodes)
    pronouns = [node for node in _of(Pronoun, nodes) if node.antecedent]
    return Pair(
        english=left.side,
        korean=right.side,
        sure=_surest(_links(left.sure, right.sure), left, right),
        possible=_links(left.possible, right.possible),
        antecedents=tuple(gold for node in pronouns if (gold := _antecedent(node, left))),
        senses=tuple(_senses(nodes, lexicon, left, right)),
        subjects=tuple(_subjects(clauses, left, right)),
        negations=tuple(_negations(clauses, left, right)),
        copies=tuple(sorted({w.text for w in left.side.words if w.slot.endswith("copy")})),
        combinations=combinations,
        construction=sentence.construction,
        settled=all(len(_verbs(clause)) < 2 for clause in clauses),
        _matches=partial(_matches, sentence),
        _accepted=partial(_accepted, sentence),
    )


def _links(left: tuple[frozenset[Any], ...], right: tuple[frozenset[Any], ...]) -> frozenset[Link]:
    return frozenset((i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a & b)


def _surest(links: frozenset[Link], left: Line, right: Line) -> frozenset[Link]:
    """Leave out what Och and Ney (2003) would only call possible.

    That is a link between a word with a meaning of its own and a function word, and the links between two phrases
    of which neither can be taken apart (at night, 밤에는), where every word would be linked with every other.
    """
    of_left, of_right = Counter(i for i, _ in links), Counter(j for _, j in links)
    return frozenset(
        (i, j)
        for i, j in links
        if left.side.words[i].content == right.side.words[j].content and min(of_left[i], of_right[j]) == 1
    )


def _nodes(root: object) -> list[Any]:
    """Every node of a tree, once per key, without following a gap or a pronoun back to its noun."""
    found: dict[int, Any] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack += node
        elif hasattr(node, "key") and not isinstance(node, Gap):
            found.setdefault(node.key, node)
            if not isinstance(node, Pronoun):
                stack += [value for value in vars(node).values() if value.__class__ not in PLAIN]
    return list(found.values())


def _of(kind: type, nodes: list[Any]) -> list[Any]:
    return [node for node in nodes if isinstance(node, kind)]


def _index(line: Line, key: tuple[int, str]) -> int | None:
    return next((i for i, tags in enumerate(line.sure) if key in tags), None)


# --- gold -----------------------------------------------------------------------------------------------------------


def _antecedent(node: Pronoun, line: Line) -> Antecedent | None:
    assert node.antecedent
    pronoun, noun = _index(line, (node.key, "noun")), _index(line, (node.antecedent.key, "noun"))
    if pronoun is None or noun is None:
        return None
    rival = _korean_noun(node.rival) if node.rival else None
    return Antecedent(pronoun, noun, _korean_noun(node.antecedent), rival)


def _korean_noun(node: NounPhrase | Named) -> str:
    return node.noun.korean if isinstance(node, NounPhrase) else node.entry.korean


def _senses(nodes: list[Any], lexicon: Lexicon, left: Line, right: Line) -> Iterator[Sense]:
    groups = lexicon.senses()
    for node in _of(NounPhrase, nodes):
        noun = node.noun
        english_rivals = groups.get(("en", noun.english), ())
        korean_rivals = groups.get(("ko", noun.korean), ())
        at = _index(left, (node.key, "noun"))
        if noun in english_rivals and at is not None:
            yield Sense("en", at, noun.sense, (noun.korean,), tuple(n.korean for n in english_rivals if n != noun))
        at = _index(right, (node.key, "noun"))
        if noun in korean_rivals and at is not None:
            rivals = tuple(form for n in korean_rivals if n != noun for form in _forms(n.english, n.plural))
            yield Sense("ko", at, noun.sense, _forms(noun.english, noun.plural), rivals)


def _forms(singular: str, plural: str) -> tuple[str, ...]:
    return (singular,) if plural == "-" else tuple(dict.fromkeys((singular, plural)))


def _subjects(clauses: list[Clause], left: Line, right: Line) -> Iterator[tuple[Language, int, int]]:
    sides: tuple[tuple[Language, Line], ...] = (("en", left), ("ko", right))
    for clause in clauses:
        node = clause.subject
        target = node.head if isinstance(node, Gap) else node
        if target is None or clause.weather:
            continue
        for language, line in sides:
            verb = _index(line, (clause.key, "verb"))
            subject = _index(line, (target.key, "noun"))
            if verb is not None and subject is not None:
                yield language, verb, subject


def _negations(clauses: list[Clause], left: Line, right: Line) -> Iterator[tuple[Language, int, tuple[int, ...]]]:
    """What a negation denies: every word that expresses the predicate it stands in."""
    sides: tuple[tuple[Language, Line], ...] = (("en", left), ("ko", right))
    for clause in clauses:
        for language, line in sides:
            at = _index(line, (clause.key, "negation"))
            if at is not None:
                parts = {(clause.key, "verb"), (clause.key, "modal"), (clause.key, "aspect")}
                scope = tuple(i for i, tags in enumerate(line.sure) if tags & parts and i != at)
                yield language, at, scope


# --- references -----------------------------------------------------------------------------------------------------


def _accepted(sentence: Sentence, direction: Direction) -> frozenset[str]:
    """All references, up to a bound: every way to fill in what Korean leaves open."""
    if direction == "en-ko":
        return frozenset(_korean_references(sentence))
    choices = [[(node.key, option) for option in options] for node, options in _open(sentence)]
    combined = itertools.islice(itertools.product(*choices), MOST_REFERENCES)
    return frozenset(english.say(_vary(sentence, dict(chosen))).side.text for chosen in combined)


def _korean_references(sentence: Sentence) -> Iterator[str]:
    """The Korean sentence, and the same with every verb that the English leaves just as possible."""
    clauses = [clause for clause in _of(Clause, _nodes(sentence.clause)) if len(_verbs(clause)) > 1]
    for verbs in itertools.product(*map(_verbs, clauses)):
        chosen = {clause.key: verb for clause, verb in zip(clauses, verbs, strict=True)}
        yield korean.say(_vary(sentence, chosen)).side.text


def _verbs(clause: Clause) -> tuple[Verb, ...]:
    """What the verb may be in Korean: nothing decides what "wear" is in "What do you wear?" (입다, 신다, 쓰다)."""
    verb = clause.verb
    aimless = verb is not None and verb.frame in ("m", "i") and clause.place is None
    if verb is None or not (isinstance(clause.complement, Asked) or aimless):
        return (verb,) if verb else ()
    frames = ("m", "i") if aimless else (verb.frame,)
    fitting = [v for v in load_lexicon().verbs if v.english == verb.english and v.frame in frames]
    return (verb, *(v for v in fitting if v.korean != verb.korean and v.past == verb.past and v.subject & verb.subject))


def normalised(text: str) -> str:
    """Spacing, final mark and capitals do not make a translation wrong."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".?!").strip().lower()


def _matches(sentence: Sentence, hypothesis: str, direction: Direction) -> bool:
    wanted = normalised(hypothesis)
    if direction == "en-ko":
        return wanted in map(normalised, _korean_references(sentence))
    return _search(sentence, wanted, _open(sentence), {})


def _search(
    sentence: Sentence, wanted: str, open_nodes: list[tuple[Any, tuple[Any, ...]]], chosen: dict[int, Any]
) -> bool:
    """Fill the open places from left to right, giving up a branch as soon as its words differ."""
    if not open_nodes:
        return normalised(english.say(_vary(sentence, chosen)).side.text) == wanted
    (node, options), rest = open_nodes[0], open_nodes[1:]
    for option in options:
        trial = {**chosen, node.key: option}
        line = english.say(_vary(sentence, trial))
        at = _index(line, (node.key, "noun"))
        upto = line.side.words[at].end if at is not None else 0
        if wanted.startswith(normalised(line.side.text[:upto])) and _search(sentence, wanted, rest, trial):
            return True
    return False


def _open(sentence: Sentence) -> list[tuple[Any, tuple[Any, ...]]]:
    """Nodes that Korean leaves open, in English word order, with their options."""
    line = english.say(sentence)
    everything = _nodes(sentence.clause)
    nodes: list[tuple[Any, tuple[Any, ...]]] = []
    owners = [p.possessor for p in _of(NounPhrase, everything) if "family" in p.noun.classes]
    named = {node.antecedent.key for node in _of(Pronoun, everything) if node.antecedent}
    for node in _of(NounPhrase, everything):
        options = tuple(o for o in _noun_options(node) if node.key not in named or o[1] == node.plural)
        if len(options) > 1:
            nodes.append((node, options))
    for owner in owners:
        if isinstance(owner, Pronoun) and owner.pronoun.person == 1:
            nodes.append((owner, ("my", "our")))
    for clause in _of(Clause, everything):
        options = _clause_options(clause)
        if len(options) > 1:
            nodes.append((clause, options))
    where = {node.key: _index(line, (node.key, "noun")) for node, _ in nodes}
    return sorted(nodes, key=lambda item: -1 if (at := where[item[0].key]) is None else at)


def _noun_options(node: NounPhrase) -> tuple[Choice, ...]:
    articles = [node.determiner]
    if node.open and node.noun.article == "":
        articles = ["the", "a", ""]
    numbers = [False, True] if node.number_open else [node.plural]
    options = [(a, n) for a in articles for n in numbers if _sayable(node, a, n)]
    options += [(node.determiner, node.plural)] if (node.determiner, node.plural) not in options else []
    return tuple(options)


def _sayable(node: NounPhrase, article: str, plural: bool) -> bool:
    if article == "a":
        return node.noun.countable and not plural
    if article == "" and node.open:
        return plural or not node.noun.countable
    return True


def _clause_options(clause: Clause) -> tuple[Any, ...]:
    """Word order and modal verbs that Korean does not tell apart."""
    first = (False, True) if clause.subordinate and clause.subordinate[0] != "because" else (clause.subordinate_first,)
    modals = ("must", "have to") if _one_must(clause) else (clause.modal,)
    last = (False, True) if clause.recipient else (clause.recipient_last,)
    return tuple(itertools.product(first, modals, last))


def _one_must(clause: Clause) -> bool:
    return clause.modal in ("must", "have to") and not clause.negative and clause.tense == "present"


def _vary(node: Any, chosen: dict[int, Any]) -> Any:
    """The tree with some open places filled differently."""
    if isinstance(node, tuple):
        return tuple(_vary(child, chosen) for child in node)
    if isinstance(node, Gap) or not is_dataclass(node) or isinstance(node, type):
        return node
    if isinstance(node, Pronoun):
        return _my_or_our(node, chosen[node.key]) if node.key in chosen else node
    if not (hasattr(node, "key") or isinstance(node, Sentence)):
        return node
    changed = {f.name: _vary(getattr(node, f.name), chosen) for f in fields(node)}
    if getattr(node, "key", None) in chosen:
        option = chosen[node.key]
        if isinstance(node, NounPhrase):
            changed |= {"determiner": option[0], "plural": option[1]}
            changed["relative"] = _renumbered(changed["relative"], option[1])
        elif isinstance(option, Verb):
            changed["verb"] = option
        else:
            changed |= dict(zip(("subordinate_first", "modal", "recipient_last"), option, strict=True))
    return replace(node, **changed)


def _renumbered(clause: Clause | None, plural: bool) -> Clause | None:
    if clause is None or not isinstance(clause.subject, Gap):
        return clause
    return replace(clause, subject=replace(clause.subject, plural=plural))


def _my_or_our(node: Pronoun, word: str) -> Pronoun:
    forms = {"my": ("I", "me", "my", False), "our": ("we", "us", "our", True)}[word]
    old = node.pronoun
    entry = PersonalPronoun(forms[0], forms[1], forms[2], old.korean, old.korean_possessive, 1, forms[3], old.gender)
    return replace(node, pronoun=entry)
