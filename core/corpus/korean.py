"""The Korean grammar: a clause in, inflected words out, in the plain style (한다체).

Word order: subject, time, company, place, instrument, recipient, object, manner, verb; a modifying clause stands before
what it modifies. Endings are chosen here, and joined to their stems by Kiwi (`core.corpus.inflection`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.corpus.lexicon import INVENTED, POSTURES, Adverb, Number
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
from core.corpus.unit import NONE, Eojeol, Keys, Line, Morpheme, keys, korean_line

PARTICLES = {
    "topic": ("는", "JX"),
    "subject": ("가", "JKS"),
    "object": ("를", "JKO"),
    "recipient": ("에게", "JKB"),
    "possessor": ("의", "JKG"),
    "company": ("와", "JC"),
    "instrument": ("로", "JKB"),
    "than": ("보다", "JKB"),
    "at": ("에", "JKB"),
    "in": ("에서", "JKB"),
    "또는": ("나", "JC"),
}
UNABLE = ("remember", "understand", "realize", "notice", "recognize", "know")
"""Verbs whose plain negation is -지 못하다 in Korean: one fails to know, one does not decline to."""
ASKED = {"who": "누구", "what": "무엇", "where": "어디", "when": "언제", "why": "왜", "how": "어떻게"}
CONNECTIVES = {
    "and": ("고",),
    "but": ("지만",),
    "or": ("거나",),
    "because": ("기", "때문에"),
    "when": ("ᆯ", "때"),
    "if": ("면",),
    "although": ("지만",),
    "before": ("기", "전에"),
    "after": ("ᆫ", "후에"),
}


@dataclass(frozen=True)
class Stem:
    """A predicate waiting for its ending. `kind`: verb, adjective, exist (있다, 없다), copula."""

    words: tuple[Eojeol, ...]
    kind: str

    def add(self, *morphemes: Morpheme) -> Stem:
        return Stem((*self.words[:-1], (*self.words[-1], *morphemes)), self.kind)

    def word(self, *morphemes: Morpheme, kind: str) -> Stem:
        return Stem((*self.words, morphemes), kind)


def say(sentence: Sentence) -> Line:
    """Speak a sentence in Korean."""
    mood = sentence.clause.mood
    ending = "declarative" if mood == "statement" else mood
    mark = ("?" if mood == "question" else ".") if sentence.mark else ""
    return korean_line(say_clause(sentence.clause, ending), mark)


def say_clause(clause: Clause, ending: str, *, topic: bool = True) -> list[Eojeol]:
    """A clause with its subordinate clause in front and its joined clause behind."""
    words = _subject(clause, topic=topic)
    rest = _body(clause)
    if clause.joined:
        rest += _linked(clause, clause.joined[0]) + _second(clause.joined[1], ending)
    else:
        rest += finish(clause, ending)
    if not clause.subordinate:
        return words + rest
    connective, other = clause.subordinate
    side = _subordinate(connective, other)
    if not (isinstance(other.subject, Pronoun) and other.subject.dropped):
        return [*side, *words, *rest]
    opening = 1 if connective == "although" else 0
    return [*side[:opening], *words, *side[opening:], *rest]


def _second(clause: Clause, ending: str) -> list[Eojeol]:
    return say_clause(clause, ending)


def _subordinate(connective: str, clause: Clause) -> list[Eojeol]:
    opening = [(Morpheme("비록", "MAG", "connective", keys(clause.key, "connective")),)]
    words = _subject(clause, topic=False) + _body(clause) + _linked(clause, connective, clause)
    return [*opening, *words] if connective == "although" else words


def _linked(clause: Clause, connective: str, owner: Clause | None = None) -> list[Eojeol]:
    """The predicate with a connective ending; the key belongs to the clause that English introduces by a word."""
    owner = owner or (clause.joined[1] if clause.joined else clause)
    shared = clause.joined is not None and isinstance(clause.joined[1].subject, Gap)
    tensed = connective not in ("before", "after", "or", "if") and not (shared and connective == "and")
    stem = _tensed(clause, predicate(clause), connective) if tensed else predicate(clause)
    form, *after = ("어서",) if shared and connective == "and" and _leaves(clause) else CONNECTIVES[connective]
    tagged = keys(owner.key, "connective")
    tag = {"기": "ETN", "ᆯ": "ETM", "ᆫ": "ETM"}.get(form, "EC")
    stem = stem.add(Morpheme(form, tag, "ending", tagged))
    for word in after:
        noun = word[:-1] if word.endswith("에") else word
        eojeol = [Morpheme(noun, "NNB", "connective", tagged)]
        if noun != word:
            eojeol.append(Morpheme("에", "JKB", "particle", NONE, tagged))
        stem = stem.word(*eojeol, kind="noun")
    return list(stem.words)


def _leaves(clause: Clause) -> bool:
    """Whether the clause is about going somewhere, which what follows presupposes: 가서 먹는다."""
    return clause.verb is not None and clause.verb.frame == "m"


# --- the predicate --------------------------------------------------------------------------------------------------


def predicate(clause: Clause) -> Stem:
    """Stem, voice, aspect, modality and negation; tense and ending come later."""
    stem = _root(clause)
    tag = keys(clause.key, "aspect")
    if clause.progressive:
        posture = clause.verb is not None and clause.verb.korean in POSTURES
        stem = stem.add(Morpheme("어" if posture else "고", "EC", "ending", NONE, tag)).word(
            Morpheme("있", "VX", "auxiliary", tag, lemma="있다"), kind="exist"
        )
    if clause.modal:
        return _modal(clause, stem)
    return _negated(clause, stem)


def _negated(clause: Clause, stem: Stem) -> Stem:
    if not clause.negative or clause.kind in ("copula", "exist", "have", "age"):
        return stem
    tagged = keys(clause.key, "negation")
    stem = stem.add(Morpheme("지", "EC", "ending", NONE, tagged))
    if clause.passive and clause.verb and clause.verb.passive.endswith("받다"):
        return stem.word(Morpheme("못하", "VV", "negation", tagged, lemma="못하다"), kind="verb")
    if clause.verb and clause.verb.english in UNABLE and clause.mood in ("statement", "question"):
        return stem.word(Morpheme("못하", "VV", "negation", tagged, lemma="못하다"), kind="verb")
    if clause.mood in ("imperative", "request", "suggestion"):
        return stem.word(Morpheme("말", "VX", "negation", tagged, lemma="말다"), kind="prohibition")
    kind = "verb" if stem.kind == "verb" else "adjective"
    return stem.word(Morpheme("않", "VX", "negation", tagged, lemma="않다"), kind=kind)


def _modal(clause: Clause, stem: Stem) -> Stem:
    tagged, negation = keys(clause.key, "modal"), keys(clause.key, "negation")
    if clause.modal == "want":
        return _negated(clause, _wanting(clause, stem))
    if clause.modal == "can":
        stem = stem.add(Morpheme("ᆯ", "ETM", "ending", NONE, tagged))
        stem = stem.word(Morpheme("수", "NNB", "modal", tagged), kind="noun")
        sure = tagged | negation if clause.negative else tagged
        form = "없" if clause.negative else "있"
        return stem.word(Morpheme(form, "VA", "modal", sure, lemma=form + "다"), kind="exist")
    if not clause.negative:
        stem = stem.add(Morpheme("어야", "EC", "ending", tagged))
        return stem.word(Morpheme("하", "VX", "modal", tagged, lemma="하다"), kind="verb")
    if clause.modal == "must":
        stem = stem.add(Morpheme("면", "EC", "ending", NONE, tagged))
        stem = stem.word(Morpheme("안", "MAG", "negation", negation), kind="adverb")
    else:
        stem = stem.add(Morpheme("지", "EC", "ending", NONE, negation))
        stem = stem.word(Morpheme("않아도", "VX", "negation", negation), kind="verb")
    return stem.word(Morpheme("되", "VV", "modal", tagged, lemma="되다"), kind="verb")


def _wanting(clause: Clause, stem: Stem) -> Stem:
    tagged = keys(clause.key, "modal")
    stem = stem.add(Morpheme("고", "EC", "ending", NONE, tagged))
    own = isinstance(clause.subject, Pronoun) and clause.subject.pronoun.person < 3
    if own:
        return stem.word(Morpheme("싶", "VX", "modal", tagged, lemma="싶다"), kind="adjective")
    stem = stem.word(Morpheme("싶", "VX", "modal", tagged, lemma="싶다"), Morpheme("어", "EC", "ending"), kind="verb")
    return stem.word(Morpheme("하", "VX", "modal", NONE, tagged, lemma="하다"), kind="verb")


def _root(clause: Clause) -> Stem:
    tagged = keys(clause.key, "verb")
    if clause.kind == "adjective":
        assert clause.adjective
        form = clause.adjective.korean[:-1]
        kind = "exist" if form.endswith(("있", "없")) else "adjective"
        return Stem(
            ((Morpheme(form, clause.adjective.tag, "adjective", tagged, lemma=clause.adjective.korean),),),
            kind,
        )
    if clause.kind in ("copula", "age"):
        return _copula(clause)
    if clause.kind in ("exist", "have"):
        form = "없" if clause.negative else "있"
        sure = tagged | keys(clause.key, "negation") if clause.negative else tagged
        return Stem(((Morpheme(form, "VA", "verb", sure, lemma=form + "다"),),), "exist")
    if clause.weather:
        noun, verb = clause.weather[4:]
        subject = (
            Morpheme(noun, "NNG", "subject.noun", tagged),
            Morpheme("가", "JKS", "particle", NONE, tagged),
        )
        return Stem((subject, (Morpheme(verb[:-1], "VV", "verb", tagged, lemma=verb),)), "verb")
    assert clause.verb
    form, tag = (clause.verb.passive, "VV") if clause.passive else (clause.verb.korean, clause.verb.tag)
    return Stem(((Morpheme(form[:-1], tag, "verb", tagged, lemma=form),),), "verb")


def _copula(clause: Clause) -> Stem:
    if clause.kind == "age":
        assert clause.age
        number = Morpheme(clause.age.native, "MM", "number", keys(clause.key, "number"))
        words: list[Eojeol] = [(number,), (Morpheme("살", "NNB", "age", keys(clause.key, "age")),)]
    else:
        words = nominal(clause.complement, "complement")
    be = keys(clause.key, "verb")
    if clause.negative:
        words[-1] = (*words[-1], Morpheme("가", "JKC", "particle", NONE, be))
        sure = be | keys(clause.key, "negation")
        return Stem((*words, (Morpheme("아니", "VCN", "negation", sure, lemma="아니다"),)), "copula")
    words[-1] = (*words[-1], Morpheme("이", "VCP", "copula", be, lemma="이다"))
    return Stem(tuple(words), "copula")


def _tensed(clause: Clause, stem: Stem, ending: str) -> Stem:
    tagged = keys(clause.key, "tense")
    loose = keys(clause.key, "verb")
    if clause.tense == "past":
        return Stem(stem.add(Morpheme("었", "EP", "tense", tagged, loose)).words, "past")
    if clause.tense == "future" and ending == "but":
        return Stem(stem.add(Morpheme("겠", "EP", "tense", tagged, loose)).words, "past")
    if clause.tense == "future" and ending in ("declarative", "question", "say", "know", "and"):
        stem = stem.add(Morpheme("ᆯ", "ETM", "ending", NONE, tagged))
        noun = "거" if ending == "question" else "것"
        return stem.word(
            Morpheme(noun, "NNB", "tense", tagged),
            Morpheme("이", "VCP", "copula", NONE, tagged),
            kind="copula",
        )
    return stem


def finish(clause: Clause, ending: str) -> list[Eojeol]:
    """The whole predicate with tense and the final ending."""
    stem = predicate(clause)
    loose = keys(clause.key, "verb", "ending")
    if ending in ("imperative", "request", "suggestion"):
        return _commanded(clause, stem, ending)
    if ending == "adnominal":
        return _adnominal(clause, stem)
    if ending == "wish":
        that = keys(clause.key, "connective")
        stem = _tensed(clause, stem, ending)
        wish = (Morpheme("기", "ETN", "ending", that), Morpheme("를", "JKO", "particle", NONE, that))
        return list(stem.add(*wish).words)
    if ending == "purpose":
        tagged = keys(clause.key, "purpose")
        return list(stem.add(Morpheme("러", "EC", "ending", tagged)).words)
    stem = _tensed(clause, stem, ending)
    present = stem.kind == "verb"
    forms = {
        "declarative": "ᆫ다" if present else "다",
        "question": "니",
        "say": "ᆫ다고" if present else ("라고" if stem.kind == "copula" else "다고"),
        "know": "ᆫ다는" if present else ("라는" if stem.kind == "copula" else "다는"),
    }
    that = keys(clause.key, "connective") if ending in ("say", "know") else NONE
    tag = {"say": "EC", "know": "ETM"}.get(ending, "EF")
    stem = stem.add(Morpheme(forms[ending], tag, "ending", that, loose))
    if ending == "know":
        thing = (Morpheme("것", "NNB", "connective", that), Morpheme("를", "JKO", "particle", NONE, that))
        stem = stem.word(*thing, kind="noun")
    return list(stem.words)


def _commanded(clause: Clause, stem: Stem, ending: str) -> list[Eojeol]:
    mood, please = keys(clause.key, "mood"), keys(clause.key, "please")
    loose = keys(clause.key, "verb")
    if stem.kind == "prohibition":
        negation = keys(clause.key, "negation")
        form = {"imperative": "마라", "request": "마세요", "suggestion": "말자"}[ending]
        possible = please if ending == "request" else mood
        word = (Morpheme(form, "VX", "negation", negation, possible, lemma="말다"),)
        return [*stem.words[:-1], word]
    if ending == "request" and stem.words[-1][-1].form.endswith("주"):
        return list(stem.add(Morpheme("세요", "EF", "please", please)).words)
    if ending == "request":
        stem = stem.add(Morpheme("어", "EC", "ending", NONE, loose))
        return [*stem.words, (Morpheme("주세요", "VX", "please", please, lemma="주다"),)]
    form = {"imperative": "어라", "suggestion": "자"}[ending]
    return list(stem.add(Morpheme(form, "EF", "ending", mood, loose)).words)


def _adnominal(clause: Clause, stem: Stem) -> list[Eojeol]:
    tagged = keys(clause.key, "ending", "tense", "verb")
    if clause.tense == "past" and stem.kind != "verb":
        stem = stem.add(Morpheme("었", "EP", "tense", NONE, tagged))
        form = "던"
    elif clause.tense == "future":
        form = "ᆯ"
    elif stem.kind in ("verb", "exist"):
        form = "ᆫ" if clause.tense == "past" else "는"
    else:
        form = "ᆫ"
    return list(stem.add(Morpheme(form, "ETM", "ending", NONE, tagged)).words)


# --- what stands before the predicate -------------------------------------------------------------------------------


def _subject(clause: Clause, *, topic: bool) -> list[Eojeol]:
    subject = clause.subject
    hidden = isinstance(subject, Gap) or (isinstance(subject, Pronoun) and subject.dropped)
    if clause.weather or hidden or clause.mood in ("imperative", "request", "suggestion"):
        return []
    if isinstance(subject, Asked):
        asked = keys(subject.key, "noun")
        form = "누가" if subject.word == "who" else "무엇"
        if subject.word == "who":
            return [(Morpheme(form, "NP", "subject.question", asked),)]
        return [(Morpheme(form, "NP", "subject.question", asked), Morpheme("가", "JKS", "particle", NONE, asked))]
    if clause.kind == "exist":
        return []
    if clause.kind == "have" and not topic:
        return marked(subject, "recipient", slot="subject")
    return marked(subject, "topic" if topic and not _new(clause) else "subject", slot="subject")


def _new(clause: Clause) -> bool:
    """Whether an event brings its subject up for the first time: 음악가가 왔다, not 음악가는."""
    phrase = clause.subject
    if not isinstance(phrase, NounPhrase) or clause.kind != "verb" or (clause.verb and clause.verb.stative):
        return False
    known = phrase.relative or phrase.possessor or phrase.superlative or phrase.noun.article
    if known or clause.mood != "statement" or clause.content:
        return False
    event = clause.tense != "present" or clause.progressive or bool(phrase.count)
    return phrase.determiner in ("a", "many") or (phrase.determiner == "" and phrase.plural and event)


def _body(clause: Clause) -> list[Eojeol]:
    words: list[Eojeol] = []
    if clause.time:
        words += adverb(clause.time, clause.key, "time")
    if clause.asked and clause.asked.word in ("when", "why"):
        words.append(_asked(clause.asked))
    if clause.frequency:
        words += adverb(clause.frequency, clause.key, "frequency")
    if clause.company:
        together = Morpheme("함께", "MAG", "company", keys(clause.company.key, "case"))
        words += [*marked(clause.company, "company"), (together,)]
    if clause.purpose:
        words += _body(clause.purpose) + finish(clause.purpose, "purpose")
    words += _places(clause)
    if clause.instrument:
        words += marked(clause.instrument, "instrument", case=keys(clause.instrument.key, "case"))
    words += _complements(clause)
    if clause.manner:
        words += adverb(clause.manner, clause.key, "manner")
    if clause.asked and clause.asked.word == "how":
        words.append(_asked(clause.asked))
    return words


def _complements(clause: Clause) -> list[Eojeol]:
    words: list[Eojeol] = []
    if clause.recipient:
        words += marked(clause.recipient, "recipient", case=keys(clause.recipient.key, "case"))
    if clause.kind == "exist":
        words += marked(clause.subject, "subject")
    elif clause.kind == "have":
        words += marked(clause.complement, "subject", slot="object")
    elif clause.kind == "verb" and clause.complement and not clause.passive:
        words += _object(clause)
    if clause.than:
        words += marked(clause.than, "than", case=keys(clause.key, "than"))
        words.append((Morpheme("더", "MAG", "more", keys(clause.key, "more")),))
    if clause.degree:
        words += adverb(clause.degree, clause.key, "degree")
    if clause.content:
        assert clause.verb
        ending = {"다고": "say", "기를": "wish"}.get(clause.verb.particle, "know")
        words += say_clause(clause.content, ending, topic=False)
    return words


def _object(clause: Clause) -> list[Eojeol]:
    assert clause.verb and clause.complement
    if isinstance(clause.complement, Gap):
        return []
    particle = clause.verb.particle if clause.verb.frame == "p" else ""
    role = {
        "에": "at",
        "에서": "in",
        "에게": "recipient",
        "와": "company",
        "로": "instrument",
        "으로": "instrument",
    }
    return marked(clause.complement, role.get(particle, "object"), slot="object")


def _places(clause: Clause) -> list[Eojeol]:
    words: list[Eojeol] = []
    still = clause.kind in ("exist", "adjective", "copula") or (clause.verb and clause.verb.frame in ("l", "m"))
    particle = "at" if still else "in"
    if clause.verb and clause.verb.frame in ("l", "m"):
        particle = {"에서": "in", "로": "instrument", "으로": "instrument"}.get(clause.verb.particle, "at")
    if clause.asked and clause.asked.word == "where":
        asked = keys(clause.asked.key, "noun")
        form, tag = PARTICLES[particle]
        words.append((Morpheme("어디", "NP", "question", asked), Morpheme(form, tag, "particle", NONE, asked)))
    if clause.place:
        words += place(clause.place, particle)
    return words


def place(node: Place, particle: str) -> list[Eojeol]:
    """A place with its relational noun (소파 위에서) or its bare particle (공원에서)."""
    tagged = keys(node.key, "relation")
    _, korean = node.relation
    if not korean:
        return marked(node.nominal, particle, slot="place", case=tagged, sure_case=False)
    form, tag = PARTICLES[particle]
    relation = (Morpheme(korean, "NNG", "relation", tagged), Morpheme(form, tag, "particle", NONE, tagged))
    return [*nominal(node.nominal, "place"), relation]


def adverb(entry: Adverb, node: int, part: str) -> list[Eojeol]:
    """An adverb or time phrase, its final particle 에 cut off as a morpheme of its own."""
    tagged = keys(node, part)
    words: list[Eojeol] = []
    for word in entry.korean.split():
        if part == "time" and word.endswith("에") and len(word) > 1:
            words.append((Morpheme(word[:-1], "NNG", "time", tagged), Morpheme("에", "JKB", "particle", NONE, tagged)))
        else:
            words.append((Morpheme(word, "MAG", f"adverb.{part}" if part != "time" else "time", tagged),))
    return words


# --- noun phrases ---------------------------------------------------------------------------------------------------


def marked(
    node: Nominal | None, role: str, *, slot: str = "", case: Keys = NONE, sure_case: bool = True
) -> list[Eojeol]:
    """A noun phrase with the particle of its role; `case` tags the particle with the English preposition."""
    words = nominal(node, slot or role)
    if not words:
        return words
    assert node
    form, tag = PARTICLES[role]
    loose = keys(_head(node).key, "noun")
    sure = case if sure_case else NONE
    words[-1] = (*words[-1], Morpheme(form, tag, f"particle.{role}", sure, loose | case))
    return words


def _head(node: Nominal) -> Nominal:
    return node.second if isinstance(node, Coordination) else node


def nominal(node: Nominal | None, slot: str) -> list[Eojeol]:
    """Any noun phrase, still without its particle."""
    match node:
        case NounPhrase():
            return _noun_phrase(node, slot)
        case Pronoun():
            return _pronoun(node, slot)
        case Named():
            return [(_name(node.entry.korean, keys(node.key, "noun"), slot, copied=node.invented),)]
        case Coordination():
            return _coordinated(node, slot)
        case Asked():
            asked = keys(node.key, "noun")
            return [(Morpheme(ASKED[node.word], "NP", f"{slot}.question", asked),)]
        case _:
            return []


def _name(name: str, tagged: Keys, slot: str, *, copied: bool) -> Morpheme:
    tag = "SL" if name[0].isascii() else "NNP"
    return Morpheme(name, tag, f"{slot}.copy" if copied else f"{slot}.name", tagged)


def _pronoun(node: Pronoun, slot: str) -> list[Eojeol]:
    tagged = keys(node.key, "noun")
    if node.antecedent:
        if isinstance(node.antecedent, Named):
            return nominal(replace(node.antecedent, key=node.key), slot)
        bare = replace(
            node.antecedent,
            key=node.key,
            adjectives=(),
            relative=None,
            possessor=None,
            count=None,
            name="",
            determiner="the",
            superlative=False,
            plural=node.antecedent.many,
        )
        return _noun_phrase(bare, slot)
    return [(Morpheme(node.pronoun.korean, "NP", f"{slot}.pronoun", tagged),)]


def _coordinated(node: Coordination, slot: str) -> list[Eojeol]:
    first = nominal(node.first, slot)
    form, tag = PARTICLES["company" if node.conjunction == "and" else "또는"]
    link = Morpheme(form, tag, "conjunction", keys(node.key, "conjunction"), keys(node.first.key, "noun"))
    first[-1] = (*first[-1], link)
    return first + nominal(node.second, slot)


def _asked(node: Asked) -> Eojeol:
    return (Morpheme(ASKED[node.word], "MAG", "question", keys(node.key, "noun")),)


def _noun_phrase(node: NounPhrase, slot: str) -> list[Eojeol]:
    words: list[Eojeol] = []
    if node.relative:
        relative = node.relative
        words += _subject(relative, topic=False) + _body(relative) + finish(relative, "adnominal")
    words += _determiner(node)
    for item in node.adjectives:
        words += _described(item, superlative=node.superlative)
    tagged = keys(node.key, "noun")
    if node.noun.sense == INVENTED:
        noun = _name(node.noun.korean, tagged, slot, copied=True)
    else:
        noun = Morpheme(node.noun.korean, "NNG", f"{slot}.noun", tagged, lemma=node.noun.korean)
    head: Eojeol = (noun,)
    if node.name:
        words.append(head)
        head = (_name(node.name, keys(node.key, "name"), slot, copied=True),)
    if plural_marked(node) and slot != "complement":
        head = (*head, Morpheme("들", "XSN", "plural", keys(node.key, "plural"), tagged))
    words.append(head)
    if node.count:
        words += _counted(node.count, node)
    return words


def plural_marked(node: NounPhrase) -> bool:
    """들 marks people, animals and things that are pointed at, and never stands beside a counter."""
    animate = node.noun.human or "animal" in node.noun.classes
    pointed = node.determiner in ("this", "that")
    return node.many and not node.count and node.noun.countable and (animate or pointed)


def _counted(number: Number, node: NounPhrase) -> list[Eojeol]:
    tagged = keys(node.key, "number")
    form = number.native or number.sino
    counter = Morpheme(node.noun.counter, "NNB", "counter", NONE, tagged | keys(node.key, "noun"))
    return [(Morpheme(form, "MM", "number", tagged),), (counter,)]


def _determiner(node: NounPhrase) -> list[Eojeol]:
    if node.possessor:
        return _possessive(node)
    form = {"this": "이", "that": "저", "every": "모든", "many": "많은"}.get(node.determiner)
    return [(Morpheme(form, "MM", "determiner", keys(node.key, "determiner")),)] if form else []


def _possessive(node: NounPhrase) -> list[Eojeol]:
    owner = node.possessor
    if isinstance(owner, Pronoun):
        form = owner.pronoun.korean_possessive
        if owner.pronoun.person == 1 and not owner.pronoun.plural:
            form = "우리" if "family" in node.noun.classes else "내"
        if owner.pronoun.person == 1 and owner.pronoun.plural:
            form = "우리"
        return [(Morpheme(form, "MM", "possessive", keys(owner.key, "noun")),)]
    assert owner
    return marked(owner, "possessor", case=keys(owner.key, "case"))


def _described(item: Described, *, superlative: bool) -> list[Eojeol]:
    tagged = keys(item.key, "adjective")
    adjective = item.adjective
    words = adverb(item.degree, item.key, "degree") if item.degree else []
    if superlative:
        words.append((Morpheme("가장", "MAG", "most", keys(item.key, "most")),))
    form = adjective.korean[:-1]
    ending = "는" if form.endswith(("있", "없")) else "ᆫ"
    stem = Morpheme(form, adjective.tag, "adjective", tagged, lemma=adjective.korean)
    return [*words, (stem, Morpheme(ending, "ETM", "ending", NONE, tagged))]
