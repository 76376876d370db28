"""Drawing sentences: which construction, which words, how deep; every choice comes from one seeded generator."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.corpus.invented import invent
from core.corpus.lexicon import (
    INVENTED,
    POSTURES,
    Adjective,
    Adverb,
    Lexicon,
    Noun,
    Number,
    PersonalPronoun,
    PersonName,
    Verb,
    resolve,
)
from core.corpus.tree import (
    Asked,
    Clause,
    Conjunction,
    Coordination,
    Described,
    Gap,
    Modal,
    Mood,
    Named,
    Nominal,
    NounPhrase,
    Place,
    Pronoun,
    Sentence,
    Tense,
)

T = TypeVar("T")
HUMAN = resolve("human")
PLACES = resolve("building,room,place")
SPOTS = PLACES | resolve("town,country,spot")
BESIDE = {
    "on": resolve("furniture"),
    "under": resolve("furniture"),
    "inside": resolve("building,room"),
    "outside": resolve("building"),
    "in the middle of": resolve("room"),
    "around": resolve("building"),
}
"""Things that a relation makes sense with; the other relations take LANDMARKS."""
LANDMARKS = resolve("building,vehicle,furniture")
CLEAR_DEGREES = ("very", "too", "really", "quite")
TOOLS = {
    "cut": "cutter", "write": "writingtool", "draw": "writingtool", "clean": "cleaningtool", "wash": "cleaningtool",
    "fix": "fixer", "break": "fixer", "hit": "fixer",
}  # fmt: skip
AIMLESS = frozenset(
    [
        "stop",
        "change",
        "move",
        "yawn",
        "slip",
        "die",
        "lose",
        "run",
        "walk",
        "sneeze",
        "cough",
        "disappear",
        "appear",
        "fall",
        "fail",
        "forget",
        "miss",
        "hurt",
        "find",
        "catch",
        "happen",
        "grow",
        "shake",
        "wake",
        "faint",
        "drop",
        "receive",
        "get",
        "win",
        "go",
        "come",
        "become",
        "drown",
        "bleed",
        "tremble",
        "blush",
        "succeed",
        "escape",
    ]
)
"""Verbs that nobody can be asked to do, or goes somewhere to do."""
STATES = frozenset(
    [
        "tired",
        "hungry",
        "sick",
        "sad",
        "busy",
        "young",
        "happy",
        "thirsty",
        "bored",
        "lonely",
        "full",
        "cold",
        "hot",
        "nervous",
    ]
)
WEATHER = (
    ("rain", "rains", "rained", "raining", "비", "오다"),
    ("snow", "snows", "snowed", "snowing", "눈", "오다"),
)
AIMED = frozenset({"go", "come", "return"})
"""Verbs of motion that need not say where."""
BODILY = frozenset({"hurt", "rub", "scratch", "wash"})
"""Done to a part of one's own body, English says whose: he hurt his head."""
PROSPECTIVE = ("promise", "expect", "hope")
"""What is promised or expected is not past."""
DEMONSTRATIVES = (
    PersonalPronoun("this", "this", "", "이것", "", 3, False, "n"),
    PersonalPronoun("that", "that", "", "저것", "", 3, False, "n"),
)
MODALS: tuple[Modal, ...] = ("can", "want", "have to", "must")
COMMANDS: tuple[Mood, ...] = ("imperative", "request", "suggestion")
TENSES: tuple[Tense, ...] = ("present", "past", "future")


@dataclass(repr=False)
class Sampler:
    """Draws trees. `combinations` collects the (head, slot, word) triples of the sentence being drawn."""

    lexicon: Lexicon
    random: random.Random
    key: int = 0
    combinations: set[tuple[str, str, str]] = field(default_factory=set)
    phrases: dict[int, NounPhrase] = field(default_factory=dict)
    antecedents: list[Pronoun] = field(default_factory=list)

    # --- small helpers ----------------------------------------------------------------------------------------------

    def next_key(self) -> int:
        self.key += 1
        return self.key

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return self.random.choice(options)

    def frequent(self, options: Sequence[T]) -> T:
        """A mildly Zipfian draw: the tables are ordered by frequency, and rare words still come up often enough."""
        if self.chance(0.65):
            return self.random.choice(options)
        return options[int(len(options) * self.random.random() ** 2)]

    def weighed(self, tenses: Sequence[Tense], weights: Sequence[int]) -> Tense:
        return self.random.choices(tenses, weights)[0]

    def tense(self) -> Tense:
        return self.weighed(TENSES, (45, 40, 15))

    # --- noun phrases -----------------------------------------------------------------------------------------------

    def noun(self, classes: frozenset[str]) -> Noun | None:
        options = self.lexicon.nouns_of(classes)
        return self.frequent(options) if options else None

    def personal(self, *persons: str) -> Pronoun:
        chosen = [p for p in self.lexicon.pronouns if p.subject in persons]
        return Pronoun(self.next_key(), self.pick(chosen))

    def named(self) -> Named:
        return Named(self.next_key(), self.frequent(self.lexicon.names))

    def human(self, *, asking: bool = False, nouns: bool = True) -> Nominal:
        """Somebody: a pronoun, a name, or a noun phrase."""
        draw = self.random.random()
        persons = ("you", "he", "she", "they") if asking else ("I", "I", "you", "he", "she", "we", "they")
        if draw < 0.42 or not nouns:
            return self.personal(*persons)
        if draw < 0.62:
            return self.named()
        phrase = self.phrase(HUMAN)
        assert phrase
        return phrase

    def nominal(self, classes: frozenset[str], *, size: int = 1) -> Nominal | None:
        """Something or somebody of these classes."""
        human = bool(classes & HUMAN)
        if human and self.chance(0.55):
            return self.human()
        if self.chance(0.05):
            return self.coordination(classes)
        return self.phrase(classes, size=size)

    def coordination(self, classes: frozenset[str]) -> Nominal | None:
        if classes & HUMAN and self.chance(0.5):
            first, second = self.named(), self.named()
            if first.entry == second.entry:
                return first
            return Coordination(self.next_key(), first, "and", second)
        one, two = self.phrase(classes, size=0), self.phrase(classes, size=0)
        if not one or not two or one.noun == two.noun:
            return one
        word: Conjunction = "or" if self.chance(0.3) else "and"
        return Coordination(self.next_key(), one, word, two)

    def phrase(self, classes: frozenset[str], *, size: int = 1, noun: Noun | None = None) -> NounPhrase | None:
        """A noun with determiner, number, adjectives, possessor; `size` bounds what may nest in it."""
        noun = noun or self.noun(classes)
        if not noun:
            return None
        phrase = NounPhrase(self.next_key(), noun, determiner=self.determiner(noun))
        phrase = self.numbered(phrase)
        if self.chance(0.2 if size else 0.08):
            phrase = self.described(phrase)
        if size and self.chance(0.14):
            phrase = self.possessed(phrase)
        if size and phrase.possessor is None and self.chance(0.05):
            phrase = self.related(phrase)
        self.phrases[phrase.key] = phrase
        return phrase

    def determiner(self, noun: Noun) -> str:
        if noun.article == "-":
            return ""
        if noun.article == "the":
            return "the"
        if not noun.countable:
            plural_only = noun.plural == noun.english
            return self.random.choices(("the", "", "this"), (60, 40, 0 if plural_only else 4))[0]
        return self.random.choices(("the", "a", "this", "that", "every"), (52, 33, 6, 5, 2))[0]

    def numbered(self, phrase: NounPhrase) -> NounPhrase:
        noun = phrase.noun
        if not noun.countable or noun.article or phrase.determiner == "every":
            return phrase
        if noun.counter and noun.counter != "켤레" and phrase.determiner == "a" and self.chance(0.25):
            number = self.number(10 if self.chance(0.8) else 100)
            return replace(phrase, count=number, determiner="", plural=number.value > 1)
        if self.chance(0.17):
            determiner = {"a": "", "the": "the"}.get(phrase.determiner, phrase.determiner)
            if not determiner and self.chance(0.2):
                determiner = "many"
            return replace(phrase, plural=True, determiner=determiner)
        return phrase

    def number(self, most: int) -> Number:
        return self.pick(self.lexicon.numbers[:most])

    def adjective(self, noun: Noun) -> Adjective | None:
        options = self.lexicon.adjectives_for(noun)
        if not options:
            return None
        chosen = self.frequent(options)
        self.combinations.add((chosen.english, "noun", noun.english))
        return chosen

    def described(self, phrase: NounPhrase) -> NounPhrase:
        adjective = self.adjective(phrase.noun)
        if not adjective or self.ambiguous(phrase.noun, adjective):
            return phrase
        item = Described(self.next_key(), adjective, self.mild_degree() if self.chance(0.1) else None)
        gradable = (
            phrase.determiner in ("the", "a") and not phrase.count and not item.degree and not phrase.noun.article
        )
        best = gradable and self.chance(0.08)
        return replace(phrase, adjectives=(item,), superlative=best, determiner="the" if best else phrase.determiner)

    def ambiguous(self, noun: Noun, adjective: Adjective) -> bool:
        """Whether two senses of the adjective fit this noun, so that nothing could tell them apart."""
        fitting = [
            a
            for a in self.lexicon.adjectives_for(noun)
            if a.english == adjective.english or a.korean == adjective.korean
        ]
        return len(fitting) > 1

    def degree(self) -> Adverb:
        """How much; the plainest words most of the time."""
        options = self.lexicon.adverbs_of("degree")
        plain = [a for a in options if a.english in CLEAR_DEGREES]
        return self.pick(plain if self.chance(0.8) else options)

    def mild_degree(self) -> Adverb:
        return self.pick([a for a in self.lexicon.adverbs_of("degree") if a.english in ("very", "really")])

    def possessed(self, phrase: NounPhrase) -> NounPhrase:
        if phrase.superlative or phrase.noun.article or phrase.count or phrase.determiner in ("every", "many"):
            return phrase
        if phrase.noun.english == "person":
            return phrase
        owned = self.chance(0.7)
        owner = self.personal("I", "I", "you", "he", "she", "we", "they") if owned else self.someone()
        return replace(phrase, possessor=owner, determiner="")

    def related(self, phrase: NounPhrase) -> NounPhrase:
        """Add a relative clause whose gap is its subject or its object."""
        if phrase.noun.article or phrase.superlative or phrase.determiner in ("every", "many"):
            return phrase
        clause = self.subject_relative(phrase) if self.chance(0.5) else self.object_relative(phrase)
        return replace(phrase, relative=clause) if clause else phrase

    def subject_relative(self, phrase: NounPhrase) -> Clause | None:
        verb = self.verb(("t", "i", "l"), subject=phrase.noun)
        if not verb:
            return None
        gap = Gap(self.next_key(), phrase, phrase.many)
        self.combinations.add((verb.english, "subject", phrase.noun.english))
        clause = Clause(self.next_key(), "verb", gap, verb=verb, tense=self.pick(("present", "past", "past")))
        return self.completed(clause, size=0)

    def object_relative(self, phrase: NounPhrase) -> Clause | None:
        options = [
            v for v in self.lexicon.verbs_of("t") if v.object & phrase.noun.classes and self.resolves(v, phrase.noun)
        ]
        options = [v for v in options if v.subject & HUMAN]
        if not options:
            return None
        verb = self.frequent(options)
        self.combinations.add((verb.english, "object", phrase.noun.english))
        subject = self.human(nouns=self.chance(0.3))
        if isinstance(subject, NounPhrase):
            subject = replace(subject, relative=None)
        gap = Gap(self.next_key(), phrase, phrase.many)
        tense: Tense = self.pick(("present", "past", "past")) if not verb.stative else "present"
        return Clause(self.next_key(), "verb", subject, verb=verb, complement=gap, tense=tense)

    def resolves(self, verb: Verb, noun: Noun) -> bool:
        """Whether the verb's objects leave only one sense of the noun, and the noun only one sense of the verb."""
        if noun not in self.lexicon.nouns_of(verb.object) or (verb.english in BODILY and "body" in noun.classes):
            return False
        twins = [
            v
            for v in self.lexicon.verbs_of(verb.frame)
            if v is not verb and (v.english == verb.english or v.korean == verb.korean) and v.object & noun.classes
        ]
        return not twins

    # --- clauses ----------------------------------------------------------------------------------------------------

    def verb(self, frames: Sequence[str], *, subject: Noun | None = None, human: bool = False) -> Verb | None:
        """A verb of one of the frames that this subject can do."""
        wanted = subject.classes if subject else (HUMAN if human else frozenset())
        frame = self.pick(frames)
        options = [v for v in self.lexicon.verbs_of(frame) if not wanted or v.subject & wanted]
        return self.frequent(options) if options else None

    def acting(self, frames: Sequence[str], *, size: int = 1, asking: bool = False) -> Clause:
        """A clause about somebody or something doing something."""
        while True:
            verb = self.verb(frames)
            if not verb:
                continue
            subject = self.doer(verb, size=size, asking=asking)
            if subject is None:
                continue
            clause = Clause(self.next_key(), "verb", subject, verb=verb, tense=self.tense())
            done = self.completed(clause, size=size)
            if done:
                return done

    def doer(self, verb: Verb, *, size: int = 1, asking: bool = False) -> Nominal | None:
        if verb.subject & HUMAN and self.chance(0.7):
            subject: Nominal | None = self.human(asking=asking)
        else:
            subject = self.nominal(verb.subject, size=size)
        if isinstance(subject, NounPhrase):
            twins = [v for v in self.lexicon.verbs_of(verb.frame) if v.english == verb.english and v is not verb]
            if any(v.subject & subject.noun.classes and v.object & verb.object == v.object for v in twins):
                return None
            self.combinations.add((verb.english, "subject", subject.noun.english))
        return subject

    def completed(self, clause: Clause, *, size: int = 1) -> Clause | None:
        """Objects and adjuncts that the verb's frame asks for; None when the lexicon has nothing to fill them."""
        verb = clause.verb
        assert verb
        if verb.frame in ("t", "p", "d"):
            thing = self.patient(verb, clause.subject, size=size)
            if thing is None:
                return None
            clause = replace(clause, complement=thing)
        if verb.frame == "d":
            recipient = self.other(clause.subject)
            clause = replace(clause, recipient=recipient, recipient_last=self.chance(0.4))
        if verb.frame == "l" or (verb.frame == "m" and (verb.english not in AIMED or self.chance(0.85))):
            clause = replace(clause, place=self.goal(verb))
        return self.decorated(clause, size=size)

    def patient(self, verb: Verb, subject: Nominal, *, size: int) -> Nominal | None:
        if verb.object & HUMAN and self.chance(0.5):
            return self.other(subject)
        noun = self.noun(verb.object)
        if noun and verb.english in BODILY and "body" in noun.classes:
            return self.own(noun, subject)
        if noun is None or not self.resolves(verb, noun):
            return None
        self.combinations.add((verb.english, "object", noun.english))
        if self.chance(0.04):
            second = self.noun(verb.object)
            if second and second != noun and self.resolves(verb, second):
                one, two = (self.phrase(verb.object, size=0, noun=n) for n in (noun, second))
                assert one and two
                return Coordination(self.next_key(), one, "or" if self.chance(0.3) else "and", two)
        return self.phrase(verb.object, size=size, noun=noun)

    def own(self, noun: Noun, subject: Nominal) -> NounPhrase | None:
        """The subject's own hand; None where no pronoun says whose."""
        if not isinstance(subject, Pronoun) or subject.pronoun.gender == "n":
            return None
        owner = replace(subject, key=self.next_key())
        plural = subject.pronoun.plural and noun.countable
        phrase = NounPhrase(self.next_key(), noun, determiner="", plural=plural, possessor=owner)
        self.phrases[phrase.key] = phrase
        return phrase

    def other(self, subject: Nominal) -> Nominal:
        """Somebody else than the subject, so that no reflexive is called for."""
        draw = self.random.random()
        if draw < 0.4:
            person = subject.pronoun.person if isinstance(subject, Pronoun) else 3
            persons = {
                1: ("you", "he", "she", "they"),
                2: ("I", "he", "she", "we", "they"),
                3: ("I", "you", "we"),
            }
            return self.personal(*persons[person])
        if draw < 0.65:
            name = self.named()
            if not (isinstance(subject, Named) and subject.entry == name.entry):
                return name
        phrase = self.phrase(HUMAN, size=0)
        assert phrase
        return phrase

    def goal(self, verb: Verb) -> Place:
        if verb.frame == "m":
            return Place(self.next_key(), self.bare(PLACES), ("to", ""))
        preposition = verb.preposition or "in"
        if preposition == "in" or self.chance(0.4):
            return self.location()
        relation = next((r for r in self.lexicon.relations if r[0] == preposition), None)
        if relation is None:
            return self.location()
        return Place(self.next_key(), self.bare(BESIDE.get(preposition, LANDMARKS)), relation)

    def bare(self, classes: frozenset[str]) -> NounPhrase:
        """A place noun with little around it."""
        noun = self.noun(classes)
        assert noun
        determiner = "" if noun.article == "-" else "the"
        phrase = NounPhrase(self.next_key(), noun, determiner=determiner)
        if self.chance(0.1):
            phrase = self.described(phrase)
        if self.chance(0.12):
            phrase = self.possessed(phrase)
        self.phrases[phrase.key] = phrase
        return phrase

    def location(self) -> Place:
        """In a place, or somewhere beside a thing."""
        if self.chance(0.62):
            return Place(self.next_key(), self.bare(PLACES))
        relation = self.pick(self.lexicon.relations)
        return Place(self.next_key(), self.bare(BESIDE.get(relation[0], LANDMARKS)), relation)

    def decorated(self, clause: Clause, *, size: int) -> Clause:
        """Adverbs, time, place, company, instrument, polarity, modality and aspect."""
        clause = self.coloured(clause)
        verb = clause.verb
        if verb and not verb.stative and verb.frame in ("t", "i", "m") and self.chance(0.1):
            manner = self.pick(self.lexicon.adverbs_of("manner"))
            clause = replace(clause, manner=manner) if manner.english != "together" or self.several(clause) else clause
        plain = not clause.negative and not clause.modal and not clause.progressive and clause.tense != "future"
        if plain and not clause.manner and self.chance(0.07):
            clause = replace(clause, frequency=self.pick(self.lexicon.adverbs_of("frequency")))
        active = verb is not None and verb.frame in ("t", "i", "p") and not verb.stative and bool(verb.subject & HUMAN)
        if size and active and clause.place is None and self.chance(0.18):
            clause = replace(clause, place=self.location())
        if size and active and not isinstance(clause.subject, Gap) and self.chance(0.07):
            clause = replace(clause, company=self.other(clause.subject))
        if size and self.chance(0.22):
            clause = replace(clause, time=self.when(clause.tense))
        return clause

    def coloured(self, clause: Clause) -> Clause:
        """Negation, modal verbs, the progressive."""
        stative = clause.verb.stative if clause.verb else clause.kind not in ("weather",)
        relative = isinstance(clause.subject, Gap)
        negative = self.chance(0.16 if not relative else 0.06)
        if relative:
            return replace(clause, negative=negative and clause.tense == "present")
        draw = self.random.random()
        posture = clause.verb.korean if clause.verb and clause.verb.korean in POSTURES else ""
        if posture and (clause.tense == "present" or (clause.tense == "past" and posture == "서다")):
            return replace(clause, progressive=True, negative=negative)
        if draw < 0.09 and not stative and clause.tense in ("present", "past"):
            return replace(clause, progressive=True, negative=negative)
        willing = not stative and self.animate(clause.subject)
        if draw < 0.26 and willing:
            modal = self.pick(MODALS)
            tense = clause.tense if modal in ("want", "have to", "can") else "present"
            tense = "present" if modal == "can" and tense == "future" else tense
            tense = "present" if modal == "want" and tense == "future" else tense
            return replace(clause, modal=modal, negative=negative, tense=tense)
        return replace(clause, negative=negative)

    def several(self, clause: Clause) -> bool:
        """Whether the subject is more than one, so that they can do it together."""
        node = clause.subject
        if isinstance(node, Pronoun):
            return node.pronoun.plural
        return isinstance(node, Coordination) or (isinstance(node, NounPhrase) and node.many)

    def animate(self, node: Nominal) -> bool:
        if isinstance(node, NounPhrase):
            return bool(node.noun.classes & resolve("animate"))
        if isinstance(node, Pronoun):
            return node.pronoun.gender != "n"
        return isinstance(node, Named | Coordination)

    def when(self, tense: Tense) -> Adverb:
        draw = self.random.random()
        if draw < 0.1:
            hour = self.pick(self.lexicon.numbers[:12])
            return Adverb(f"at {hour.english} o'clock", f"{hour.native} 시에", "time", "any")
        phrases = [t for t in self.lexicon.time_phrases if t.tense in ("any", tense)]
        return self.pick(phrases if draw < 0.55 else self.lexicon.adverbs_of("time", tense))

    def quality(self, *, size: int = 1) -> Clause:
        """X is ADJECTIVE, with degree or comparison."""
        while True:
            adjective = self.frequent(self.lexicon.adjectives)
            human = bool(adjective.classes & HUMAN) and self.chance(0.6)
            subject = self.human() if human else self.phrase(adjective.classes, size=size)
            clause = self.described_as(subject, size=size) if subject else None
            if clause:
                return clause

    def described_as(self, subject: Nominal, *, size: int = 1) -> Clause | None:
        """The subject is ADJECTIVE; None when no adjective fits it without ambiguity."""
        noun = subject.noun if isinstance(subject, NounPhrase) else None
        if noun:
            options = [
                a
                for a in self.lexicon.adjectives_for(noun)
                if not self.ambiguous(noun, a) and not self.unclear(a, noun)
            ]
        else:
            options = list(self.lexicon.adjectives_of(HUMAN))
        if not options:
            return None
        adjective = self.frequent(options)
        if noun:
            self.combinations.add((adjective.english, "noun", noun.english))
        clause = Clause(self.next_key(), "adjective", subject, adjective=adjective)
        return self.graded(clause, noun, size=size)

    def unclear(self, adjective: Adjective, noun: Noun) -> bool:
        return noun not in self.lexicon.nouns_of(adjective.classes)

    def graded(self, clause: Clause, noun: Noun | None, *, size: int) -> Clause:
        tense = self.weighed(("present", "past"), (65, 35))
        clause = replace(clause, tense=tense, negative=self.chance(0.14))
        draw = self.random.random()
        if draw < 0.22:
            return clause if clause.negative else replace(clause, degree=self.degree())
        if draw < 0.36 and not clause.negative:
            assert clause.adjective
            classes = noun.classes & clause.adjective.classes if noun else HUMAN
            than = self.phrase(classes, size=0) if noun else self.other(clause.subject)
            if than is None or (isinstance(than, NounPhrase) and noun and than.noun == noun):
                return clause
            return replace(clause, than=than)
        if size and self.chance(0.12):
            return replace(clause, time=self.when(clause.tense))
        return clause

    def being(self, *, asking: bool = False) -> Clause:
        """X is a Y."""
        tense = self.weighed(("present", "past"), (80, 20))
        if self.chance(0.3):
            subject: Nominal = Pronoun(self.next_key(), self.pick(DEMONSTRATIVES))
            complement = self.phrase(resolve("thing,nature,building"))
            tense = "present"
        else:
            subject = self.human(asking=asking)
            complement = self.phrase(HUMAN if self.chance(0.93) else resolve("animal"))
        assert complement
        complement = self.agreeing(complement, subject)
        clause = Clause(self.next_key(), "copula", subject, complement=complement, tense=tense)
        return replace(clause, negative=self.chance(0.2))

    def agreeing(self, phrase: NounPhrase, subject: Nominal) -> NounPhrase:
        """Give the complement the number of its subject."""
        many = isinstance(subject, Pronoun) and subject.pronoun.plural
        many = many or (isinstance(subject, NounPhrase) and subject.many) or isinstance(subject, Coordination)
        determiner = phrase.determiner if phrase.determiner in ("the", "a", "") else "a"
        if phrase.superlative:
            many, determiner = False, "the"
        if not phrase.noun.countable:
            many = False
            determiner = "the" if determiner == "a" else determiner
        if many and determiner == "a":
            determiner = ""
        if not many and determiner == "" and phrase.noun.countable and not phrase.possessor:
            determiner = "a"
        if phrase.possessor:
            determiner = ""
        done = replace(phrase, plural=many, count=None, determiner=determiner)
        self.phrases[done.key] = done
        return done

    def naming(self) -> Clause:
        """My name is Tom; I am twenty years old."""
        if self.chance(0.5):
            subject = self.personal("I", "you", "he", "she") if self.chance(0.6) else self.someone()
            grown = isinstance(subject, NounPhrase)
            return Clause(self.next_key(), "age", subject, age=self.pick(self.lexicon.numbers[19 if grown else 1 :]))
        noun = next(n for n in self.lexicon.nouns if n.english == "name")
        owner = self.personal("I", "you", "he", "she") if self.chance(0.7) else self.someone(names=False)
        phrase = NounPhrase(self.next_key(), noun, determiner="", possessor=owner)
        return Clause(self.next_key(), "copula", phrase, complement=self.name_for(owner))

    def someone(self, *, names: bool = True) -> Nominal:
        """One particular person: a name, or a plain noun."""
        if names and self.chance(0.6):
            return self.named()
        noun = self.noun(HUMAN)
        while noun is None or not noun.countable:
            noun = self.noun(HUMAN)
        phrase = NounPhrase(self.next_key(), noun)
        if "family" in noun.classes and self.chance(0.7):
            phrase = replace(phrase, determiner="", possessor=self.personal("I", "you", "he", "she"))
        self.phrases[phrase.key] = phrase
        return phrase

    def name_for(self, owner: Nominal) -> Named:
        """A name that goes with the person's gender, or an invented one."""
        if self.chance(0.4):
            return self.invented_name()
        gender = owner.pronoun.gender if isinstance(owner, Pronoun) else ""
        gender = owner.noun.gender if isinstance(owner, NounPhrase) else gender
        fitting = [n for n in self.lexicon.names if gender not in ("m", "f") or n.gender == gender]
        return Named(self.next_key(), self.frequent(fitting))

    def existing(self) -> Clause:
        """There is a cat in the room."""
        tense = self.weighed(("present", "past"), (70, 30))
        phrase = self.phrase(resolve("animate,thing"), size=0)
        assert phrase
        if phrase.determiner in ("the", "this", "that", "every") or phrase.possessor:
            phrase = replace(phrase, possessor=None, superlative=False)
            determiner = "a" if phrase.noun.countable and not phrase.plural else ""
            phrase = replace(phrase, determiner=determiner)
        phrase = replace(phrase, superlative=False, determiner=phrase.determiner if not phrase.noun.article else "")
        self.phrases[phrase.key] = phrase
        return Clause(
            self.next_key(),
            "exist",
            phrase,
            tense=tense,
            place=self.location(),
            negative=self.chance(0.14),
        )

    def having(self, *, asking: bool = False) -> Clause:
        subject = self.human(asking=asking)
        phrase = self.phrase(
            resolve("animal,family,vehicle,tool,device,text,school,instrument,object,abstract"), size=0
        )
        assert phrase
        if "family" in phrase.noun.classes and not phrase.count:
            phrase = replace(phrase, plural=False, determiner="the")
        if phrase.determiner in ("the", "this", "that", "every"):
            phrase = replace(
                phrase,
                determiner="a" if phrase.noun.countable and not phrase.plural else "",
                superlative=False,
            )
            self.phrases[phrase.key] = phrase
        tense = self.weighed(("present", "past"), (75, 25))
        return Clause(
            self.next_key(),
            "have",
            subject,
            complement=phrase,
            tense=tense,
            negative=self.chance(0.18),
        )

    def weather(self) -> Clause:
        tense = self.tense()
        subject = Gap(self.next_key())
        clause = Clause(self.next_key(), "verb", replace(self.personal("it"), key=subject.key), tense=tense)
        clause = replace(clause, weather=self.pick(WEATHER), negative=self.chance(0.15))
        if tense != "future" and self.chance(0.2):
            return replace(clause, progressive=True)
        return replace(clause, time=self.when(tense)) if self.chance(0.4) else clause

    def passive(self) -> Clause:
        options = [v for v in self.lexicon.verbs_of("t") if v.passive]
        while True:
            verb = self.frequent(options)
            noun = self.noun(verb.object)
            if noun is None or not self.resolves(verb, noun):
                continue
            self.combinations.add((verb.english, "object", noun.english))
            phrase = self.phrase(verb.object, noun=noun)
            assert phrase
            tense = self.weighed(TENSES, (20, 65, 15))
            clause = Clause(self.next_key(), "verb", phrase, verb=verb, passive=True, tense=tense)
            clause = replace(clause, negative=self.chance(0.15))
            return replace(clause, time=self.when(tense)) if self.chance(0.25) else clause

    def purposeful(self, *, asking: bool = False) -> Clause:
        """Go somewhere to do something: -(으)러."""
        verb = self.frequent(
            [v for v in self.lexicon.verbs_of("m") if v.english in ("go", "come", "run", "walk", "return")]
        )
        subject = self.human(asking=asking)
        aim = None
        while aim is None:
            what = self.verb(("t", "i"), human=True)
            if what and not what.stative and what.english not in AIMLESS and what.english != verb.english:
                aim = self.bare_clause(what, subject)
        clause = Clause(self.next_key(), "verb", subject, verb=verb, tense=self.tense(), purpose=aim)
        if self.chance(0.8):
            clause = replace(clause, place=Place(self.next_key(), self.bare(PLACES), ("to", "")))
        clause = self.coloured(clause)
        return replace(clause, time=self.when(clause.tense)) if self.chance(0.2) else clause

    def bare_clause(self, verb: Verb, subject: Nominal) -> Clause | None:
        clause = Clause(self.next_key(), "verb", Gap(self.next_key()), verb=verb)
        if verb.frame == "i":
            return clause
        thing = self.patient(verb, subject, size=0)
        return replace(clause, complement=thing) if thing else None

    def tooled(self) -> Clause:
        """With an instrument: I cut the bread with a knife."""
        verbs = [
            v
            for v in self.lexicon.verbs_of("t")
            if v.english in TOOLS and self.lexicon.nouns_of(resolve(TOOLS[v.english]))
        ]
        while True:
            verb = self.pick(verbs)
            subject = self.human()
            thing = self.patient(verb, subject, size=0)
            tool = self.phrase(resolve(TOOLS[verb.english]), size=0)
            if thing is None or tool is None:
                continue
            tense = self.tense()
            return Clause(self.next_key(), "verb", subject, verb=verb, complement=thing, instrument=tool, tense=tense)

    def plain(self, *, size: int = 1, asking: bool = False) -> Clause:
        """Any simple clause."""
        draw = self.random.random()
        if draw < 0.62:
            return self.acting(("t", "t", "t", "i", "m", "l", "p", "d"), size=size, asking=asking)
        if draw < 0.84:
            return self.quality(size=size)
        if draw < 0.93:
            return self.being(asking=asking)
        return self.having(asking=asking)

    def question(self) -> Clause:
        clause = self.passive() if self.chance(0.05) else self.plain(asking=True)
        if isinstance(clause.subject, Pronoun) and clause.subject.pronoun.person == 1:
            clause = replace(clause, subject=self.personal("you", "he", "she", "they"))
            clause = self.refit(clause)
        negative = clause.negative and clause.modal != "can" and self.chance(0.3)
        return replace(clause, mood="question", negative=negative, frequency=None)

    def refit(self, clause: Clause) -> Clause:
        """After a change of subject: complements agree again, objects are somebody else."""
        if isinstance(clause.complement, NounPhrase) and clause.kind == "copula":
            clause = replace(clause, complement=self.agreeing(clause.complement, clause.subject))
        if isinstance(clause.complement, Pronoun):
            clause = replace(clause, complement=self.other(clause.subject))
        if isinstance(clause.recipient, Pronoun):
            clause = replace(clause, recipient=self.other(clause.subject))
        if isinstance(clause.company, Pronoun):
            clause = replace(clause, company=self.other(clause.subject))
        if isinstance(clause.than, Pronoun):
            clause = replace(clause, than=self.other(clause.subject))
        return clause

    def wh_question(self) -> Clause:
        word = self.pick(("who", "what", "what", "where", "where", "when", "why", "how", "whom", "identity"))
        if word == "identity":
            subject = self.human(asking=True)
            if isinstance(subject, Pronoun) and subject.pronoun.person == 1:
                subject = self.personal("you")
            ask = Asked(self.next_key(), "who")
            if self.chance(0.4):
                subject, ask = Pronoun(self.next_key(), self.pick(DEMONSTRATIVES)), replace(ask, word="what")
            return Clause(self.next_key(), "copula", subject, complement=ask, mood="question")
        if word == "who":
            clause = self.asked_doer()
            return replace(clause, mood="question", negative=False, frequency=None)
        frames = {"what": ("t",), "whom": ("t",), "where": ("t", "i", "m", "l")}.get(word, ("t", "i", "m"))
        clause = self.question_of(frames, word)
        plain = replace(clause, negative=False, mood="question", frequency=None, modal="", company=None)
        ask = Asked(self.next_key(), word)
        if word in ("what", "whom"):
            return replace(plain, complement=replace(ask, word="who" if word == "whom" else "what"))
        if word == "where":
            return replace(plain, place=None, asked=ask)
        if word == "how":
            return replace(plain, manner=None, asked=ask)
        return replace(plain, time=None, asked=ask)

    def asked_doer(self) -> Clause:
        """Who ...: an action that people do, asked for its doer."""
        while True:
            clause = self.acting(("t", "i", "m", "d"))
            if clause.verb and clause.verb.subject & HUMAN:
                ask = Asked(self.next_key(), "who")
                clause = replace(clause, subject=ask, modal="" if clause.modal == "want" else clause.modal)
                pronoun = clause.complement
                if isinstance(pronoun, Pronoun):
                    clause = replace(clause, complement=self.other(ask))
                return clause

    def question_of(self, frames: Sequence[str], word: str) -> Clause:
        """An action to ask about: `whom` needs a verb done to people, `what` one done to things."""
        while True:
            clause = self.acting(frames, asking=True)
            done_to = clause.verb.object if clause.verb else frozenset()
            if (word == "whom" and not done_to & HUMAN) or (word == "what" and (done_to & HUMAN or done_to <= SPOTS)):
                continue
            if isinstance(clause.subject, Pronoun) and clause.subject.pronoun.person == 1:
                clause = self.refit(replace(clause, subject=self.personal("you", "he", "she", "they")))
            if clause.verb and clause.verb.subject & HUMAN:
                return clause

    def command(self) -> Clause:
        while True:
            clause = self.acting(("t", "t", "i", "m", "l", "d"), size=self.pick((0, 1)))
            verb = clause.verb
            if verb and verb.subject & HUMAN and not verb.stative and verb.english not in AIMLESS:
                break
        subject = self.personal("you")
        clause = replace(
            clause,
            subject=subject,
            tense="present",
            modal="",
            progressive=False,
            frequency=None,
            company=None,
            mood=self.random.choices(COMMANDS, (45, 40, 15))[0],
            negative=self.chance(0.2),
        )
        clause = replace(clause, time=None if clause.time else clause.time)
        return self.refit(clause)

    def reporting(self) -> Clause:
        """Say that, think that, know that."""
        verb = self.verb(("c",))
        assert verb
        subject = self.human()
        content = self.simple(size=1)
        if verb.particle == "기를" and content.kind == "copula":
            content = self.acting(("t", "i", "m"))
        if isinstance(content.subject, Pronoun) and isinstance(subject, Pronoun):
            if content.subject.pronoun == subject.pronoun:
                content = self.refit(replace(content, subject=self.named()))
        elif isinstance(content.subject, Pronoun) and content.subject.pronoun.person == 3 and content.weather is None:
            content = self.refit(replace(content, subject=self.personal("I", "you", "we")))
        tense = "past" if verb.english == "hear" else self.weighed(("present", "past"), (60, 40))
        if verb.english in PROSPECTIVE and content.tense == "past":
            content = replace(content, tense="present", time=None)
        content = self.shifted(content) if tense == "past" else content
        clause = Clause(self.next_key(), "verb", subject, verb=verb, content=content, tense=tense)
        return replace(clause, negative=self.chance(0.15))

    def shifted(self, clause: Clause) -> Clause:
        """A clause reported in the past: English moves its tense back, Korean keeps it."""
        if clause.subordinate:
            clause = replace(clause, subordinate=(clause.subordinate[0], self.shifted(clause.subordinate[1])))
        tense: Tense = "present" if clause.tense == "past" else clause.tense
        time = clause.time if clause.time and clause.time.tense == "any" else None
        return replace(clause, tense=tense, time=time, shifted=True)

    def simple(self, *, size: int = 1) -> Clause:
        draw = self.random.random()
        if draw < 0.08:
            return self.weather()
        if draw < 0.16:
            return self.existing()
        if draw < 0.22:
            return self.passive()
        return self.plain(size=size)

    def joined(self) -> Clause:
        """Two predicates of one subject, or two clauses."""
        word = self.pick(("and", "and", "but", "or"))
        if word != "or" and self.chance(0.45):
            first, second = self.simple(size=0), self.simple(size=0)
            if first.kind == "exist" or first.progressive or second.kind == "exist":
                first = self.plain(size=0)
            return replace(first, joined=(word, self.distinct(second, first)), time=None)
        first = self.acting(("t", "t", "i", "m", "l"), size=0)
        while not self.can_do_any(first.subject):
            first = self.acting(("t", "t", "i", "m", "l"), size=0)
        first = replace(first, time=None, frequency=None, manner=None, progressive=False, negative=False, modal="")
        subject = first.subject
        many = isinstance(subject, NounPhrase) and subject.many
        many = many or isinstance(subject, Coordination) or (isinstance(subject, Pronoun) and subject.pronoun.plural)
        while True:
            verb = self.verb(("t", "t", "i", "m", "l"), human=True)
            if not verb or not self.can_do(subject, verb) or verb == first.verb:
                continue
            clause = Clause(self.next_key(), "verb", subject, verb=verb, tense=first.tense)
            done = self.completed(clause, size=0)
            if done:
                break
        person = subject.pronoun.person if isinstance(subject, Pronoun) else 3
        gap = Gap(self.next_key(), None, many or person < 3)
        done = replace(
            done,
            subject=gap,
            tense=first.tense,
            modal="",
            progressive=False,
            frequency=None,
            negative=word == "but" and self.chance(0.7),
            time=self.when(first.tense) if self.chance(0.2) else None,
        )
        return replace(first, joined=(word, done))

    def can_do(self, subject: Nominal, verb: Verb) -> bool:
        if isinstance(subject, NounPhrase):
            return bool(subject.noun.classes & verb.subject)
        if isinstance(subject, Coordination) and isinstance(subject.first, NounPhrase):
            return bool(subject.first.noun.classes & verb.subject)
        return bool(verb.subject & HUMAN)

    def distinct(self, clause: Clause, other: Clause) -> Clause:
        """Another subject than the other clause has."""
        same = (
            isinstance(clause.subject, Pronoun)
            and isinstance(other.subject, Pronoun)
            and clause.subject.pronoun == other.subject.pronoun
        )
        if (same or self.taken_for(clause.subject, other.subject)) and not clause.weather:
            return self.refit(replace(clause, subject=self.named()))
        return clause

    def taken_for(self, subject: Nominal, other: Nominal) -> bool:
        """Whether English would take the pronoun for the other, which Korean would not."""
        third = isinstance(subject, Pronoun) and subject.pronoun.person == 3 and subject.pronoun.gender != "n"
        return third and isinstance(other, NounPhrase | Named | Coordination)

    def subordinated(self) -> Clause:
        """because, when, if, although, before, after."""
        word = self.pick(("because", "because", "when", "if", "although", "before", "after"))
        main = replace(self.main_for(word, size=0), time=None)
        first = word in ("when", "if", "although", "before", "after") and self.chance(0.55)
        if isinstance(main.subject, Pronoun | Named) and main.kind != "copula" and self.chance(0.5):
            other = self.about(main.subject)
        else:
            other = self.distinct(self.simple(size=0), main)
        other = self.fitted(other, word, main)
        return replace(main, subordinate=(word, other), subordinate_first=first and main.mood == "statement")

    def main_for(self, word: str, *, size: int = 1) -> Clause:
        """A main clause that the connective can go with: an event before and after, nothing past with `if`."""
        if word in ("before", "after"):
            return self.action(self.acting(("t", "t", "i", "m"), size=size))
        clause = self.acting(("t", "i", "m", "l", "p"), size=size) if word == "if" else self.plain(size=size)
        if word == "if" and clause.tense != "future" and not clause.modal:
            return replace(clause, tense="future", progressive=False, frequency=None)
        return replace(clause, tense="present") if word == "if" and clause.tense == "past" else clause

    def nested(self) -> Clause:
        """Two levels: a report of a clause with a subordinate clause, or long clauses joined by a connective."""
        if self.chance(0.5):
            clause = self.reporting()
            content = self.subordinated()
            while content.subordinate and isinstance(content.subordinate[1].subject, Pronoun) and self.third(content):
                content = self.subordinated()
            assert clause.content and content.subordinate
            content = replace(content, subordinate_first=False)
            return replace(clause, content=self.shifted(content) if clause.tense == "past" else content)
        word = self.pick(("because", "when", "although", "if"))
        main, other = self.main_for(word), self.simple()
        other = self.fitted(self.distinct(other, main), word, main)
        return replace(main, time=None, subordinate=(word, other))

    def third(self, clause: Clause) -> bool:
        """Whether the clause is about he, she, it or they, which the reporting clause could be taken to mean."""
        subject = clause.subject
        return isinstance(subject, Pronoun) and subject.pronoun.person == 3

    def about(self, subject: Pronoun | Named) -> Clause:
        """A clause about the same person, whose subject Korean leaves out."""
        if isinstance(subject, Named):
            pronoun = self.personal("he" if subject.entry.gender == "m" else "she")
        else:
            pronoun = replace(subject, key=self.next_key())
        hidden = replace(pronoun, dropped=True)
        if subject and isinstance(subject, Pronoun) and subject.pronoun.gender == "n":
            return self.simple(size=0)
        clause = self.quality(size=0) if self.chance(0.3) else self.acting(("t", "i", "m"), size=0)
        while clause.verb and not clause.verb.subject & HUMAN:
            clause = self.acting(("t", "i", "m"), size=0)
        if clause.kind == "adjective":
            adjective = self.frequent(self.lexicon.adjectives_of(HUMAN))
            clause = replace(clause, adjective=adjective, than=None)
        return self.refit(replace(clause, subject=hidden))

    def fitted(self, clause: Clause, word: str, main: Clause) -> Clause:
        """Tense and aspect that the connective allows."""
        clause = replace(clause, time=None, frequency=None, subordinate=None)
        if word in ("before", "after"):
            clause = replace(
                clause,
                negative=False,
                progressive=False,
                modal="",
                tense="past" if main.tense == "past" else "present",
            )
            return self.action(clause)
        if word == "when":
            passing = clause.kind == "adjective" and clause.adjective and clause.adjective.english in STATES
            clause = clause if passing or clause.kind == "exist" else self.action(clause)
            return replace(clause, tense="past" if main.tense == "past" else "present", modal="")
        if word == "if":
            return replace(clause, tense="present")
        tense = main.tense if main.tense != "future" else "present"
        return replace(clause, tense=tense)

    def action(self, clause: Clause) -> Clause:
        """before and after join events, so a state is replaced by an action of the same subject."""
        if (clause.kind == "verb" and clause.verb and not clause.verb.stative) or clause.weather:
            return clause
        while True:
            verb = self.verb(("t", "i", "m"), human=True)
            subject = clause.subject if self.can_do_any(clause.subject) else self.named()
            if not verb or verb.stative or not self.can_do(subject, verb):
                continue
            done = self.completed(Clause(self.next_key(), "verb", subject, verb=verb, tense=clause.tense), size=0)
            if done:
                return replace(
                    done,
                    negative=False,
                    progressive=False,
                    modal="",
                    time=None,
                    frequency=None,
                    tense=clause.tense,
                )

    def can_do_any(self, subject: Nominal) -> bool:
        if isinstance(subject, NounPhrase):
            return subject.noun.human
        return isinstance(subject, Named) or (isinstance(subject, Pronoun) and subject.pronoun.gender != "n")

    # --- special constructions --------------------------------------------------------------------------------------

    def referring(self) -> Clause:
        """Because it / he / she was ADJECTIVE: two nouns before the pronoun, and only one that fits."""
        while True:
            clause = self.gendered() if self.chance(0.3) else self.neuter()
            if clause:
                return clause

    def neuter(self) -> Clause | None:
        """The animal did not cross the street because it was too tired / too wide."""
        animal_verbs = [v for v in self.lexicon.verbs_of("t") if v.subject & resolve("animal") and v.object]
        human_verbs = [v for v in self.lexicon.verbs_of("t") if v.subject & HUMAN and v.object - resolve("animate")]
        animal = self.chance(0.55)
        verb = self.pick(animal_verbs if animal else human_verbs)
        thing = self.noun(verb.object - HUMAN)
        if thing is None or thing.human or not self.resolves(verb, thing):
            return None
        subject: Nominal | None
        if animal:
            noun = self.noun(resolve("animal"))
            if self.chance(0.25):
                noun = next((n for n in self.lexicon.nouns if n.english == "animal"), noun)
            subject = NounPhrase(self.next_key(), noun) if noun and noun != thing and noun.countable else None
        else:
            subject = self.named() if self.chance(0.5) else self.personal("I", "we", "you", "they")
        if subject is None:
            return None
        determiner = "" if thing.article == "-" else "the"
        target = NounPhrase(self.next_key(), thing, determiner=determiner)
        if thing.plural == thing.english:
            return None
        return self.explained(verb, subject, target)

    def explained(self, verb: Verb, subject: Nominal, target: NounPhrase) -> Clause | None:
        first = isinstance(subject, NounPhrase) and self.chance(0.5)
        who, rival = (subject, target) if first else (target, subject)
        assert isinstance(who, NounPhrase)
        adjective = self.telling(who, rival)
        if adjective is None:
            return None
        for phrase in (subject, target):
            if isinstance(phrase, NounPhrase):
                self.phrases[phrase.key] = phrase
        if isinstance(subject, NounPhrase):
            self.combinations.add((verb.english, "subject", subject.noun.english))
        self.combinations |= {
            (verb.english, "object", target.noun.english),
            (adjective.english, "noun", who.noun.english),
        }
        return self.because(verb, subject, target, who, rival, adjective, "it")

    def telling(self, who: NounPhrase, rival: Nominal) -> Adjective | None:
        """An adjective that fits one of the two nouns only."""
        options = [
            a
            for a in self.lexicon.adjectives_for(who.noun)
            if not isinstance(rival, NounPhrase) or not a.classes & rival.noun.classes
        ]
        options = [a for a in options if not self.ambiguous(who.noun, a) and not self.unclear(a, who.noun)]
        return self.pick(options) if options else None

    def gendered(self) -> Clause | None:
        """The mother hugged the boy because he was sad."""
        people = [n for n in self.lexicon.nouns if n.human and n.gender and n.countable]
        verbs = [v for v in self.lexicon.verbs_of("t") if v.object & HUMAN and v.subject & HUMAN]
        one, two = self.pick(people), self.pick(people)
        if one.gender == two.gender:
            return None
        verb = self.pick(verbs)
        subject, target = (NounPhrase(self.next_key(), noun) for noun in (one, two))
        if not (verb.subject & one.classes and verb.object & two.classes):
            return None
        who, rival = (subject, target) if self.chance(0.5) else (target, subject)
        options = [a for a in self.lexicon.adjectives_for(who.noun) if not self.ambiguous(who.noun, a)]
        if not options:
            return None
        for phrase in (subject, target):
            self.phrases[phrase.key] = phrase
        self.combinations |= {(verb.english, "subject", one.english), (verb.english, "object", two.english)}
        word = "he" if who.noun.gender == "m" else "she"
        return self.because(verb, subject, target, who, rival, self.pick(options), word)

    def because(
        self,
        verb: Verb,
        subject: Nominal,
        target: NounPhrase,
        who: NounPhrase,
        rival: Nominal,
        adjective: Adjective,
        word: str,
    ) -> Clause:
        pronoun = replace(
            self.personal(word),
            antecedent=who,
            rival=rival if isinstance(rival, NounPhrase | Named) else None,
        )
        self.antecedents.append(pronoun)
        tense = self.weighed(("past", "present"), (75, 25))
        negative = self.chance(0.1)
        degree = self.degree() if not negative and self.chance(0.8) else None
        reason = Clause(
            self.next_key(),
            "adjective",
            pronoun,
            adjective=adjective,
            tense=tense,
            degree=degree,
            negative=negative,
        )
        main = Clause(
            self.next_key(),
            "verb",
            subject,
            verb=verb,
            complement=target,
            tense=tense,
            negative=self.chance(0.6),
        )
        return replace(main, subordinate=("because", reason))

    def ambiguous_word(self) -> Clause:
        """A sentence around a word with several senses, in a place that settles which."""
        doubles = [noun for group in self.lexicon.senses().values() for noun in group]
        while True:
            noun = self.pick(doubles)
            draw = self.random.random()
            if draw < 0.62:
                verbs = [v for v in self.lexicon.verbs_of("t") if v.object & noun.classes and self.resolves(v, noun)]
                if not verbs:
                    continue
                verb = self.pick(verbs)
                subject = self.human() if verb.subject & HUMAN else self.nominal(verb.subject)
                if subject is None:
                    continue
                self.combinations.add((verb.english, "object", noun.english))
                phrase = self.phrase(verb.object, size=0, noun=noun)
                clause = Clause(self.next_key(), "verb", subject, verb=verb, complement=phrase, tense=self.tense())
                return self.decorated(clause, size=1)
            if draw < 0.75:
                verbs = [
                    v
                    for v in self.lexicon.verbs_of("i")
                    if v.subject & noun.classes and noun in self.lexicon.nouns_of(v.subject)
                ]
                if not verbs:
                    continue
                verb = self.pick(verbs)
                phrase = self.phrase(verb.subject, size=0, noun=noun)
                assert phrase
                clause = Clause(self.next_key(), "verb", phrase, verb=verb, tense=self.tense())
                return self.decorated(clause, size=1)
            phrase = self.phrase(noun.classes, size=0, noun=noun)
            assert phrase
            if phrase.adjectives:
                phrase = replace(phrase, adjectives=(), superlative=False)
            quality = self.described_as(self.possessed(phrase) if self.chance(0.4) else phrase)
            if quality:
                return quality

    def invented_name(self) -> Named:
        name = invent(self.random)
        return Named(self.next_key(), PersonName(name, name, "", ""), invented=True)

    def invented_thing(self) -> Noun:
        """A nonsense noun (the blick), which both languages carry unchanged."""
        word = invent(self.random, capital=False)
        return Noun(word, word + "s", word, resolve("object"), "개", "", "", INVENTED)

    def copying(self) -> Clause:
        """My cat Zorblax sleeps on the sofa; I met Toma; the blick is big."""
        draw = self.random.random()
        clause = self.plain()
        while not (clause.verb and clause.verb.subject & resolve("animate")):
            clause = self.acting(("t", "i", "m", "l", "p", "d"))
        if draw < 0.45:
            pet = self.noun(resolve("animal") if clause.verb.subject & resolve("animal") else resolve("family,person"))
            assert pet
            owner = self.personal("I", "you", "he", "she", "we", "they") if self.chance(0.8) else self.named()
            invented = self.invented_name()
            determiner = "" if pet.countable or not pet.article else "the"
            phrase = NounPhrase(self.next_key(), pet, determiner=determiner, possessor=owner, name=invented.entry.name)
            self.phrases[phrase.key] = phrase
            return self.refit(replace(clause, subject=phrase))
        if draw < 0.75:
            if clause.verb.subject & HUMAN and self.chance(0.6):
                return self.refit(replace(clause, subject=self.invented_name()))
            if clause.verb.object & HUMAN and clause.complement and not isinstance(clause.complement, Gap):
                return replace(clause, complement=self.invented_name())
            return replace(clause, subject=self.invented_name()) if clause.verb.subject & HUMAN else clause
        phrase = NounPhrase(self.next_key(), self.invented_thing(), determiner=self.pick(("the", "a", "this")))
        if self.chance(0.5):
            verb = self.pick(
                [v for v in self.lexicon.verbs_of("t") if v.object & resolve("object") and v.subject & HUMAN]
            )
            if self.resolves_any(verb):
                return self.decorated(
                    Clause(
                        self.next_key(),
                        "verb",
                        self.human(),
                        verb=verb,
                        complement=phrase,
                        tense=self.tense(),
                    ),
                    size=1,
                )
        adjective = self.pick(self.lexicon.adjectives_of(resolve("object")))
        return Clause(self.next_key(), "adjective", phrase, adjective=adjective, tense=self.pick(("present", "past")))

    def resolves_any(self, verb: Verb) -> bool:
        return not [v for v in self.lexicon.verbs_of("t") if v is not verb and v.english == verb.english]

    # --- sentences --------------------------------------------------------------------------------------------------

    def sentence(self, construction: str | None = None) -> Sentence:
        """Draw one sentence; `construction` restricts it to a kind."""
        self.key, self.combinations, self.phrases, self.antecedents = 0, set(), {}, []
        kinds = self.constructions()
        name = construction or self.random.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        return Sentence(kinds[name][1](), mark=not self.chance(0.12), construction=name)

    def constructions(self) -> dict[str, tuple[int | float, Callable[[], Clause]]]:
        """Every kind of sentence with its share of the corpus."""
        return {
            "plain": (26, self.plain),
            "question": (7, self.question),
            "wh": (7, self.wh_question),
            "command": (6, self.command),
            "exist": (4, self.existing),
            "naming": (3, self.naming),
            "weather": (1.5, self.weather),
            "passive": (3.5, self.passive),
            "purpose": (4.5, self.purposeful),
            "instrument": (2, self.tooled),
            "report": (6, self.reporting),
            "joined": (6, self.joined),
            "subordinate": (8, self.subordinated),
            "nested": (4, self.nested),
            "pronoun": (6, self.referring),
            "ambiguous": (5.5, self.ambiguous_word),
            "copy": (12, self.copying),
        }
