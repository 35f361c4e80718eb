"""Names of people, companies, streets and goods: put together from pieces, so that few come twice.

Nothing here is taken from the test corpus; a model must learn to copy names, not to know them.
"""

import random
from dataclasses import dataclass

from recipes.pocket.documents.values import listed, words

_ONSETS = words("""
    b br c ch cl d dr f fl g gr h j k kr l m n p pr qu r s sh st t th tr v w y z
""")
_NUCLEI = ["a", "e", "i", "o", "u", "ai", "ea", "ei", "ia", "oo", "ou"]
_CODAS = ["", "", "", "l", "m", "n", "r", "s", "t", "nd", "ng", "ck", "x", "rt"]

_FIRST = words("""
    Amara Anton Beatriz Benedikt Camila Chandra Daria Dmitri Edda Emil Farah Felix Greta Hakim Hanna Ibrahim Ines
    Ingrid Ivan Jalil Jasmin Jonas Julia Kamal Karin Kenji Laila Leon Lucia Mahmud Mai Marco Marta Mei Mikael
    Nadia Nils Nora Olga Omar Oskar Paula Pedro Priya Rafael Rahim Ravi Rosa Samuel Sara Selma Siti Sofia Tariq
    Teresa Thea Tomas Uma Vera Viktor Wei Wen Yara Yusuf Zainab Zora Aaron Alice Brian Carol Dennis Ellen Frank
    Grace Henry Irene Jack Karen Linda Martin Nancy Oliver Peter Quentin Rachel Steven Tina Ursula Victor Walter
""")
_LAST = words("""
    Abdullah Adler Almeida Andersen Aziz Baker Barros Becker Blanco Bose Brandt Castro Chan Chong Cohen Costa Dahl
    Diaz Dorn Eriksen Falk Ferrer Fischer Foo Garcia Goh Gomes Grant Gupta Haas Hansen Hashim Heng Hoffmann Holt
    Hussein Ibarra Ismail Jansen Jimenez Kaur Keller Khan Klein Kowal Krause Kumar Lam Larsen Lau Leong Lopez Lowe
    Maier Marsh Mendez Menon Meyer Mohamad Moreno Nair Navarro Ng Nielsen Novak Olsen Ong Ortega Osman Park Patel
    Perez Petersen Quist Rahman Ramos Rao Reyes Ritter Rossi Ruiz Salleh Sanchez Sato Schmidt Silva Singh Sommer
    Soto Stone Tan Teoh Torres Vega Vogel Wagner Walsh Weber Wong Yap Yeo Zimmer Hughes Palmer Foster Doyle Barker
    Whitfield Carver Langley Prescott
""")
_MALAY = words("""
    Mutiara Seri Sinar Maju Jaya Bestari Cahaya Damai Harmoni Indah Kasih Mesra Murni Permata Sentosa Setia Suria
    Tenaga Warisan Utama Aman Bayu Delima Gemilang Intan
""")
_PINYIN = words("""
    Tian Fu Hong Lai Xing Wang Sheng Kee Yuen Kiat Ming Long Seng Heng Chuan Guan Hock Joo Lian Mei Nam Poh Soon
    Thye Wah Yong Chin Fatt
""")
_TOWNS = listed("""
    Bandar Rimba|Kampung Lereng|Port Ellery|Northbrook|Altmark am See|Valdeoro|Taman Kencana|Westerham Bay|Neustein|
    Puerto Llano|Bukit Selasih|Kirkholme|Oberfeld|Santa Vega|Lembah Hijau|Marlow Cross|Granitz|Villaseca|
    Pekan Baharu|Eastwick
""")
GOODS = listed("""
    Nasi Lemak|Teh Tarik|Mee Goreng|Ikan Bakar|Roti Canai|Kopi O|Milo Ais|Ayam Masak Merah|Fried Rice|Spring Roll|
    Wonton Soup|Green Tea|Egg Tart|Fish Ball Noodle|White Paint 5L|Steel Screw M6|Sand Paper P120|PVC Pipe 20mm|
    Light Bulb LED 9W|Extension Cord 3m|Masking Tape|Paint Brush 2in|Door Hinge|Cable Tie 100pcs|A4 Paper 80gsm|
    Ball Pen Blue|Ring Binder|Glue Stick|Sticky Notes|Stapler No.10|Exercise Book|Whole Milk 1L|Brown Bread|
    Butter 250g|Tomatoes|Bananas 1kg|Olive Oil|Cheddar 200g|Eggs 12|Orange Juice|Mineral Water|Shampoo 400ml|
    Toothpaste|Hand Soap|Dish Cloth|Batteries AA 4|Petrol RON95|Diesel|Engine Oil 1L|Car Wash|Tyre 205/55|
    Wiper Blade|Cappuccino|Latte Macchiato|Blueberry Muffin|Club Sandwich|Caesar Salad|Pizza Margherita|Brezel|
    Vollkornbrot|Apfelstrudel|Currywurst|Mineralwasser|Jamón Serrano|Tortilla|Café con leche|Gazpacho|
    Queso manchego|Aceite de oliva|Desk Lamp|Office Chair|USB Cable|Mouse Pad|Keyboard|Monitor Stand|Garden Hose|
    Flower Pot|Potting Soil|Rose Seeds|Wool Scarf|Leather Belt|Running Socks|Rain Jacket|Cough Syrup|Plaster 20s|
    Vitamin C|Face Mask 50|Notebook A5|Calendar|Map of the Region|Candle|Gift Wrap
""")
SERVICES = listed("""
    Repair of the roof|Cleaning of windows|Painting of the stairwell|Consulting, half day|
    Translation of the catalogue|Annual licence|Web hosting|Inspection of the lift|Garden care|
    Transport and assembly|Electrical installation|Graphic design|Training for staff|Bookkeeping|
    Printing of leaflets|Rental of scaffolding|Waste removal|Survey of the site|Data backup|Photography|
    Catering for the reception|Security guard|Chimney sweeping
""")
MACHINES = listed("""
    dishwasher|bread maker|lawn mower|heat pump|sewing machine|coffee grinder|air purifier|label printer|
    pressure cooker|drill press|water heater|projector|hedge trimmer|vacuum cleaner|dehumidifier|laminator|
    chain saw|pool pump|floor polisher|electric kettle|ice machine|paper shredder|scanner|treadmill|solar inverter|
    garage door|meat slicer
""")

_TRADES = {
    "malay": (
        "Kedai Runcit", "Restoran", "Pasar Mini", "Klinik", "Bengkel Kereta", "Butik", "Perniagaan", "Stesen Minyak",
        "Kedai Buku", "Farmasi", "Dobi",
    ),
    "chinese": (
        "Restaurant", "Hardware", "Stationery", "Trading", "Bakery", "Kopitiam", "Electrical", "Auto Parts",
        "Seafood", "Optical", "Medical Hall",
    ),
    "english": (
        "Hardware", "Books", "Tools", "Bakery", "Garden Centre", "Pharmacy", "Stationers", "Motors", "Coffee House",
        "Foods", "Plumbing", "Supplies", "Interiors", "Cycles", "Outdoor", "Lighting",
    ),
    "spanish": (
        "Panadería", "Ferretería", "Librería", "Cafetería", "Farmacia", "Restaurante", "Taller", "Frutería",
        "Papelería", "Talleres", "Pescadería",
    ),
    "german": (
        "Bäckerei", "Eisenwaren", "Buchhandlung", "Metzgerei", "Gärtnerei", "Apotheke", "Gasthof", "Autohaus",
        "Elektro", "Schreibwaren", "Bürobedarf",
    ),
}  # fmt: skip
_FORMS = {
    "malay": ("Sdn Bhd", "Sdn. Bhd.", "Enterprise", "Trading", "(M) Sdn Bhd", "Sdn Bhd"),
    "chinese": ("Sdn Bhd", "Enterprise", "Trading", "& Co", "Sdn Bhd", ""),
    "english": ("Ltd", "Inc.", "LLC", "& Sons", "Co.", "", "Group", "Limited"),
    "spanish": ("S.L.", "S.A.", "", "e Hijos", "S.L.U."),
    "german": ("GmbH", "e.K.", "OHG", "KG", "", "GmbH & Co. KG", "AG"),
    "coined": ("GmbH", "Ltd", "Inc.", "S.A.", "Systems", "Services", ""),
}  # fmt: skip
_STREETS = {
    "malay": (
        "Jalan {name} {n}/{m}", "No. {n}, Jalan {name}", "Lot {n}, Lorong {name} {m}", "{n} & {m}, Jalan {name}",
    ),
    "english": ("{n} {name} Street", "{n} {name} Road", "{n} {name} Lane", "Unit {m}, {n} {name} Avenue"),
    "spanish": ("Calle {name} {n}", "Avenida de {name}, {n}", "Plaza {name} {m}", "C/ {name}, {n}"),
    "german": ("{name}straße {n}", "{name}weg {n}", "Am {name} {m}", "{name}gasse {n}"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Company:
    """A shop or firm: its full name, what people call it, and the manner of its country."""

    name: str
    short: str
    style: str


def coined(draw: random.Random, syllables: int = 2) -> str:
    """A name that nobody has: "Trandea", "Koushil"."""
    made = "".join(draw.choice(_ONSETS) + draw.choice(_NUCLEI) + draw.choice(_CODAS) for _ in range(syllables))
    return made.capitalize()


def person(draw: random.Random) -> str:
    """First and last name, now and then a coined one."""
    last = coined(draw) if draw.random() < 0.2 else draw.choice(_LAST)
    return f"{draw.choice(_FIRST)} {last}"


def town(draw: random.Random) -> str:
    """A made-up town."""
    return draw.choice(_TOWNS) if draw.random() < 0.7 else coined(draw)


def company(draw: random.Random, style: str = "") -> Company:
    """A firm of one of the styles: malay, chinese, english, spanish, german, coined."""
    style = (
        style
        or draw.choices(["malay", "chinese", "english", "spanish", "german", "coined"], [25, 20, 25, 8, 12, 10])[0]
    )
    own = _own_name(draw, style)
    form = draw.choice(_FORMS[style])
    if style == "coined":
        short = own
    else:
        trade = draw.choice(_TRADES[style])
        before = style in ("malay", "spanish", "german")
        short = f"{trade} {own}" if before else f"{own} {trade}"
    name = f"{short} {form}".strip()
    if draw.random() < 0.08:
        name += f" ({town(draw)})"
    return Company(name, short, style)


def _own_name(draw: random.Random, style: str) -> str:
    if style == "malay":
        return " ".join(draw.sample(_MALAY, draw.choice([1, 2, 2])))
    if style == "chinese":
        return " ".join(draw.sample(_PINYIN, draw.choice([2, 2, 3])))
    if style == "coined" or draw.random() < 0.45:
        return coined(draw, draw.choice([2, 2, 3]))
    if draw.random() < 0.25:
        first, second = draw.sample(_LAST, 2)
        return f"{first} & {second}"
    return draw.choice(_LAST)


def street(draw: random.Random, style: str) -> str:
    """A street with a number in the manner of the country."""
    manner = {"chinese": "malay", "coined": "english"}.get(style, style)
    name = draw.choice(_MALAY) if manner == "malay" else coined(draw)
    pattern = draw.choice(_STREETS[manner])
    return pattern.format(name=name, n=draw.randint(1, 240), m=draw.randint(1, 19))
