"""Claims made from the sentences of real documents: kept true in another form, or made false."""

from collections.abc import Sequence

from recipes.small.draw import Draw, Drawn

# --- true claims from a sentence


def form(draw: Draw) -> Drawn:
    """The sentence itself: other case, line breaks, marks, without its stop."""
    sentence = draw.sentence()
    chance = draw.random.random()
    claim = sentence
    if chance < 0.3:
        claim = sentence.rstrip(".")
    elif chance < 0.5:
        claim = sentence[0].lower() + sentence[1:]
    elif chance < 0.65:
        claim = sentence.upper() if draw.random.random() < 0.3 else sentence.lower()
    elif chance < 0.8:
        parts = sentence.split()
        bold = draw.random.randrange(len(parts))
        claim = " ".join([*parts[:bold], f"**{parts[bold]}**", *parts[bold + 1 :]])
    else:
        claim = sentence.replace('"', "”").replace(",", "") if not any(c.isdigit() for c in sentence) else sentence
    return claim, _broken(draw, sentence) if draw.random.random() < 0.3 else sentence


def _broken(draw: Draw, sentence: str) -> str:
    parts = sentence.split()
    at = draw.random.randrange(1, len(parts))
    if len(parts[at]) > 7 and parts[at].isalpha():
        return " ".join(parts[:at]) + f" {parts[at][:4]}-\n{parts[at][4:]} " + " ".join(parts[at + 1 :])
    return " ".join(parts[:at]) + "\n" + " ".join(parts[at:])


def one_of_two(draw: Draw) -> Drawn:
    """One sentence of two."""
    paragraph = draw.random.choice(draw.prose)
    if len(paragraph) < 2:
        return None
    at = draw.random.randrange(len(paragraph) - 1)
    return paragraph[at + draw.random.randrange(2)], f"{paragraph[at]} {paragraph[at + 1]}"


def clause(draw: Draw) -> Drawn:
    """The main clause without the relative clause or the brackets."""
    sentence = draw.sentence()
    opened, closed = sentence.find(" ("), sentence.find(")")
    if 0 < opened < closed:
        return sentence[:opened] + sentence[closed + 1 :], sentence
    for mark in draw.words["relatives"]:
        cut = sentence.find(mark)
        if cut > 25 and sentence.split()[0] not in draw.words["conditions"]:
            return sentence[:cut] + ".", sentence
    return None


def reordered(draw: Draw) -> Drawn:
    """ "If A, B." → "B if A."; German verbs would have to move."""
    sentence = draw.sentence().rstrip(".")
    first = sentence.split()[0]
    if draw.language == "de" or first not in draw.words["conditions"] or sentence.count(",") != 1:
        return None
    head, rest = sentence.split(", ")[0], sentence.split(", ")[-1]
    if len(rest.split()) < 4:
        return None
    return f"{rest[0].upper()}{rest[1:]} {head[0].lower()}{head[1:]}.", sentence + "."


def wrapped(draw: Draw) -> Drawn:
    """The sentence with a phrase that says where it stands."""
    sentence = draw.sentence()
    said = sentence[0].lower() + sentence[1:] if sentence[1:2].islower() and draw.language != "de" else sentence
    return draw.random.choice(draw.words["wraps"]).format(s=said), sentence


# --- false claims from a sentence


def _numbers(sentence: str) -> list[str]:
    words = (word.strip(".,;:()%") for word in sentence.split())
    return [word for word in words if word.replace(".", "").replace(",", "").isdigit()]


def _swapped(sentence: str, one: str, other: str) -> str:
    parts = sentence.split(" ")
    at = {word: next((i for i, part in enumerate(parts) if word in part), -1) for word in (one, other)}
    if min(at.values()) < 0 or at[one] == at[other]:
        return sentence
    parts[at[one]] = parts[at[one]].replace(one, other, 1)
    parts[at[other]] = parts[at[other]].replace(other, one, 1)
    return " ".join(parts)


def number(draw: Draw) -> Drawn:
    """One number changed."""
    sentence = draw.sentence()
    found = _numbers(sentence)
    if not found:
        return None
    old = draw.random.choice(found)
    place = draw.random.randrange(len(old))
    new = (
        old[:place] + str((int(old[place]) + draw.random.randrange(1, 9)) % 10) + old[place + 1 :]
        if old[place].isdigit()
        else old + "0"
    )
    return sentence.replace(old, new), sentence


def numbers_swapped(draw: Draw) -> Drawn:
    """Two numbers in each other's place."""
    sentence = draw.sentence()
    found = list(dict.fromkeys(_numbers(sentence)))
    if len(found) < 2 or found[0] in found[1] or found[1] in found[0]:
        return None
    if not _between(draw, sentence, found[0], found[1]):
        return None
    return _swapped(sentence, found[0], found[1]), sentence


def _between(draw: Draw, sentence: str, one: str, other: str) -> bool:
    """Whether two words stand in different roles: more than a list's comma or "and" lies between them."""
    middle = sentence.split(one, 1)[1].split(other, 1)[0].split()
    rest = [word.strip(",;()") for word in middle]
    return len(rest) > 1 and not any(word in draw.words["and"] for word in rest) and "," not in "".join(middle)


def names_swapped(draw: Draw) -> Drawn:
    """Two capitalised words in each other's place."""
    sentence = draw.sentence()
    names = [word.strip('.,;:()"”“') for word in sentence.split()[1:] if word[0].isupper() and len(word) > 2]
    names = list(dict.fromkeys(name for name in names if name.isalpha()))
    if len(names) < 2:
        return None
    one, other = draw.some(names, 2)
    if sentence.find(one) > sentence.find(other):
        one, other = other, one
    if not _between(draw, sentence, one, other):
        return None
    return _swapped(sentence, one, other), sentence


def name(draw: Draw) -> Drawn:
    """A capitalised word of another sentence."""
    sentence, other = draw.sentence(), draw.sentence()
    ours, theirs = (
        [word.strip('.,;:()"”“') for word in each.split()[1:] if word[0].isupper() and word.isalpha()]
        for each in (sentence, other)
    )
    theirs = [word for word in theirs if word not in sentence]
    if not ours or not theirs:
        return None
    return sentence.replace(draw.random.choice(ours), draw.random.choice(theirs)), sentence


def order(draw: Draw) -> Drawn:
    """Two longer words in each other's place."""
    sentence = draw.sentence()
    words = [word.strip('.,;:()"”“') for word in sentence.split()]
    words = list(dict.fromkeys(word for word in words if len(word) > 4 and word.isalpha() and word.islower()))
    if len(words) < 3:
        return None
    at = draw.random.randrange(len(words) - 1)
    one, other = words[at], words[draw.random.randrange(at + 1, len(words))]
    if not _between(draw, sentence, one, other) or one[:4] == other[:4]:
        return None
    return _swapped(sentence, one, other), sentence


def _replaced(draw: Draw, pairs: Sequence[Sequence[str]], *, back: bool) -> Drawn:
    sentence = draw.sentence()
    for old, new in draw.random.sample(list(pairs), len(pairs)):
        if back and new in sentence:
            return sentence.replace(new, old, 1), sentence
        if not back and old in sentence and new.strip() not in sentence:
            return sentence.replace(old, new, 1), sentence
    return None


def negation_added(draw: Draw) -> Drawn:
    """A "not" that the source does not have."""
    return _replaced(draw, [*draw.words["negations"], *draw.words["also_negations"]], back=False)


def negation_removed(draw: Draw) -> Drawn:
    """The source's "not" left out."""
    return _replaced(draw, draw.words["negations"], back=True)


def opposite(draw: Draw) -> Drawn:
    """A word turned into its opposite."""
    pairs = [[f" {one} ", f" {other} "] for one, other in draw.words["opposites"]]
    return _replaced(draw, pairs, back=False)


def unit(draw: Draw) -> Drawn:
    """Another unit behind the number."""
    parts = draw.sentence().split(" ")
    for at in range(1, len(parts)):
        for units in draw.words["units"]:
            bare = parts[at].rstrip(".,;:)")
            if bare in units and parts[at - 1][-1:].isdigit():
                other = draw.random.choice([each for each in units if each != bare])
                return " ".join([*parts[:at], parts[at].replace(bare, other), *parts[at + 1 :]]), " ".join(parts)
    return None


def halves(draw: Draw) -> Drawn:
    """The beginning of one sentence with the end of the next; the passage holds both, or the second alone."""
    paragraph = draw.random.choice(draw.prose)
    if len(paragraph) < 2:
        return None
    at = draw.random.randrange(len(paragraph) - 1)
    first, second = paragraph[at].split(), paragraph[at + 1].split()
    if draw.random.random() < 0.5:
        cut, start = draw.random.randrange(2, 5), draw.random.randrange(1, 4)
    else:
        cut, start = len(first) // 2, len(second) // 2
    if {word.lower() for word in first[:cut]} <= {word.lower() for word in second[: start + 1]}:
        return None
    claim = " ".join([*first[:cut], *second[start:]])
    both = " ".join([*first, *second])
    return claim, both if draw.random.random() < 0.7 else " ".join(second)


def unrelated(draw: Draw) -> Drawn:
    """A passage that speaks of something else, the nearest of fifty."""
    sentence = draw.sentence()
    held = set(sentence.lower().split())
    others = [each for each in (draw.sentence() for _ in range(50)) if each != sentence]
    return sentence, max(others, key=lambda each: len(held & set(each.lower().split())) / (5 + len(each.split())))


def condition_dropped(draw: Draw) -> Drawn:
    """ "If A, B." does not say B."""
    sentence = draw.sentence()
    if sentence.split()[0] not in draw.words["pure_conditions"] or sentence.count(",") != 1:
        return None
    rest = sentence.split(", ")[-1]
    return (rest[0].upper() + rest[1:], sentence) if len(rest.split()) > 3 else None
