import sys
from pathlib import Path

import pytest

from ui import launch

UI = Path(launch.__file__).parent


def flags(address: str = "127.0.0.1", **more: object) -> set[str]:
    return set(launch.command(Path("library"), 8501, address, **more))  # type: ignore[arg-type]  # hosts alone


def test_the_page_listens_where_it_is_told_and_tells_nobody_about_it() -> None:
    assert {
        "--server.address=127.0.0.1",
        "--server.port=8501",
        "--server.headless=true",
        "--server.fileWatcherType=none",
        "--server.enableXsrfProtection=true",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
    } <= flags()


def test_names_of_other_sites_are_refused_unless_they_are_given() -> None:
    def allowed(arguments: set[str]) -> set[str]:
        return {argument.partition("=")[2] for argument in arguments if "allowedHosts" in argument}

    assert allowed(flags("0.0.0.0")) == {"localhost", "127.0.0.1", "::1"}
    assert allowed(flags("10.0.0.7")) == {"localhost", "127.0.0.1", "::1", "10.0.0.7"}
    assert "llavero.example" in allowed(flags("0.0.0.0", hosts=["llavero.example"]))


def test_every_flag_is_one_that_streamlit_knows() -> None:
    from streamlit import config

    known = set(config.get_config_options())
    for argument in launch.command(Path("library"), 8501, "127.0.0.1")[5:]:
        assert argument.removeprefix("--").partition("=")[0] in known


def test_the_environment_names_the_library_and_no_hub(tmp_path: Path) -> None:
    variables = launch.environment(tmp_path, {"PATH": "/bin", "OMP_WAIT_POLICY": "ACTIVE"})
    assert variables["LLAVERO_LIBRARY"] == str(tmp_path)
    assert (variables["PATH"], variables["OMP_WAIT_POLICY"], variables["HF_HUB_OFFLINE"]) == ("/bin", "ACTIVE", "1")


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("10.0.0.7", "10.0.0.7")],
)
def test_the_health_address_can_be_asked_from_this_machine(address: str, host: str) -> None:
    assert launch.health_url(8501, address) == f"http://{host}:8501/_stcore/health"


def test_the_theme_file_and_the_flags_do_not_contradict_each_other() -> None:
    import tomllib

    table = tomllib.loads((UI / ".streamlit" / "config.toml").read_text())
    for argument in launch.command(Path("library"), 8501, "127.0.0.1")[5:]:
        section, _, rest = argument.removeprefix("--").partition(".")
        name, _, value = rest.partition("=")
        if name in table.get(section, {}):
            assert str(table[section][name]).lower() == value


def test_no_module_of_the_page_hides_another_package() -> None:
    """Streamlit puts `ui/` first on the path of every import."""
    import importlib.metadata

    others = {"indexing", "rag", "llava_model", "ui", "tests", *sys.stdlib_module_names}
    others |= set(importlib.metadata.packages_distributions())
    own = {path.stem for path in UI.glob("*.py")} - {"__init__"}
    assert own & others == set()


def test_nothing_that_the_page_loads_lies_on_another_server() -> None:
    for path in [*UI.glob("*.css"), *UI.glob("*.svg")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text and "@import" not in text and "url(" not in text
    assert "page_icon=(HERE" in (UI / "app.py").read_text()
