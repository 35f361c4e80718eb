from ui.cli.terminal import hit_line
from ui.documents import duplicates


def file(path: str, content: str, *near: str) -> dict[str, object]:
    return {"path": path, "content": content, "near": list(near)}


def test_equal_files_and_their_near_duplicates_are_one_group() -> None:
    files = [
        file("/a.jpg", "1", "/b.jpg"),
        file("/b.jpg", "2", "/a.jpg", "/c.jpg"),
        file("/c.jpg", "3", "/b.jpg"),
        file("/copy of c.jpg", "3", "/b.jpg"),
        file("/other.jpg", "4"),
        file("/broken.jpg", ""),
        file("/broken too.jpg", ""),
    ]
    groups = [[each["path"] for each in group] for group in duplicates(files)]
    assert groups == [["/a.jpg", "/b.jpg", "/c.jpg", "/copy of c.jpg"]]


def test_a_near_duplicate_outside_of_what_was_chosen_is_left_out() -> None:
    assert duplicates([file("/a.jpg", "1", "/elsewhere/b.jpg")]) == []


def test_a_hit_names_the_pictures_that_are_nearly_the_same_and_counts_the_rest() -> None:
    paths = [f"/holiday/IMG ({number}).jpg" for number in range(7)]
    hit = {
        "path": "/a.jpg",
        "page": None,
        "heading": "",
        "kind": "image",
        "channels": {},
        "text": "",
        "doubtful": [],
        "near": paths,
    }
    lines = hit_line(1, hit).split("\n")
    assert lines[1].strip().startswith("also: ")
    assert "IMG (0).jpg" in lines[1]
    assert len(lines) == 7
    assert lines[-1].strip() == "also: 2 more"
