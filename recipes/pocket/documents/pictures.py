"""Photographs and drawings as a library without a caption knows them: by the labels of an image classifier."""

import random

from recipes.pocket.documents.document import Document
from recipes.pocket.documents.names import coined
from recipes.pocket.documents.values import digits, listed
from recipes.pocket.documents.wordings import Name, ask, parsed

# what people ask for = the labels that a classifier of ImageNet's classes gives it
_SEEN = """
cat = tabby, tiger cat; Persian cat; Siamese cat; Egyptian cat, tabby
dog = golden retriever; beagle; German shepherd; Border collie, collie; dachshund; Labrador retriever
bird = robin; jay, magpie; goldfinch; bulbul; bee eater
horse = sorrel
cow = ox, water buffalo
ship = schooner, yawl; container ship; liner, dock; pirate
sailing boat = yawl, trimaran; catamaran
plane = airliner, wing; warplane
car = sports car, convertible; cab; minivan
bike = mountain bike; tandem bicycle
cup of coffee = espresso, cup; coffee mug
tea = teapot; cup
bread = French loaf; bagel; bakery
fruit = Granny Smith; banana; lemon, orange; strawberry; pomegranate
mushroom = agaric; bolete; hen-of-the-woods
clock = wall clock; analog clock; digital clock
church = church, bell cote; monastery
bridge = suspension bridge; viaduct; steel arch bridge
castle = castle, palace
computer = laptop, notebook; desktop computer, monitor
telephone = dial telephone; cellular telephone; pay-phone
guitar = acoustic guitar; electric guitar
monkey = macaque; capuchin; squirrel monkey
bear = brown bear; American black bear; ice bear; sloth bear
whale = grey whale; killer whale
shark = hammerhead; great white shark; tiger shark
fish = goldfish; lionfish; rock beauty; anemone fish
snake = garter snake; green mamba; king snake
lizard = green lizard; agama; whiptail
frog = tree frog; tailed frog; bullfrog
spider = tarantula; garden spider; wolf spider
butterfly = monarch; cabbage butterfly; ringlet
flower = daisy; yellow lady's slipper
mountain = alp, valley; volcano
beach = seashore, sandbar; lakeside
train = steam locomotive; bullet train; passenger car
truck = trailer truck; pickup; garbage truck
hat = cowboy hat; sombrero; bonnet
shoe = running shoe; Loafer; clog
sofa = studio couch
lamp = table lamp, lampshade; spotlight
boat = canoe; gondola; speedboat; lifeboat
house = boathouse; barn; greenhouse
vegetables = broccoli; cauliflower; cucumber, zucchini; bell pepper
owl = great grey owl
duck = drake, goose
penguin = king penguin
panda = giant panda; lesser panda
wild cat = lynx; leopard, jaguar; cheetah
deer = impala, gazelle; hartebeest
"""
PLAIN = listed("""
    koala|zebra|lion|tiger|elephant|camel|llama|hedgehog|beaver|otter|badger|hippopotamus|bison|kite|ostrich|
    peacock|flamingo|toucan|macaw|hen|crane|pelican|jellyfish|starfish|snail|lobster|hermit crab|bee|ladybug|
    dragonfly|scorpion|accordion|cello|drum|flute|harp|trombone|violin|balloon|barrel|basketball|bathtub|beacon|
    binoculars|birdhouse|bookcase|broom|bucket|candle|cannon|carousel|chain saw|corkscrew|crib|envelope|fountain|
    frying pan|gasmask|hammer|hourglass|iron|jigsaw puzzle|lawn mower|lighter|mailbox|microphone|microscope|
    mousetrap|nail|padlock|paintbrush|parachute|piano|pinwheel|plow|pretzel|quilt|refrigerator|rocking chair|safe|
    saxophone|screwdriver|sewing machine|shovel|snowmobile|sundial|sunglasses|swing|thimble|toaster|tractor|tripod|
    trophy|typewriter|umbrella|unicycle|vase|vending machine|wallet|whistle|windmill|wooden spoon|yurt|ice cream|
    pizza|pineapple|artichoke|corn|acorn|rugby ball|ski|tent|totem pole
""")
SEEN = tuple(
    (asked.strip(), tuple(label.strip() for label in labels.split(";")))
    for asked, labels in (row.split("=") for row in _SEEN.strip().splitlines())
)

(_WORDING,) = parsed("""
    label
    ? Is there a <kind> of <thing>? Do we have a <kind> of <thing>? Which <kind> shows <thing>?
    ? Where is the <kind> of the <name>? Have we got <thing> in the collection? Which file has the <name>?
    ? In which <kind> can one see <thing>? Can you find a <kind> with <thing>?
    ~ Show me the <name>
    ~ Show me a <kind> of <thing>
    ~ <kind> of <thing>
    ~ I am looking for a <kind> of <thing>
    = The picture {file} shows <shown>.
    + And <thing>?
""")


def picture(draw: random.Random) -> Document:
    """A picture file with labels, and the ways to ask for what it shows."""
    if draw.random() < 0.5:
        asked, variants = draw.choice(SEEN)
        labels = tuple(label.strip() for label in draw.choice(variants).split(","))
    else:
        asked = draw.choice(PLAIN)
        labels = (asked, *draw.sample(PLAIN, draw.choice([0, 0, 1, 2])))
    shown = next((label for label in labels if asked.lower() in label.lower()), labels[0])
    kind = draw.choice(["photo", "picture", "picture", "drawing", "photograph", "image"])
    names = {"kind": Name(kind), "thing": Name(_one(asked)), "name": Name(asked), "shown": Name(_one(shown))}
    question = ask(draw, _WORDING, names)
    return Document(kind="picture", name=_file_name(draw), blocks=(), asks=(question,), labels=labels, shows=shown)


def _one(thing: str) -> str:
    if thing[0].isupper() or thing.endswith("s") or thing in ("bread", "tea", "corn", "fruit"):
        return thing
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _file_name(draw: random.Random) -> str:
    word, number = coined(draw).lower(), draw.randint(1, 99)
    camera = draw.choice([f"IMG_{digits(draw, 4)}", f"DSC{digits(draw, 5)}", f"P10{digits(draw, 5)}"])
    worded = draw.choice([f"{word}-{number:02}", f"{word}-{coined(draw).lower()}", f"the {word} album {number}"])
    counted = draw.choice([f"trip-{number}", f"{word}_{number}", f"stamp-{number:02}", f"scan {number}"])
    stem = draw.choice([camera, worded, counted])
    return stem + draw.choice([".jpg", ".jpg", ".png", ".webp", ".gif", ".bmp", ".tif"])
