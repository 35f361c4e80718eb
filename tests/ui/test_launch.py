import sys
from pathlib import Path

import pytest

from ui import launch

UI = Path(launch.__file__).parent / "page"


def test_the_command_starts_the_guarded_server_where_it_is_told() -> None:
    python, script, *options = launch.command(Path("library"), 8501, "127.0.0.1")
    assert python == sys.executable and Path(script) == UI / "server.py" and Path(script).is_file()
    assert options == ["--address", "127.0.0.1", "--port", "8501"]


def test_the_page_listens_where_it_is_told_and_tells_nobody_about_it() -> None:
    chosen = launch.settings(8501, "127.0.0.1", ["localhost"])
    assert {
        "server.address": "127.0.0.1",
        "server.port": 8501,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.enableXsrfProtection": True,
        "server.allowedHosts": ["localhost"],
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "127.0.0.1",
        "client.showErrorDetails": "none",
    }.items() <= chosen.items()
    for everywhere in launch.ANY_ADDRESS:
        assert launch.settings(8501, everywhere, [])["browser.serverAddress"] == "localhost"


def test_names_of_other_sites_are_refused_unless_they_are_given() -> None:
    assert launch.hosts("0.0.0.0", {}) == ["localhost", "127.0.0.1", "::1"]
    assert launch.hosts("10.0.0.7", {}) == ["localhost", "127.0.0.1", "::1", "10.0.0.7"]
    given = launch.hosts("::", {launch.HOSTS_VARIABLE: "Llavero.example, [fd00::7],localhost,"})
    assert given == ["localhost", "127.0.0.1", "::1", "llavero.example", "fd00::7"]


def test_every_setting_is_one_that_streamlit_knows() -> None:
    from streamlit import config

    assert set(launch.settings(8501, "127.0.0.1", [])) <= set(config.get_config_options())


def test_the_environment_names_the_library_and_no_hub(tmp_path: Path) -> None:
    users = {"PATH": "/bin", "OMP_WAIT_POLICY": "ACTIVE", "STREAMLIT_SERVER_ENABLE_CORS": "false"}
    variables = launch.environment(tmp_path, users)
    assert variables["LLAVERO_LIBRARY"] == str(tmp_path)
    assert (variables["PATH"], variables["OMP_WAIT_POLICY"], variables["HF_HUB_OFFLINE"]) == ("/bin", "ACTIVE", "1")
    assert not any(name.startswith("STREAMLIT_") for name in variables)


@pytest.mark.parametrize(
    ("address", "host"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("10.0.0.7", "10.0.0.7")],
)
def test_the_health_address_can_be_asked_from_this_machine(address: str, host: str) -> None:
    assert launch.health_url(8501, address) == f"http://{host}:8501/_stcore/health"


def test_the_theme_file_and_the_settings_do_not_contradict_each_other() -> None:
    import tomllib

    table = tomllib.loads((UI / ".streamlit" / "config.toml").read_text())
    for setting, value in launch.settings(8501, "127.0.0.1", []).items():
        section, _, name = setting.partition(".")
        if name in table.get(section, {}):
            assert table[section][name] == value


def test_no_module_of_the_page_hides_another_package() -> None:
    """Streamlit puts `ui/` first on the path of every import."""
    import importlib.metadata

    packages = {path.parent.name for path in UI.parents[1].glob("*/__init__.py")}
    others = {*packages, "tests", *sys.stdlib_module_names}
    others |= set(importlib.metadata.packages_distributions())
    own = {path.stem for path in UI.glob("*.py")} - {"__init__"}
    assert own & others == set()


def test_nothing_that_the_page_loads_lies_on_another_server() -> None:
    for path in [*UI.glob("*.css"), *UI.glob("*.svg")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text and "@import" not in text and "url(" not in text
    assert "page_icon=(HERE" in (UI / "app.py").read_text()
