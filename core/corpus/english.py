"""The English grammar: a clause in, a list of words out, each tagged with the nodes it expresses."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.corpus.lexicon import INVENTED, Adverb
from core.corpus.tree import (
    Asked,
    Clause,
    Coordination,
    Described,
    Gap,
    Named,
    Nominal,
    NounPhrase,
    Place,
    Pronoun,
    Sentence,
)
from core.corpus.unit import NONE, Keys, Line, Unit, english_line, keys

BE = {"base": "be", "ing": "being", "participle": "been"}
PREPOSITIONS = {
    "on": frozenset(
        ["street", "road", "beach", "island", "hill", "field", "farm", "mountain", "playground", "sidewalk", "sea"]
    ),
    "at": frozenset(["station", "airport", "port", "corner", "market", "zoo", "campsite"]),
}
"""Places that English is not `in`."""
SUBJECT_CASE = ("subject", "content")


@dataclass(frozen=True)
class Verbal:
    """One verb of the verb group; `next_form` is the form it asks of the verb after it."""

    forms: dict[str, str]
    next_form: str
    auxiliary: bool
    unit: Unit


def say(sentence: Sentence) -> Line:
    """Speak a sentence in English."""
    clause = sentence.clause
    question = clause.mood == "question"
    mark = ("?" if question else ".") if sentence.mark else ""
    return english_line(say_clause(clause), mark)


def say_clause(clause: Clause) -> list[Unit]:
    """A clause with its joined and subordinate clauses."""
    main = _core(clause)
    if clause.joined:
        main += _joined(clause)
    if not clause.subordinate:
        return main
    connective, other = clause.subordinate
    side = [Unit(connective, "connective", keys(other.key, "connective")), *say_clause(other)]
    if clause.subordinate_first:
        return [*side, Unit(",", "mark", NONE, keys(other.key, "connective"), glued=True), *main]
    return main + side


def _joined(clause: Clause) -> list[Unit]:
    assert clause.joined
    word, other = clause.joined
    link = Unit(word, "connective", keys(other.key, "connective"))
    if isinstance(other.subject, Gap):
        return [link, *_predicate(other)]
    comma = Unit(",", "mark", NONE, keys(other.key, "connective"), glued=True)
    return [comma, link, *say_clause(other)]


def _core(clause: Clause) -> list[Unit]:
    if clause.mood in ("imperative", "request", "suggestion"):
        return _command(clause)
    if clause.kind == "exist":
        return _existence(clause)
    subject = nominal(clause.subject, "subject")
    if clause.mood == "question" and not isinstance(clause.subject, Asked):
        return _question(clause, subject)
    return subject + _predicate(clause)


def _command(clause: Clause) -> list[Unit]:
    opening = {
        "imperative": [],
        "request": [Unit("please", "please", keys(clause.key, "please"))],
        "suggestion": [Unit("let's", "suggestion", keys(clause.key, "mood"))],
    }[clause.mood]
    verb = _main_verb(clause)
    negation = [Unit("do", "auxiliary", NONE, keys(clause.key, "verb", "negation")), _not(clause)]
    if clause.mood == "suggestion":
        negation = negation[1:]
    base = Unit(verb.forms["base"], "verb", verb.unit.sure, verb.unit.possible, verb.unit.lemma)
    return [*opening, *(negation if clause.negative else []), base, *_rest(clause)]


def _existence(clause: Clause) -> list[Unit]:
    finite, _, rest = _group(clause, many=_many(clause.subject), person=3)
    there = Unit("there", "there", NONE, keys(clause.key, "verb"))
    opening = [finite[0], there] if clause.mood == "question" else [there, finite[0]]
    subject = clause.subject
    if clause.negative and isinstance(subject, NounPhrase) and subject.determiner in ("a", "") and not subject.count:
        no = Unit("no", "negation", keys(clause.key, "negation"))
        return [*opening, *rest, no, *nominal(replace(subject, determiner=""), "subject"), *_adjuncts(clause)]
    return [*opening, *finite[1:], *rest, *nominal(clause.subject, "subject"), *_adjuncts(clause)]


def _question(clause: Clause, subject: list[Unit]) -> list[Unit]:
    finite, operator, rest = _group(clause, many=_many(clause.subject), person=_person(clause.subject), ask=True)
    asked = [_asked(clause.asked)] if clause.asked else []
    if isinstance(clause.complement, Asked):
        asked = [_asked(clause.complement)]
    del operator
    return [*asked, finite[0], *subject, *finite[1:], *_frequency(clause), *rest, *_rest(clause)]


def _predicate(clause: Clause) -> list[Unit]:
    subject = clause.subject
    finite, operator, rest = _group(clause, many=_many(subject), person=_person(subject))
    adverb = _frequency(clause)
    if operator:
        return [*finite, *adverb, *rest, *_rest(clause)]
    return [*adverb, *finite, *rest, *_rest(clause)]


def _frequency(clause: Clause) -> list[Unit]:
    return [_adverb(clause.frequency, clause.key, "frequency")] if clause.frequency else []


def _adverb(adverb: Adverb, node: int, part: str) -> Unit:
    return Unit(adverb.english, f"adverb.{part}", keys(node, part), lemma=adverb.english)


def _not(clause: Clause) -> Unit:
    return Unit("not", "negation", keys(clause.key, "negation"))


# --- the verb group -------------------------------------------------------------------------------------------------


def _group(clause: Clause, *, many: bool, person: int, ask: bool = False) -> tuple[list[Unit], bool, list[Unit]]:
    """The finite part (with its negation), whether it is an operator, and the verbs after it."""
    verbals = _verbals(clause)
    first = verbals[0]
    if not first.auxiliary and (ask or clause.negative):
        support = Unit("do", "auxiliary", NONE, keys(clause.key, "verb", "tense"))
        forms = {"base": "do", "third": "does", "past": "did"}
        verbals.insert(0, Verbal(forms, "base", True, support))
        first = verbals[0]
    finite = [_finite(first, clause, many=many, person=person)]
    if clause.negative:
        finite = _negate(finite[0], clause)
    rest, form = [], first.next_form
    for verbal in verbals[1:]:
        marker = [Unit("to", "marker", NONE, verbal.unit.sure)] if form == "to" else []
        text = verbal.forms["base" if form == "to" else form]
        rest += [
            *marker,
            Unit(text, verbal.unit.slot, verbal.unit.sure, verbal.unit.possible, verbal.unit.lemma),
        ]
        form = verbal.next_form
    if first.next_form == "to" and len(verbals) == 1:
        raise ValueError("a verb group cannot end in a marker")
    return finite, first.auxiliary, rest


def _negate(finite: Unit, clause: Clause) -> list[Unit]:
    negation = _not(clause)
    if finite.text == "can":
        return [Unit("cannot", finite.slot, finite.sure | negation.sure, finite.possible, "cannot")]
    return [finite, negation]


def _verbals(clause: Clause) -> list[Verbal]:
    key = clause.key
    modal = keys(key, "modal")
    chain: list[Verbal] = []
    if clause.tense == "future":
        chain.append(_fixed("would" if clause.shifted else "will", "base", keys(key, "tense")))
    if clause.modal == "can":
        chain.append(_fixed("could" if clause.tense == "past" or clause.shifted else "can", "base", modal))
    if clause.modal == "must":
        chain.append(_fixed("must", "base", modal))
    if clause.modal == "have to":
        forms = {"base": "have", "third": "has", "past": "had"}
        chain.append(Verbal(forms, "to", False, Unit("have", "modal", modal)))
    if clause.modal == "want":
        forms = {"base": "want", "third": "wants", "past": "wanted"}
        chain.append(Verbal(forms, "to", False, Unit("want", "modal", modal)))
    if clause.progressive:
        chain.append(Verbal(BE, "ing", True, Unit("be", "auxiliary", keys(key, "aspect"), keys(key, "tense"))))
    if clause.passive:
        chain.append(Verbal(BE, "participle", True, Unit("be", "auxiliary", NONE, keys(key, "verb", "tense"))))
    return [*chain, _main_verb(clause)]


def _fixed(word: str, next_form: str, sure: Keys) -> Verbal:
    forms = dict.fromkeys(("base", "third", "past"), word)
    return Verbal(forms, next_form, True, Unit(word, "auxiliary", sure))


def _main_verb(clause: Clause) -> Verbal:
    tagged = keys(clause.key, "verb")
    tense = keys(clause.key, "tense")
    if clause.weather:
        base, third, past, ing, _, _ = clause.weather
        forms = {"base": base, "third": third, "past": past, "ing": ing}
        return Verbal(forms, "", False, Unit(base, "verb", tagged, tense, base))
    if clause.kind == "have":
        forms = {"base": "have", "third": "has", "past": "had", "ing": "having"}
        return Verbal(forms, "", False, Unit("have", "verb", tagged, tense, "have"))
    if clause.kind != "verb":
        sure = tagged if clause.kind in ("exist", "copula") else NONE
        return Verbal(BE, "", True, Unit("be", "copula", sure, tagged | tense, "be"))
    verb = clause.verb
    assert verb
    forms = {"base": verb.english, "third": verb.third, "past": verb.past}
    forms |= {"participle": verb.participle, "ing": verb.ing}
    return Verbal(forms, "", False, Unit(verb.english, "verb", tagged, tense, verb.english))


def _finite(verbal: Verbal, clause: Clause, *, many: bool, person: int) -> Unit:
    past = clause.tense == "past" or (clause.shifted and clause.tense == "present")
    if verbal.forms is BE:
        text = _be(past=past, many=many, person=person)
    elif past:
        text = verbal.forms["past"]
    else:
        third = person == 3 and not many
        text = verbal.forms["third" if third else "base"]
    return Unit(text, verbal.unit.slot, verbal.unit.sure, verbal.unit.possible, verbal.unit.lemma)


def _be(*, past: bool, many: bool, person: int) -> str:
    plural = many or person == 2
    if past:
        return "were" if plural else "was"
    if plural:
        return "are"
    return "am" if person == 1 else "is"


def _many(node: Nominal) -> bool:
    match node:
        case NounPhrase():
            return node.many or (not node.noun.countable and node.noun.plural == node.noun.english)
        case Pronoun():
            return node.pronoun.plural
        case Coordination():
            return node.conjunction == "and"
        case Gap():
            return node.plural
        case _:
            return False


def _person(node: Nominal) -> int:
    return node.pronoun.person if isinstance(node, Pronoun) else 3


# --- what follows the verb ------------------------------------------------------------------------------------------


def _rest(clause: Clause) -> list[Unit]:
    units = _after_be(clause) if clause.kind in ("adjective", "copula", "age") else _objects(clause)
    return [*units, *_adjuncts(clause)]


def _after_be(clause: Clause) -> list[Unit]:
    if clause.kind == "age":
        assert clause.age
        years = Unit("year" if clause.age.value == 1 else "years", "unit", NONE, keys(clause.key, "age"), "year")
        number = Unit(clause.age.english, "number", keys(clause.key, "number"))
        return [number, years, Unit("old", "age", keys(clause.key, "age"))]
    if clause.kind == "copula":
        return [] if isinstance(clause.complement, Asked) else nominal(clause.complement, "complement")
    assert clause.adjective
    degree = [_adverb(clause.degree, clause.key, "degree")] if clause.degree else []
    return degree + _compared(clause)


def _compared(clause: Clause) -> list[Unit]:
    adjective = clause.adjective
    assert adjective
    tagged = keys(clause.key, "verb")
    if not clause.than:
        return [Unit(adjective.english, "adjective", tagged, lemma=adjective.english)]
    than = Unit("than", "than", keys(clause.key, "than"))
    more = keys(clause.key, "more")
    if adjective.comparative == "more":
        words = [
            Unit("more", "more", more),
            Unit(adjective.english, "adjective", tagged, lemma=adjective.english),
        ]
    else:
        words = [Unit(adjective.comparative, "adjective", tagged | more, lemma=adjective.english)]
    return [*words, than, *nominal(clause.than, "object")]


def _objects(clause: Clause) -> list[Unit]:
    complement = clause.complement
    if complement is None or isinstance(complement, Asked | Gap) or clause.passive:
        objects: list[Unit] = []
    else:
        objects = nominal(complement, "object")
    if clause.kind == "verb" and clause.verb and clause.verb.preposition and clause.verb.frame == "p":
        objects = [Unit(clause.verb.preposition, "preposition", NONE, keys(clause.key, "verb")), *objects]
    if clause.recipient:
        objects = _with_recipient(clause, objects)
    if clause.content:
        that = Unit("that", "connective", keys(clause.content.key, "connective"))
        objects = [*objects, that, *say_clause(clause.content)]
    return objects


def _with_recipient(clause: Clause, objects: list[Unit]) -> list[Unit]:
    assert clause.recipient
    recipient = nominal(clause.recipient, "recipient")
    if not clause.recipient_last:
        return recipient + objects
    preposition = (clause.verb and clause.verb.preposition) or "to"
    return [*objects, Unit(preposition, "preposition", NONE, keys(clause.recipient.key, "case")), *recipient]


def _adjuncts(clause: Clause) -> list[Unit]:
    units: list[Unit] = []
    if clause.manner:
        units.append(_adverb(clause.manner, clause.key, "manner"))
    if clause.place:
        units += place(clause.place)
    for preposition, node in (("with", clause.company), ("with", clause.instrument)):
        if node and not isinstance(node, Gap):
            units += [Unit(preposition, "preposition", keys(node.key, "case")), *nominal(node, "company")]
    if clause.purpose:
        marker = Unit("to", "marker", keys(clause.purpose.key, "purpose"))
        verb = _main_verb(clause.purpose)
        units += [marker, Unit(verb.forms["base"], "verb", verb.unit.sure, lemma=verb.unit.lemma)]
        units += _rest(clause.purpose)
    if clause.time:
        units += _time(clause.time, clause.key)
    return units


def _time(adverb: Adverb, key: int) -> list[Unit]:
    words = adverb.english.split()
    tagged = keys(key, "time")
    slots = ["time"] * len(words)
    return [Unit(w, s, tagged, lemma=w) for w, s in zip(words, slots, strict=True)]


def place(node: Place) -> list[Unit]:
    """A prepositional phrase of place or direction."""
    relation, korean = node.relation
    tagged = keys(node.key, "relation")
    sure, possible = (tagged, NONE) if korean else (NONE, tagged)
    if relation == "in" and not korean and isinstance(node.nominal, NounPhrase):
        relation = next((word for word, nouns in PREPOSITIONS.items() if node.nominal.noun.english in nouns), "in")
    words = [Unit(word, "preposition", sure, possible) for word in relation.split()]
    return [*words, *nominal(node.nominal, "place")]


# --- noun phrases ---------------------------------------------------------------------------------------------------


def nominal(node: Nominal | None, role: str) -> list[Unit]:
    """Any noun phrase, in the case its role asks for."""
    match node:
        case NounPhrase():
            return _noun_phrase(node, role)
        case Pronoun():
            case = node.pronoun.subject if role in SUBJECT_CASE else node.pronoun.object
            return [Unit(case, f"{role}.pronoun", keys(node.key, "noun"), lemma=node.pronoun.subject)]
        case Named():
            slot = f"{role}.copy" if node.invented else f"{role}.name"
            return [Unit(node.entry.name, slot, keys(node.key, "noun"), lemma=node.entry.name)]
        case Coordination():
            link = Unit(node.conjunction, "conjunction", keys(node.key, "conjunction"))
            return [*nominal(node.first, role), link, *nominal(node.second, role)]
        case Asked():
            return [_asked(node)]
        case _:
            return []


def _asked(node: Asked) -> Unit:
    return Unit(node.word, "question", keys(node.key, "noun"), lemma=node.word)


def _noun_phrase(node: NounPhrase, role: str) -> list[Unit]:
    tagged = keys(node.key, "noun")
    text = node.noun.plural if node.many and node.noun.countable else node.noun.english
    kind = "copy" if node.noun.sense == INVENTED else "noun"
    noun = Unit(text, f"{role}.{kind}", tagged, keys(node.key, "plural"), node.noun.english)
    described = [unit for item in node.adjectives for unit in _described(item, node)]
    units = [*described, noun]
    if node.name:
        units.append(Unit(node.name, f"{role}.copy", keys(node.key, "name"), lemma=node.name))
    units = [*_determiner(node, units[0].text), *units]
    return units + _relative(node)


def _described(item: Described, node: NounPhrase) -> list[Unit]:
    adjective, tagged = item.adjective, keys(item.key, "adjective")
    degree = [_adverb(item.degree, item.key, "degree")] if item.degree else []
    if not node.superlative:
        return [*degree, Unit(adjective.english, "adjective", tagged, lemma=adjective.english)]
    most = keys(item.key, "most")
    if adjective.superlative == "most":
        return [
            Unit("most", "most", most),
            Unit(adjective.english, "adjective", tagged, lemma=adjective.english),
        ]
    return [Unit(adjective.superlative, "adjective", tagged | most, lemma=adjective.english)]


def _determiner(node: NounPhrase, following: str) -> list[Unit]:
    tagged, loose = keys(node.key, "determiner"), keys(node.key, "noun")
    if node.possessor:
        return _possessive(node.possessor)
    if node.superlative:
        return [Unit("the", "determiner", NONE, loose)]
    units = []
    if node.determiner in ("this", "that"):
        word = {"this": "these", "that": "those"}[node.determiner] if node.many else node.determiner
        units.append(Unit(word, "determiner", tagged))
    elif node.determiner in ("every", "many"):
        units.append(Unit(node.determiner, "determiner", tagged))
    elif node.determiner == "the":
        units.append(Unit("the", "determiner", NONE, loose))
    elif node.determiner == "a" and not node.count:
        units.append(Unit(article(following), "determiner", NONE, loose))
    if node.count:
        units.append(Unit(node.count.english, "number", keys(node.key, "number")))
    return units


def _possessive(owner: Nominal) -> list[Unit]:
    if isinstance(owner, Pronoun):
        word = owner.pronoun.possessive
        return [Unit(word, "possessive", keys(owner.key, "noun"), lemma=owner.pronoun.subject)]
    plural_s = isinstance(owner, NounPhrase) and owner.many and owner.noun.plural.endswith("s")
    mark = "'" if plural_s else "'s"
    return [*nominal(owner, "possessor"), Unit(mark, "possessive", keys(owner.key, "case"), glued=True)]


def article(word: str) -> str:
    """a or an, by the sound that follows as spelling shows it."""
    vowel = word[0].lower() in "aeiou" and not word.lower().startswith(("uni", "use", "euro", "one"))
    return "an" if vowel or word.lower().startswith(("hour", "honest")) else "a"


def _relative(node: NounPhrase) -> list[Unit]:
    clause = node.relative
    if not clause:
        return []
    word = "who" if node.noun.human else "that"
    link = Unit(word, "relative", NONE, keys(clause.key, "ending"))
    if isinstance(clause.subject, Gap):
        return [link, *_predicate(clause)]
    return [link, *nominal(clause.subject, "subject"), *_predicate(clause)]
