from pathlib import Path

import pytest

from llava_model.kits import Kit, available
from ui.settings import Settings, SettingsError


def write(library: Path, text: str) -> Path:
    library.mkdir(parents=True, exist_ok=True)
    (library / "llavero.toml").write_text(text)
    return library


def test_a_new_library_has_the_defaults_of_the_pocket_kit(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "none", environ={})
    assert (settings.kit, settings.device, settings.milvus_uri) == ("", "auto", "")
    assert settings.rag.generator is None
    assert settings.rag.prompt.instructions == "small"


def test_the_command_line_wins_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    library = write(tmp_path, 'device = "cpu"\nkit = "laptop"\nmilvus_uri = "http://file:19530"')
    environ = {"LLAVERO_DEVICE": "cuda", "LLAVERO_MILVUS_URI": "http://environment:19530"}
    settings = Settings.load(library, environ=environ, device="cuda:1")
    assert (settings.kit, settings.milvus_uri, settings.device) == ("laptop", "http://environment:19530", "cuda:1")


def test_a_generator_named_by_address_keeps_the_rest_of_its_section(tmp_path: Path) -> None:
    library = write(tmp_path, '[generator]\nurl = "http://a:1/v1"\nmodel = "m"\nsees_images = true')
    generator = Settings.load(library, environ={}, generator_url="http://b:2/v1").rag.generator
    assert generator is not None
    assert (generator.url, generator.model, generator.sees_images) == ("http://b:2/v1", "m", True)


def test_a_model_by_address_reads_more_evidence_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    by_address = '[generator]\nurl = "http://a:1/v1"\nmodel = "m"\n'
    prompt = Settings.load(write(tmp_path, by_address), environ={}).rag.prompt
    assert (prompt.instructions, prompt.evidence_tokens) == ("capable", 2000)
    prompt = Settings.load(write(tmp_path, by_address + "[prompt]\nevidence_tokens = 77"), environ={}).rag.prompt
    assert (prompt.instructions, prompt.evidence_tokens) == ("capable", 77)


def test_a_kits_defaults_hold_but_for_what_the_file_says(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, "[prompt]\nevidence_tokens = 77"), environ={})
    defaults = {"prompt": {"max_passages": 6, "evidence_tokens": 220}, "relevance": {"threshold": 0.3}}
    rag = settings.rag_for(defaults)
    assert (rag.prompt.max_passages, rag.prompt.evidence_tokens, rag.relevance.threshold) == (6, 77, 0.3)


def test_a_model_by_address_is_not_asked_as_the_kits_own_would_be(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={}, generator_url="http://a:1/v1", generator_model="m")
    rag = settings.rag_for({"prompt": {"max_passages": 6}, "relevance": {"threshold": 0.3}})
    assert (rag.prompt.max_passages, rag.relevance.threshold) == (0, 0.3)


@pytest.mark.parametrize("kit", available(), ids=lambda kit: kit.name)
def test_every_kits_defaults_are_settings(tmp_path: Path, kit: Kit) -> None:
    Settings.load(tmp_path, environ={}).rag_for(kit.defaults)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kitt = 'pocket'", "'kitt' is not a setting"),
        ("kit = 3", "'kit' must be a text in quotes"),
        ("[retrieval]\ndepht = 3", "[retrieval]: 'depht' is not a setting"),
        ("[retrieval]\ndepth = 0", "depth is 0, it must lie between 1 and 1000"),
        ("[prompt]\nevidence_tokens = 'many'", "[prompt] evidence_tokens"),
        ("retrieval = 3", "[retrieval] must be a section"),
        ("[indexing]\nworkers = 0", "workers must be at least 1, is 0"),
        ('[generator]\nurl = "ftp://x"\nmodel = "m"', "generator url is 'ftp://x'"),
        ("kit = ", "is not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(write(tmp_path, text), environ={})
    assert said in str(caught.value)
    assert str(tmp_path / "llavero.toml") in str(caught.value)


def test_the_librarys_own_section_is_no_setting(tmp_path: Path) -> None:
    assert Settings.load(write(tmp_path, "[library]\nformat = 1\nkit = 'pocket'"), environ={}).kit == ""


def test_a_token_never_shows_when_settings_are_printed(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={"LLAVERO_MILVUS_TOKEN": "root:secret"})
    assert settings.milvus_token == "root:secret"
    assert "secret" not in repr(settings)


def test_the_librarys_file_can_leave_objects_out(tmp_path: Path) -> None:
    assert Settings.load(tmp_path / "none", environ={}).indexing.objects
    assert not Settings.load(write(tmp_path, "[indexing]\nobjects = false"), environ={}).indexing.objects
