"""The paper's five mixtures trained on a tiny LLaVA, from one start; stopped, gone on with, scored, judged."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from writing_server import serving

from llava_model.ablation import plan as table
from llava_model.ablation.mixtures import cut_shares, questions_of, sort_samples, type_of
from llava_model.ablation.plan import TYPES, VARIANTS, Plan, ResponseType, read_plan
from llava_model.ablation.run import AblationReport, Bases, Watch, ablate
from llava_model.checkpoints.manifest import latest, read_manifest
from llava_model.data.sample_file import SampleFile
from llava_model.errors import (
    AblationPlanError,
    AnswersInUseError,
    CheckpointMismatchError,
    LlavaError,
    TrainingDataError,
)
from recipes.scenes.make_scenes import make

TRAINED = [variant.title for variant in VARIANTS if variant.shares]
PLAN = """
[data]
train = ["{scenes}/train.jsonl"]
held_out = ["{scenes}/held_out.jsonl"]
images = "{scenes}"
[align]
data = ["{scenes}/captions.jsonl"]
pooled_grid = 2
batch = 4
[tune]
epochs = 1
batch = 4
[evaluate]
questions = 2
max_new_tokens = 6
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, save_language: Callable[..., Any]) -> SimpleNamespace:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    folder = tmp_path_factory.mktemp("ablation")
    save_language(folder / "language")
    CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28,
            patch_size=14,
        )
    ).save_pretrained(folder / "vision")  # fmt: skip
    make(folder / "scenes", pictures=8, held_out=3)
    bases = Bases(language=folder / "language", vision=folder / "vision")

    def plan(more: str = "", changed: Callable[[str], str] = str) -> Plan:
        path = folder / "plan.toml"
        path.write_text(changed(PLAN.format(scenes=folder / "scenes")) + more)
        return read_plan(path)

    return SimpleNamespace(folder=folder, bases=bases, plan=plan, scenes=folder / "scenes")


@pytest.fixture(scope="module")
def whole(world: SimpleNamespace) -> AblationReport:
    """An undisturbed run."""
    return ablate(world.plan(), world.folder / "whole", world.bases)


def texts(path: Path) -> dict[str, str]:
    return {one["question_id"]: one["text"] for one in map(json.loads, path.read_text().splitlines())}


def test_all_five_variants_are_trained_from_one_start_and_asked_the_same_questions(
    world: SimpleNamespace, whole: AblationReport
) -> None:
    assert whole.finished and [one.variant for one in whole.results] == list(VARIANTS)
    assert [one.samples for one in whole.results] == [24, 16, 8 + 1 + 1, 8, 0]
    assert [one.steps for one in whole.results] == [6, 4, 3, 2, 0]
    out = world.folder / "whole"
    start = read_manifest(latest(out / "align") or out)
    for variant in VARIANTS[:-1]:
        manifest = read_manifest(latest(out / variant.name / "run") or out)
        assert manifest.stage == "instruct" and manifest.config["start"] == start.config
        asked = list(texts(out / variant.name / "answers.jsonl"))
        assert len(asked) == 6 and asked == list(texts(out / "data/questions.jsonl"))
    assert not (out / "none/run").exists()


def test_figures_are_those_of_the_written_answers(world: SimpleNamespace, whole: AblationReport) -> None:
    from llava_model.benchmarks.figures import likeness

    out = world.folder / "whole"
    references = texts(out / "data/references.jsonl")
    for result in whole.results:
        assert result.overall == likeness(references, texts(out / result.variant.name / "answers.jsonl"))
        assert result.forced["conversation"].n == sum(
            len(sample.messages) // 2
            for sample in SampleFile.open(out / "data/held_out/conversation.jsonl", image_root=world.scenes)
        )


def test_the_table_has_the_papers_rows_and_ours_and_says_what_ours_is(whole: AblationReport) -> None:
    head, *rows = table.main_table(whole.results)
    assert head[:5] == ["data", "paper conv", "paper detail", "paper complex", "paper overall"]
    assert [row[4] for row in rows] == ["85.1", "81.9", "80.5", "73.8", "21.5"]
    assert [row[8] for row in rows] == [f"{one.overall.f1:.1f}" for one in whole.results]
    assert "NOT the paper's measure" in table.OFFLINE


def test_a_stopped_run_goes_on_trains_nothing_twice_and_ends_with_the_same_figures(
    world: SimpleNamespace, whole: AblationReport, tmp_path: Path
) -> None:
    steps: list[tuple[str, int]] = []
    watch = Watch(
        on_step=lambda title, metrics: steps.append((title, metrics.step)),
        should_stop=lambda: bool(steps) and steps[-1] == ("detail + complex", 2),
    )
    part = ablate(world.plan(), tmp_path, world.bases, watch)
    assert not part.finished and [one.variant.name for one in part.results] == ["full"]
    before = list(steps)
    rest = ablate(world.plan(), tmp_path, world.bases, Watch(on_step=lambda t, m: steps.append((t, m.step))))
    assert [one.document() for one in rest.results] == [one.document() for one in whole.results]
    assert len(set(steps)) == len(steps) and before == steps[: len(before)]
    ablate(world.plan(), tmp_path, world.bases, Watch(on_step=lambda t, m: pytest.fail("trained again")))


def test_a_run_that_is_stopped_between_two_answers_asks_only_the_others(
    world: SimpleNamespace, whole: AblationReport, tmp_path: Path
) -> None:
    seen: list[int] = []
    watch = Watch(on_answer=lambda title, p: seen.append(p.answered), should_stop=lambda: bool(seen) and seen[-1] == 2)
    assert not ablate(world.plan(), tmp_path, world.bases, watch).finished
    assert len((tmp_path / "full/answers.jsonl").read_text().splitlines()) == 2
    later: list[tuple[str, int]] = []
    ablate(world.plan(), tmp_path, world.bases, Watch(on_answer=lambda title, p: later.append((title, p.answered))))
    assert later[0] == ("full data", 2)
    ours, theirs = ((folder / "full/answers.jsonl").read_text() for folder in (tmp_path, world.folder / "whole"))
    assert ours == theirs


def test_every_variant_takes_the_same_number_of_steps_where_that_is_asked_for(
    world: SimpleNamespace, tmp_path: Path
) -> None:
    plan = world.plan(changed=lambda text: text.replace("epochs = 1\n", "steps = 5\n"))
    counted: dict[str, int] = {}

    def count(title: str, metrics: Any) -> None:
        counted[title] = metrics.steps

    ablate(plan, tmp_path, world.bases, Watch(on_step=count))
    assert [counted[title] for title in TRAINED] == [5, 5, 5, 5]


def test_a_folder_belongs_to_one_plan(world: SimpleNamespace, whole: AblationReport) -> None:
    changed = world.plan(changed=lambda text: text.replace("[tune]", "[tune]\nrate = 1e-5"))
    with pytest.raises(CheckpointMismatchError, match="tune") as refused:
        ablate(changed, world.folder / "whole", world.bases)
    assert "--out" in " ".join(refused.value.__notes__)


def test_two_runs_in_one_folder_are_refused(world: SimpleNamespace, whole: AblationReport) -> None:
    import fcntl

    with (world.folder / "whole/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AnswersInUseError):
            ablate(world.plan(), world.folder / "whole", world.bases)


def test_a_judge_gives_relative_scores_and_is_asked_once(world: SimpleNamespace, whole: AblationReport) -> None:
    with serving(lambda body, number: "8 6\nThe second one lacks detail.") as server:
        plan = world.plan(f'[judge]\nendpoint = "{server.url}"\nmodel = "wise"\n')
        judged = ablate(plan, world.folder / "whole", world.bases)
        assert len(server.bodies) == 5 * 6
        ablate(plan, world.folder / "whole", world.bases)
        assert len(server.bodies) == 5 * 6
        said = server.bodies[0]["messages"][0]["content"]
    assert [one.review.values["overall"] for one in judged.results if one.review] == [75.0] * 5
    rows = table.main_table(judged.results, "wise")[1:]
    assert all(row[5:9] == ["75.0"] * 4 for row in rows)
    assert " in the " in said  # the scene in words


# -- mixtures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"id": "1", "kind": "detail"}, "detail"),
        ({"id": "1", "category": "llava_bench_conv"}, "conversation"),
        ({"id": "33-complex"}, "complex"),
        ({"id": "a-b-conversation"}, "conversation"),
        ({"id": "33-reading"}, None),
        ({"id": "33-detail", "kind": "brief"}, None),
        ({"id": 33}, None),
    ],
)
def test_a_sample_says_its_type_by_kind_or_by_the_end_of_its_id(record: dict[str, Any], wanted: str | None) -> None:
    assert type_of(record) == wanted


def a_sample(name: str, **more: Any) -> str:
    turns = [{"from": "human", "value": f"What is {name}?"}, {"from": "gpt", "value": f"It is {name}."}]
    return json.dumps({"id": name, "conversations": turns, **more})


def test_llavas_own_files_are_sorted_by_file_and_get_names_of_their_own(tmp_path: Path) -> None:
    files: dict[ResponseType, tuple[Path, ...]] = {}
    for kind in TYPES:
        files[kind] = (tmp_path / f"{kind}.json",)
        files[kind][0].write_text("[" + ",".join(a_sample(str(number)) for number in range(4)) + "]")
    found = sort_samples(files, tmp_path / "out", images=tmp_path)
    assert found.counts == {"conversation": 4, "detail": 4, "complex": 4}
    asked = questions_of(found, images=tmp_path, most=2)
    assert [one.name for one in asked] == [f"{n}-{kind}" for kind in files for n in (0, 2)]


def test_other_kinds_are_counted_and_a_missing_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(a_sample(name) for name in ("1-conversation", "1-detail", "1-reading", "2-reading")))
    with pytest.raises(TrainingDataError, match="complex"):
        sort_samples((path,), tmp_path / "out", images=tmp_path)
    path.write_text(path.read_text() + "\n" + a_sample("1-complex"))
    assert sort_samples((path,), tmp_path / "out", images=tmp_path).left_out == {"reading": 2}


def test_small_shares_are_the_same_samples_for_the_same_seed(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(
        "\n".join(a_sample(f"{n}-{kind}") for n in range(200) for kind in ("conversation", "detail", "complex"))
    )
    train = sort_samples((path,), tmp_path / "out", images=tmp_path)
    chosen = [
        [file.read_text() for file in cut_shares(train, tmp_path / "out", seed=seed)["conversation-5-10"]]
        for seed in (0, 0, 1)
    ]
    assert [len(text.splitlines()) for text in chosen[0]] == [200, 10, 20]
    assert chosen[0] == chosen[1] and chosen[0] != chosen[2]


def test_a_held_out_picture_that_is_trained_on_stops_it_by_name(world: SimpleNamespace, tmp_path: Path) -> None:
    both = world.plan(changed=lambda text: text.replace("held_out.jsonl", "train.jsonl"))
    with pytest.raises(TrainingDataError, match="train-0000-conversation"):
        ablate(both, tmp_path, world.bases)


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("[tune]", "[tune]\nepoch = 3"), "epoch"),
        (lambda text: 'start = "a"\n' + text, "one of start"),
        (lambda text: text.replace("held_out = [", "heldout = ["), "heldout"),
        (lambda text: text.split("[align]")[0], "one of start"),
        (lambda text: text.replace("train = [", 'train = {detail=["a"]} #'), "conversation"),
        (lambda text: text + "\n[tune", "no TOML"),
        (lambda text: "[align]" + text.split("[align]")[1], r"no \[data\]"),
        (lambda text: "flavour = 1\n" + text, "flavour"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_with_the_key(
    world: SimpleNamespace, change: Callable[[str], str], said: str
) -> None:
    with pytest.raises(AblationPlanError, match=said):
        world.plan(changed=change)


def test_a_start_without_a_projector_is_refused(world: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    plan = world.plan(changed=lambda text: f'start = "{tmp_path / "empty"}"\n' + text.split("[align]")[0])
    with pytest.raises(LlavaError, match="projector"):
        ablate(plan, tmp_path / "out", world.bases)
