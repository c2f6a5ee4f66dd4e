"""Balance: matching against plain string searches, the rules against plain Python, shares against probability."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairs import balance, keys, normalise
from pairs.alt_text import AltTextOptions
from pairs.balance import BalanceOptions, Matcher, tidy_queries

UNSPACED = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def options(**given: object) -> BalanceOptions:
    return BalanceOptions.model_validate({"queries": ["list.txt"], **given})


def matcher(queries: list[str], **given: object) -> Matcher:
    tidy = tidy_queries(pa.array(queries, pa.string()), options(**given)).to_pylist()
    return Matcher.of(pa.array([query for query in dict.fromkeys(tidy) if query], pa.string()), options(**given))


def found(texts: list[str | None], queries: list[str], **how: object) -> list[set[str]]:
    one = matcher(queries, **how)
    rows, ids = one.match(pa.array(texts, pa.string()))
    result: list[set[str]] = [set() for _ in texts]
    for row, query in zip(rows.tolist(), ids.tolist(), strict=True):
        result[row].add(one.queries[query].as_py())
    return result


def fold(text: str) -> str:
    """One character for one, as Unicode folds case."""
    return "".join(
        "i" if c == "İ" else c.casefold() if len(c.casefold()) == 1 else c.lower() if len(c.lower()) == 1 else c
        for c in text
    )


def of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN" and not UNSPACED.match(character)


def plain_words(text: str, query: str) -> bool:
    """Whether the query stands in the text so that neither end cuts a word of a script with spaces."""
    for at in range(len(text) - len(query) + 1):
        end = at + len(query)
        if text[at:end] != query:
            continue
        cuts = [
            place for place in (at, end) if 0 < place < len(text) and of_word(text[place - 1]) and of_word(text[place])
        ]
        if not cuts:
            return True
    return False


def plain_spaces(text: str, query: str) -> bool:
    """MetaCLIP: signs between spaces, the text between two, and the query's ends too unless they are no letters of words."""
    spaced = " " + "".join(f" {c} " if c in ",.;:?!`" else " " if c in "\t\n\r" else c for c in text) + " "

    def asks(character: str) -> bool:
        return not (UNSPACED.match(character) or unicodedata.category(character)[0] in "PS")

    return f"{' ' * asks(query[0])}{query}{' ' * asks(query[-1])}" in spaced


PLAIN = {"words": plain_words, "spaces": plain_spaces, "none": lambda text, query: query in text}
ALPHABET = "abcABC  é.,'-!1ß東京กาكلмМΣςσ"


@given(
    st.lists(st.text(ALPHABET, max_size=14), max_size=8),
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), min_size=1, max_size=8),
    st.sampled_from(["words", "spaces", "none"]),
    st.sampled_from(["fold", "exact"]),
)
def test_matches_are_those_of_a_plain_search(texts: list[str], queries: list[str], boundaries: str, case: str) -> None:
    if not any(query.strip() for query in queries):
        return
    change = fold if case == "fold" else str
    tidy = {change(" ".join(query.split())) for query in queries} - {""}
    wanted = [{query for query in tidy if PLAIN[boundaries](change(text), query)} for text in texts]
    assert found(list(texts), queries, boundaries=boundaries, case=case) == wanted


@pytest.mark.parametrize(
    ("text", "query", "there"),
    [
        ("A golden retriever, asleep", "Golden Retriever", True),
        ("A golden_retriever", "golden retriever", False),  # the list's underscores are spaces, not the text's
        ("Hotdogs!", "dog", False),
        ("(Dog)", "dog", True),
        ("The dog's house", "dog", True),
        ("l'homme au chapeau", "homme", True),
        ("dog-house", "dog", True),
        ("St. Louis at night", "st. louis", True),
        ("C++ for dogs", "c++", True),
        ("東京タワーの夜景", "東京", True),
        ("東京タワーの夜景", "タワー", True),
        ("T恤衫", "t恤", True),
        ("AT恤衫", "t恤", False),
        ("2020年の桜", "年", True),
        ("12020年の桜", "2020年", False),
        ("คนเดินถนน", "เดิน", True),
        ("ภาพDog", "dog", True),
        ("هذا كلب كبير", "كلب", True),
        ("الكلب الكبير", "كلب", False),
        ("المكتبة،كتاب", "كتاب", True),
        ("한국의 개가 달린다", "개", False),  # Korean writes spaces: particles belong to the word
        ("한국의 개 사진", "개", True),
        ("लाल किला", "किला", True),
        ("किलाबंदी", "किला", False),
        ("ΣΚΎΛΟΣ", "σκύλος", True),
        ("STRASSE", "straße", False),  # folding that changes the length is not done
        ("İSTANBUL", "istanbul", True),
        ("Cafe\u0301 du Nord", "Café", True),  # normalised before
        ("کتاب‌خانه", "کتاب", False),  # a joiner does not end a word
        ("☕️ time", "☕", True),
        ("", "dog", False),
    ],
)
def test_where_a_query_is_found(text: str, query: str, there: bool) -> None:
    (clean,) = normalise.clean(pa.array([text])).to_pylist()
    assert bool(found([clean], [query])[0]) is there


def test_metaclips_own_boundaries() -> None:
    queries = ["dog", "Dog", "st. louis", "東京"]
    how = {"boundaries": "spaces", "case": "exact"}
    texts = ["dog, cat", "a dog.", "dog's", "(dog)", "Dog", "st. louis", "東京タワー", "dog"]
    assert found(texts, queries, **how) == [{"dog"}, {"dog"}, set(), set(), {"Dog"}, set(), {"東京"}, {"dog"}]


def test_nulls_and_characters_that_mark_ends_do_no_harm() -> None:
    assert found([None, "a\ndog", "a\x1fdog", "dog\n"], ["dog"]) == [set(), {"dog"}, {"dog"}, {"dog"}]
    assert found([], ["dog"]) == []
    with pytest.raises(ValueError, match="empty or twice"):
        Matcher.of(pa.array(["dog", "dog"]), options())
    with pytest.raises(ValueError, match="empty or twice"):
        Matcher.of(pa.array([], pa.string()), options())


def test_queries_are_normalised_as_texts_are() -> None:
    raw = pa.array(["Golden_Retriever ", "cafe\u0301", "a\u200bb", None, "  ", "A  b"])
    assert tidy_queries(raw, options()).to_pylist() == ["golden retriever", "café", "ab", "", "", "a b"]
    assert tidy_queries(raw, options(case="exact")).to_pylist()[0] == "Golden Retriever"


def test_batches_do_not_matter() -> None:
    texts = [f"dog {at} cat" if at % 3 else f"owl {at}" for at in range(50)]
    one = matcher(["dog", "cat", "owl", "7"])
    whole = np.stack(one.match(pa.array(texts)))
    pieces = []
    for first in range(0, 50, 7):
        rows, ids = one.match(pa.array(texts).slice(first, 7))
        pieces.append(np.stack([rows + first, ids]))
    assert np.array_equal(np.concatenate(pieces, axis=1), whole)
    assert np.array_equal(np.lexsort((whole[1], whole[0])), np.arange(whole.shape[1]))


# --- who is kept -----------------------------------------------------------------------------------------------------


def draws_of(n: int, seed: int = 0) -> np.ndarray:
    return balance.pair_draws(pa.array([f"{at:032x}" for at in range(n)]), seed)


def test_each_pair_is_kept_with_the_probability_that_its_queries_give() -> None:
    n, threshold = 60_000, 1_000
    every = np.arange(n)
    member = {"all": every, "half": every[::2], "few": every[:2_000], "rare": every[-500:]}
    listed = pa.array(sorted(member))
    rows = np.concatenate([member[name] for name in listed.to_pylist()])
    ids = np.repeat(np.arange(4), [len(member[name]) for name in listed.to_pylist()])
    counts = np.bincount(ids, minlength=4)
    chosen = balance.chosen(draws_of(n)[rows], ids, listed, counts, options(threshold=threshold))
    why = balance.reasons_of(n, rows, chosen, options())
    shares: dict[tuple[str, ...], list[bool]] = defaultdict(list)
    held: list[list[str]] = [[] for _ in range(n)]
    for name in sorted(member):
        for row in member[name]:
            held[row].append(name)
    for row in range(n):
        shares[tuple(held[row])].append(bool(why[row] == 0))
    assert len(shares) == 6
    for names, kept in shares.items():
        lost = 1.0
        for name in names:
            lost *= 1 - min(1.0, threshold / len(member[name]))
        wanted, m = 1 - lost, len(kept)
        assert abs(np.mean(kept) - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / m), names
        if "rare" in names:
            assert all(kept), "a query within the threshold keeps all of its pairs"


def test_a_query_that_is_added_moves_no_other_querys_draws() -> None:
    rows = np.arange(1000)
    draws = draws_of(1000)
    kept = [
        balance.chosen(draws[rows], np.full(1000, at), listed, np.full(len(listed), 1000), options(threshold=100))
        for listed, at in ((pa.array(["dog"]), 0), (pa.array(["cat", "dog", "owl"]), 1))
    ]
    assert np.array_equal(*kept)
    other = balance.chosen(
        draws_of(1000, 1), np.zeros(1000, int), pa.array(["dog"]), np.array([1000]), options(threshold=100)
    )
    assert not np.array_equal(kept[0], other), "the seed counts"
    assert 60 < kept[0].sum() < 140


MEMBERS = st.lists(st.sets(st.integers(0, 5)), max_size=40)


@given(
    MEMBERS,
    st.integers(1, 8),
    st.sampled_from(["probability", "cap"]),
    st.sampled_from(["drop", "keep"]),
    st.integers(0, 3),
)
def test_the_rule_is_that_of_plain_python(
    members: list[set[int]], threshold: int, mode: str, unmatched: str, seed: int
) -> None:
    given_ = options(mode=mode, threshold=threshold, unmatched=unmatched)
    listed = pa.array([f"query {at}" for at in range(6)])
    n = len(members)
    draws = draws_of(n, seed)
    rows = np.array([row for row, held in enumerate(members) for _ in sorted(held)], np.int64)
    ids = np.array([query for held in members for query in sorted(held)], np.int64)
    counts = np.bincount(ids, minlength=6)
    chosen = balance.chosen(draws[rows], ids, listed, counts, given_)
    why = balance.reason_names(balance.reasons_of(n, rows, chosen, given_)).to_pylist()
    hashes = keys.draw(listed, 0, "query").view(np.int64)
    count = Counter(query for held in members for query in held)
    for row, held in enumerate(members):
        if mode == "cap":
            kept = any(
                sum(other < draws[row] for other, with_ in zip(draws, members, strict=True) if query in with_)
                < threshold
                for query in held
            )
        else:
            kept = any(
                keys.unit(keys.child_draw(draws[row : row + 1], hashes[query : query + 1]))[0]
                < threshold / count[query]
                for query in held
            )
        if not held:
            assert why[row] == (None if unmatched == "keep" else "unmatched")
        else:
            assert why[row] == (None if kept else "balanced_out")
    if mode == "cap":
        survivors = {row for row in range(n) if members[row] and why[row] is None}
        least = {
            query: set(
                sorted((row for row in range(n) if query in members[row]), key=lambda row: draws[row])[:threshold]
            )
            for query in range(6)
        }
        assert survivors == set().union(*least.values()), "the union of what each query keeps"
        for query in range(6):
            assert len(least[query]) == min(count[query], threshold)
            beyond = {row for row in survivors if query in members[row]} - least[query]
            assert all(any(row in least[other] for other in members[row] - {query}) for row in beyond), (
                "a query is above the cap by pairs alone that another query keeps"
            )


def test_the_cap_of_a_large_query_is_exact() -> None:
    draws, ids = draws_of(50_000), np.zeros(50_000, np.int64)
    for threshold in (1, 7, 1000, 49_999, 50_000):
        kept = balance.chosen(draws, ids, pa.array(["a"]), np.array([50_000]), options(mode="cap", threshold=threshold))
        assert kept.sum() == threshold
        assert draws[kept].max() < (draws[~kept].min() if threshold < 50_000 else 2**64)
    candidates = balance.cap_candidates(draws, ids, np.array([50_000]), 1000)
    assert 1000 < candidates.sum() < 2000, "little more than the cap is compared over all buckets"


def test_options_have_bounds() -> None:
    assert AltTextOptions.model_validate({"balance": {"queries": ["a.txt"]}}).balance == BalanceOptions(
        queries=("a.txt",)
    )
    for wrong in ({"queries": []}, {"queries": ["a"], "threshold": 0}, {"queries": ["a"], "mode": "best"}, {}):
        with pytest.raises(ValidationError):
            BalanceOptions.model_validate(wrong)
