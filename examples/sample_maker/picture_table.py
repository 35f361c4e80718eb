"""Photographs and drawings by others: where each comes from, who gave it away, and how large it is here.

The originals lie inside packages of ordinary registries, unpacked side by side into one folder:

    scikit-image/   the wheel of scikit-image 0.26.0
    scipy/          the wheel of scipy 1.9.3 (the last series that carries the raccoon)
    gcompris/       Debian's gcompris-qt-data 3.1-2, its .rcc resources unpacked; each folder's README
                    names author, source and licence of every file
    openclipart/    Debian's openclipart-png 1:0.18+dfsg-19

Only files that their package declares CC0 or public domain are taken.
"""

from dataclasses import dataclass
from typing import Literal

COMMONS = "https://commons.wikimedia.org/wiki/File:"
ANIMALS = "gcompris/src/activities/explore_world_animals/resource/animals/"
FARM = "gcompris/src/activities/explore_farm_animals/resource/animals/"
ERASE = "gcompris/src/activities/erase/resource/"
SORTING = "gcompris/src/activities/categorization/resource/images/"
MONUMENTS = "gcompris/src/activities/explore_monuments/resource/"
CLIPART = "openclipart/usr/share/openclipart/png/"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of the collection and its origin."""

    name: str  # in the collection; the extension decides the format
    origin: str  # in the folder of unpacked packages
    shows: str
    author: str
    licence: Literal["CC0 1.0", "public domain"]
    source: str  # where the package says it is from
    longest: int = 900  # pixels
    quality: int = 80  # JPEG and WebP
    turned: bool = False  # stored on its side, with an EXIF flag that says so


@dataclass(frozen=True, kw_only=True)
class Drawing(Picture):
    """A drawing on white, cropped to what is drawn and given an even margin."""

    longest: int = 700
    transparent: bool = False
    colours: int = 64


def _photo(name: str, origin: str, shows: str, author: str, licence: str, source: str, **more: object) -> Picture:
    is_file_name = "/" not in source and source.lower().endswith((".jpg", ".jpeg"))
    source = COMMONS + source if is_file_name else source
    return Picture(name=name, origin=origin, shows=shows, author=author, licence=licence, source=source, **more)


def _drawing(name: str, origin: str, shows: str, **more: object) -> Drawing:
    return Drawing(
        name=name,
        origin=CLIPART + origin,
        shows=shows,
        author="contributor to the Open Clip Art Library",
        licence="public domain",
        source="http://www.openclipart.org",
        **more,
    )


SKIMAGE = "the docstrings of skimage/data/_fetchers.py"

PHOTOGRAPHS: tuple[Picture, ...] = (
    _photo(
        "photos/museum/pilot-the-cat-at-the-ticket-desk.jpg",
        "scikit-image/skimage/data/chelsea.png",
        "A tabby cat looking at the camera",
        "Stefan van der Walt",
        "CC0 1.0",
        SKIMAGE,
        quality=88,
    ),
    _photo(
        "photos/museum/IMG_2041.jpg",
        "scikit-image/skimage/data/coffee.png",
        "A cup of espresso with a spoon on a wooden table",
        "Rachel Michetti",
        "CC0 1.0",
        SKIMAGE,
        quality=88,
    ),
    _photo(
        "photos/museum/photographer on the mole.jpg",
        "scikit-image/skimage/data/camera.png",
        "A photographer behind a camera on a tripod, black and white",
        "Lav Varshney",
        "CC0 1.0",
        SKIMAGE,
        quality=85,
    ),
    _photo(
        "photos/museum/night-watch-dog.jpg",
        FARM + "dog.webp",
        "A German shepherd standing in the grass",
        "Hans Kemperman",
        "public domain",
        "German-shepherd-4040871920._(2).jpg",
        longest=800,
        quality=72,
    ),
    _photo(
        "photos/museum/IMG_2077.jpg",
        FARM + "chicken.webp",
        "Four brown hens on a lawn",
        "Tranquilles",
        "public domain",
        "Chickens_at_Tranquilles_B%26B.JPG",
        longest=760,
        quality=74,
    ),
    _photo(
        "photos/talks/P1030277.jpg",
        "scikit-image/skimage/data/rocket.jpg",
        "A rocket on its launch pad at dusk",
        "SpaceX",
        "public domain",
        "https://www.flickr.com/photos/spacexphotos/16511594820/",
        quality=86,
    ),
    _photo(
        "photos/talks/earth-from-apollo-17.png",
        "gcompris/src/activities/solar_system/resource/earth.webp",
        "The whole earth seen from space",
        "NASA, crew of Apollo 17",
        "public domain",
        COMMONS + "The_Blue_Marble.jpg",
        longest=420,
    ),
    _photo(
        "photos/far-shores/far-shores-01.jpg",
        ANIMALS + "polar_bear.webp",
        "A polar bear walking over snow",
        "anonymous",
        "public domain",
        "Churchill_Wildlife_Management_Area_polar_bear30.JPG",
        longest=800,
        quality=74,
    ),
    _photo(
        "photos/far-shores/far-shores-02.jpg",
        ANIMALS + "koala.webp",
        "A koala in the fork of a tree",
        "BurningWell",
        "public domain",
        "Koala_Perth_Zoo.jpg",
        longest=860,
        quality=76,
        turned=True,
    ),
    _photo(
        "photos/far-shores/far-shores-03.webp",
        ANIMALS + "scarlet_macaw.webp",
        "A scarlet macaw",
        "Dcoetzee",
        "CC0 1.0",
        "Scarlet_macaw_at_Cougar_Mountain_Zoological_Park.jpg",
        quality=80,
    ),
    _photo(
        "photos/far-shores/far-shores-04.webp",
        ANIMALS + "panda.webp",
        "A giant panda sitting on a rock",
        "Jeff Kubina",
        "public domain",
        "Giant_Panda_2004-03-2.jpg",
        quality=80,
    ),
    _photo(
        "photos/far-shores/far-shores-05.jpg",
        ERASE + "red_panda.webp",
        "A red panda on a branch",
        "Mathias Appel",
        "CC0 1.0",
        "Red_Panda_(30324056733).jpg",
        longest=960,
        quality=76,
    ),
    _photo(
        "photos/far-shores/far-shores-06.webp",
        ANIMALS + "lemur.webp",
        "Two ring-tailed lemurs on a log",
        "Mathias Appel",
        "CC0 1.0",
        "Lemur_(37122852696).jpg",
        quality=78,
    ),
    _photo(
        "photos/far-shores/far-shores-07.jpg",
        ANIMALS + "dragon.webp",
        "A Komodo dragon lying on rock",
        "TimVickers",
        "public domain",
        "Varanus_komodoensis_(5).jpg",
        longest=860,
        quality=76,
    ),
    _photo(
        "photos/far-shores/far-shores-08.jpg",
        "scipy/scipy/misc/face.dat",
        "A raccoon between leaves",
        "public-domain-image.com",
        "public domain",
        "http://www.public-domain-image.com (raccoon-procyon-lotor.jpg), after the docstring of scipy.misc.face",
        longest=800,
        quality=72,
    ),
    _photo(
        "photos/far-shores/far-shores-09.jpg",
        ANIMALS + "bison.webp",
        "A bison grazing in high grass",
        "Kurt Kaiser",
        "CC0 1.0",
        "American_Bison_9.jpg",
        longest=700,
        quality=68,
    ),
    _photo(
        "photos/shore/on-the-slipway.jpg",
        ERASE + "crab.webp",
        "A red and blue crab seen from the front",
        "Nosferattus",
        "CC0 1.0",
        "Sally_Lightfoot_Crab_2019.jpg",
        longest=960,
        quality=74,
    ),
    _photo(
        "photos/shore/mill-brook-bird.jpg",
        ERASE + "kingfisher.webp",
        "A kingfisher on a mossy branch",
        "Frank-2.0",
        "CC0 1.0",
        "Eisvogel_kingfisher.jpg",
        longest=960,
        quality=80,
    ),
    _photo(
        "photos/aquarium/tank-3.png",
        SORTING + "fishes/fish9.webp",
        "A clownfish among the arms of a sea anemone",
        "Jan Derk",
        "public domain",
        "Common_clownfish.jpg",
        longest=320,
    ),
    _photo(
        "photos/aquarium/tank-5.jpg",
        SORTING + "fishes/fish28.webp",
        "A spotted puffer fish",
        "Bernard Spragg",
        "CC0 1.0",
        "Spotted_Puffer_Fish._(13421084473).jpg",
        longest=320,
        quality=90,
    ),
    _photo(
        "photos/aquarium/big-basin.webp",
        "gcompris/src/activities/clickgame/resource/sea4.webp",
        "A coral like a white bush in green water",
        "Pseudopanax",
        "public domain",
        "Black_coral_at_Milford_Sound_Underwater_Observatory.jpg",
        longest=960,
        quality=72,
    ),
    _photo(
        "photos/excursions/day-1-the-citadel.jpg",
        MONUMENTS + "france/citedeCarcassonne.webp",
        "A castle with towers and walls (Carcassonne)",
        "Petitemontagnedujura",
        "public domain",
        "Carcassonne_-_la_Cit%C3%A9.jpg",
        longest=820,
        quality=70,
    ),
    _photo(
        "photos/excursions/day-2.jpg",
        MONUMENTS + "france/pontduGard.webp",
        "An aqueduct of three rows of arches (Pont du Gard)",
        "Mimova",
        "public domain",
        "Pontdugard.jpg",
        longest=820,
        quality=72,
    ),
    _photo(
        "photos/workshop/tool-inventory-014.bmp",
        SORTING + "tools/hammer1.webp",
        "A hammer on a blue cloth",
        "Marina Shemesh",
        "CC0 1.0",
        "https://publicdomainpictures.net/en/view-image.php?image=134245&picture=single-hammer",
        longest=320,
    ),
    _photo(
        "photos/workshop/galley-inventory-031.tif",
        SORTING + "others/pan.webp",
        "A cast-iron frying pan",
        "Suricata",
        "public domain",
        "Pfanne_(Gusseisen).jpg",
        longest=320,
        quality=85,
    ),
)

DRAWINGS: tuple[Drawing, ...] = (
    _drawing(
        "drawings/lighthouse-red-and-white.png",
        "transportation/lighthouse_matthew_gates_.png",
        "A lighthouse with red and white bands",
        transparent=True,
        colours=128,
    ),
    _drawing(
        "drawings/boat-halcyon-rose.png",
        "transportation/boating/boat_jarno_vasamaa1.png",
        "A schooner under sail",
        colours=128,
    ),
    _drawing("drawings/anchor.gif", "transportation/anchor.png", "An anchor", colours=16),
    _drawing(
        "drawings/knots-for-beginners.gif",
        "transportation/boating/knot_bowline.png",
        "A bowline tied in three steps",
        colours=16,
    ),
    _drawing(
        "drawings/stamp-01.png",
        "animals/emperor_penguin_ralf_ste_01.png",
        "An emperor penguin",
        colours=128,
    ),
    _drawing("drawings/stamp-02.png", "animals/orca_matthew_gates_r.png", "An orca"),
    _drawing("drawings/spyglass-on-its-stand.png", "tools/telescope_01.png", "A telescope on a tripod"),
    _drawing(
        "drawings/shop-sign-lens.png",
        "tools/magnifing_glass_gino_riv_01.png",
        "A magnifying glass",
        longest=420,
    ),
    _drawing(
        "drawings/cask.webp",
        "buildings/furniture/wooden_barrel_petri_lumm_01.png",
        "A wooden barrel",
        longest=520,
    ),
    _drawing(
        "drawings/band-poster-1.png",
        "recreation/music/french_horn_ganson.png",
        "A French horn",
        colours=32,
        longest=600,
    ),
    _drawing("drawings/band-poster-2.png", "recreation/music/harp2_ganson.png", "A harp", colours=32, longest=600),
    _drawing(
        "drawings/band-poster-3.png",
        "recreation/music/guitar_jarno_vasamaa1.png",
        "An acoustic guitar",
        colours=64,
        longest=640,
    ),
    _drawing(
        "drawings/regatta-day-sky.png",
        "transportation/pallone_aerestatico_arch_01.png",
        "A hot-air balloon in red and yellow",
        longest=480,
    ),
    _drawing(
        "drawings/jam-label.webp",
        "food/fruit/strawberry.png",
        "A strawberry",
        longest=480,
    ),
)

PICTURES: tuple[Picture, ...] = PHOTOGRAPHS + DRAWINGS
