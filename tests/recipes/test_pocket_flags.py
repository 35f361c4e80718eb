import json
from pathlib import Path
from xml.etree import ElementTree

from recipes.pocket.emoji import Emoji
from recipes.pocket.flags import countries, drawings

YEMEN = Emoji(characters="\U0001f1fe\U0001f1ea", name="yemen flag", group="country-flag", tags=("flag",))
CAT = Emoji(characters="\U0001f408", name="cat", group="animal", tags=())
WALES = Emoji(characters="\U0001f3f4\U000e0067", name="wales flag", group="subdivision-flag", tags=())


def test_a_country_is_known_by_its_two_letters_and_other_emoji_are_none() -> None:
    assert countries([CAT, YEMEN, WALES]) == {"ye": YEMEN}


def test_each_flag_is_drawn_once_in_its_own_frame_and_strangers_are_left_out(tmp_path: Path) -> None:
    body = '<path d="M0 0h4v3z"/>'
    icons = {"ye-4x3": {"body": body}, "ye-1x1": {"body": body, "width": 512}, "xx-4x3": {"body": body}}
    file = tmp_path / "icons.json"
    file.write_text(json.dumps({"prefix": "flag", "width": 640, "height": 480, "icons": icons}))
    ((name, country, svg),) = drawings(file, {"ye": YEMEN})
    assert (name, country) == ("flag-ye", YEMEN)
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") == "0 0 640 480" and root[0].get("d") == "M0 0h4v3z"
