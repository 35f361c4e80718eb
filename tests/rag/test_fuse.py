from hypothesis import given
from hypothesis import strategies as st
from rag_doubles import chunk, hit

from indexing.records import CHANNELS, Channel, Chunk
from rag.fuse import Ranking, fuse, gather_near, merge_pages, spread_files
from rag.relevance import RatedHit

CHUNKS = [chunk(f"text {i}", file=f"{i}.txt") for i in range(12)]

orders = st.lists(
    st.permutations(CHUNKS).flatmap(lambda p: st.integers(0, 12).map(lambda n: p[:n])), min_size=1, max_size=3
)
weights = st.lists(st.floats(0.01, 10), min_size=3, max_size=3)


def rankings(lists: list[list[Chunk]], say: list[float]) -> list[Ranking]:
    return [ranking(channel, found, weight) for channel, found, weight in zip(CHANNELS, lists, say, strict=False)]


def ranking(channel: Channel, found: list[Chunk], weight: float = 1.0) -> Ranking:
    return Ranking(channel=channel, weight=weight, found=[(each, 1.0 / (i + 1)) for i, each in enumerate(found)])


@given(orders, weights, st.randoms())
def test_the_order_in_which_channels_come_makes_no_difference(lists, say, random) -> None:
    given_order = rankings(lists, say)
    shuffled = list(given_order)
    random.shuffle(shuffled)
    assert [(h.chunk.id, h.score) for h in fuse(given_order, constant=20)] == [
        (h.chunk.id, h.score) for h in fuse(shuffled, constant=20)
    ]


@given(orders, weights, st.integers(0, 11), st.integers(0, 2))
def test_a_better_place_in_a_channel_never_lowers_a_chunk(lists, say, place, channel) -> None:
    if channel >= len(lists) or not 0 < place < len(lists[channel]):
        return
    chosen = lists[channel][place]
    better = [list(each) for each in lists]
    better[channel].insert(place - 1, better[channel].pop(place))
    before = {h.chunk.id: h.score for h in fuse(rankings(lists, say), constant=20)}
    after = {h.chunk.id: h.score for h in fuse(rankings(better, say), constant=20)}
    assert after[chosen.id] > before[chosen.id]


@given(orders, weights, st.permutations(CHUNKS))
def test_a_channel_of_weight_0_has_no_say(lists, say, silent) -> None:
    spoken = rankings(lists, say)
    assert fuse([*spoken, ranking("bm25", list(silent), 0.0)], constant=20) == fuse(spoken, constant=20)


@given(orders, weights)
def test_scores_lie_between_0_and_1_and_first_everywhere_is_1(lists, say) -> None:
    hits = fuse(rankings(lists, say), constant=20)
    assert all(0 < h.score <= 1 + 1e-9 for h in hits)
    everywhere = fuse([ranking(channel, CHUNKS[:3]) for channel in CHANNELS], constant=20)
    assert everywhere[0].chunk == CHUNKS[0] and abs(everywhere[0].score - 1) < 1e-9


@given(orders, weights)
def test_every_chunk_found_is_one_hit_with_its_rank_in_each_channel(lists, say) -> None:
    hits = fuse(rankings(lists, say), constant=20)
    assert sorted(h.chunk.id for h in hits) == sorted({c.id for each in lists for c in each})
    for h in hits:
        for channel, found in zip(CHANNELS, lists, strict=False):
            expected = found.index(h.chunk) + 1 if h.chunk in found else None
            assert (h.channels[channel].rank if channel in h.channels else None) == expected


def test_fusion_agrees_with_the_published_formula() -> None:
    hits = fuse([ranking("text", CHUNKS[:2], 2.0), ranking("bm25", [CHUNKS[1]], 1.0)], constant=60)
    by_id = {h.chunk.id: h.score for h in hits}
    most = 2 / 61 + 1 / 61
    assert abs(by_id[CHUNKS[0].id] - (2 / 61) / most) < 1e-12
    assert abs(by_id[CHUNKS[1].id] - (2 / 62 + 1 / 61) / most) < 1e-12


def test_words_and_picture_in_one_channel_both_count_and_the_better_place_is_shown() -> None:
    words, picture = ranking("clip", CHUNKS[:3]), ranking("clip", [CHUNKS[2], CHUNKS[0]])
    hits = fuse([words, picture], constant=20)
    assert hits[0].chunk == CHUNKS[0]
    assert next(h for h in hits if h.chunk == CHUNKS[2]).channels["clip"].rank == 1


def test_a_pages_picture_speaks_for_the_pages_words() -> None:
    page, words = chunk(file="m.pdf", kind="page", page=3), chunk("the words", file="m.pdf", page=3)
    other = chunk("other", file="n.pdf", page=1)
    given_rankings = [ranking("clip", [page, other]), ranking("text", [other, words])]
    merged = fuse(merge_pages(given_rankings, fuse(given_rankings, constant=20)), constant=20)
    assert [h.chunk for h in merged] == [words, other] or [h.chunk for h in merged] == [other, words]
    assert next(h for h in merged if h.chunk == words).channels["clip"].rank == 1


def test_a_page_without_words_found_keeps_its_place() -> None:
    page = chunk(file="m.pdf", kind="page", page=3)
    elsewhere = chunk("the words", file="m.pdf", page=4)
    given_rankings = [ranking("clip", [page]), ranking("text", [elsewhere])]
    merged = fuse(merge_pages(given_rankings, fuse(given_rankings, constant=20)), constant=20)
    assert {h.chunk.id for h in merged} == {page.id, elsewhere.id}


def test_one_file_does_not_take_every_place_and_nothing_is_lost() -> None:
    long = [hit(chunk(f"part {i}", file="long.txt", ordinal=i), 1 - i / 100) for i in range(6)]
    short = hit(chunk("short", file="short.txt"), 0.1)
    judged = [RatedHit(hit=each, probability=each.score) for each in [*long, short]]
    spread = [each.hit for each in spread_files(judged, per_file=3)]
    assert [h.chunk.path for h in spread[:4]] == ["/library/long.txt"] * 3 + ["/library/short.txt"]
    assert sorted(h.chunk.id for h in spread) == sorted(h.chunk.id for h in [*long, short])


def test_pictures_that_are_nearly_the_same_take_one_place_which_names_the_others() -> None:
    first, copy, other = (hit(chunk(kind="image", file=name), 0.5) for name in ("a.jpg", "copy.jpg", "b.jpg"))
    judged = [RatedHit(hit=each, probability=each.score) for each in (first, other, copy)]
    pair = {first.chunk.content_hash: copy, copy.chunk.content_hash: first}

    def near(content: str) -> dict[str, str]:
        return {pair[content].chunk.content_hash: pair[content].chunk.path} if content in pair else {}

    gathered = [each.hit for each in gather_near(judged, near)]
    assert [(each.chunk.path, each.near) for each in gathered] == [
        ("/library/a.jpg", ("/library/copy.jpg",)),
        ("/library/b.jpg", ()),
    ]
    apart = [each.hit.chunk.path for each in gather_near(judged, near, apart=True)]
    assert apart == ["/library/a.jpg", "/library/b.jpg", "/library/copy.jpg"]
