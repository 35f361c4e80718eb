"""The operating manual of the museum's espresso machine: six pages in two columns, with tables and figures."""

from pathlib import Path

from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, FrameBreak, NextPageTemplate, PageTemplate, Paragraph

from sample_maker.fonts import register_lato
from sample_maker.manual_figures import counter, group_in_section, machine, pressure_curve, water_circuit
from sample_maker.manual_layout import (
    BODY,
    COPPER,
    HEADING,
    HEIGHT,
    MARGIN,
    PETROL,
    WIDTH,
    RuledLines,
    columns,
    figure,
    footer,
    later_page,
    section,
    steps,
    table,
    text,
)

NAME = "documents/zefira-duo-manual.pdf"


def write(collection: Path, fonts: Path) -> None:
    """Write the manual; `fonts` is a folder with Debian's fonts-lato somewhere below."""
    register_lato(fonts)
    target = collection / NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    document = BaseDocTemplate(
        str(target),
        pagesize=(WIDTH, HEIGHT),
        invariant=1,
        title="Zefira Duo, operating manual",
        author="Zefira Macchine",
        subject="Two-group espresso machine, model ZD-2",
        lang="en",
    )
    document.addPageTemplates(
        [
            PageTemplate("first", columns(top=HEIGHT - 128 * mm), onPage=_first_page),
            PageTemplate("later", columns(top=HEIGHT - 24 * mm), onPage=later_page),
        ]
    )
    document.build([NextPageTemplate("later"), *_story()])


def _first_page(canvas: Canvas, _: BaseDocTemplate) -> None:
    canvas.setFillColor(PETROL)
    canvas.rect(0, HEIGHT - 118 * mm, WIDTH, 118 * mm, stroke=0, fill=1)
    canvas.setFillColor(COPPER)
    canvas.rect(0, HEIGHT - 120 * mm, WIDTH, 2 * mm, stroke=0, fill=1)
    canvas.setFillColor(colors.white)
    canvas.setFont("Lato-Bold", 40)
    canvas.drawString(MARGIN, HEIGHT - 34 * mm, "Zefira Duo")
    canvas.setFont("Lato", 14)
    canvas.drawString(MARGIN, HEIGHT - 43 * mm, "Two-group espresso machine, model ZD-2")
    canvas.drawString(MARGIN, HEIGHT - 50 * mm, "Operating manual, edition 4")
    canvas.setFont("Lato", 9.5)
    canvas.drawString(MARGIN, HEIGHT - 111 * mm, "Zefira Macchine · Via del Porto 18 · Portoscuro")
    canvas.saveState()
    canvas.translate(WIDTH - MARGIN - 96 * mm, HEIGHT - 108 * mm)
    front = machine(labelled=False)
    front.scale(1.22, 1.22)
    front.drawOn(canvas, 0, 0)
    canvas.restoreState()
    footer(canvas)


def _story() -> list[Flowable]:
    story: list[Flowable] = []
    for part in (
        _contents,
        _safety,
        _overview,
        _technical_data,
        _installation,
        _first_start,
        _espresso,
        _steam,
        _drinks,
        _cleaning,
        _menu,
        _maintenance,
        _errors,
        _trouble,
        _storing,
        _spare_parts,
        _warranty,
        _notes,
    ):
        story += part()
    return story


def _contents() -> list[Flowable]:
    titles = (
        "Safety", "The machine", "Technical data", "Setting up", "Switching on", "Making espresso", "Steaming milk",
        "Drinks and their measures", "Cleaning", "The menus", "Maintenance intervals", "Error codes",
        "Trouble without a code", "Storing the machine", "Spare parts", "Guarantee and service",
    )  # fmt: skip
    lines = "<br/>".join(f'<font name="Lato-Bold" color="#b5622d">{n}</font>  {t}' for n, t in enumerate(titles, 1))
    return [Paragraph("Contents", HEADING), Paragraph(lines, BODY)]


def _safety() -> list[Flowable]:
    return section(
        "1 Safety",
        *text(
            "Read this manual before the machine is connected, and keep it where the person at the machine can reach "
            "it. The Zefira Duo makes steam at 1.3 bar and water close to boiling: the groups, the steam wands and the "
            "cup tray burn the skin.",
            "The machine may be opened by a trained technician only. Before any cover is taken off, the main switch "
            "goes to 0, the plug is pulled, and the boiler cools for at least two hours.",
            "Children under 14 do not work at the machine. Never clean it with a water jet, never set it up in the "
            "open, and never block the grating on its back.",
            "<b>In an emergency</b> press the red knob under the drip tray. It cuts the heating and the pump at once. "
            "The water valve on the wall has to be closed by hand.",
        ),
    )


def _overview() -> list[Flowable]:
    return [
        *section(
            "2 The machine",
            *text(
                "The Duo has two brewing groups with a boiler of their own each, and one large boiler for steam and "
                "tea water. The three are heated and regulated apart from each other, so that steaming milk does not "
                "cool the coffee.",
                "A group is ready when its light is green. Both groups may be used at the same time, and with both "
                "wands open the machine makes about 120 cups in an hour.",
            ),
        ),
        figure(
            machine(labelled=True),
            "Figure 1: Front view. 1 cup tray, 2 display, 3 brewing groups, 4 portafilters, 5 steam wands, 6 tea "
            "water tap, 7 drip tray, 8 emergency knob.",
        ),
        *text(
            "The display shows the temperature of both groups, the pressure of the steam boiler, the seconds of the "
            "running shot and, when something is wrong, an error code (section 12).",
        ),
    ]


def _technical_data() -> list[Flowable]:
    return section(
        "3 Technical data",
        table(
            "Table 1: Technical data of the model ZD-2.",
            ("Property", "Value"),
            (
                ("Width × depth × height", "780 × 560 × 510 mm"),
                ("Weight, empty", "62 kg"),
                ("Supply", "230 V, 50 Hz, one phase"),
                ("Power", "4,300 W"),
                ("Fuse", "20 A, slow"),
                ("Steam boiler", "8.5 litres, copper"),
                ("Group boilers", "2 × 0.7 litres, steel"),
                ("Pump pressure", "9 bar"),
                ("Water supply", "2 to 4 bar, cold"),
                ("Water hardness", "60 to 90 mg/l"),
                ("Noise", "58 dB(A)"),
                ("Room temperature", "5 to 35 °C"),
            ),
            (0.5, 0.5),
        ),
        *text(
            "Where the mains deliver more than 4 bar, a pressure reducer has to be fitted. A water softener is needed "
            "above 90 mg/l; without it the guarantee ends."
        ),
    )


def _installation() -> list[Flowable]:
    return [
        *section(
            "4 Setting up",
            *text(
                "The counter must be level, dry and able to carry 120 kg. Leave 15 cm behind the machine and 40 cm "
                "above the cup tray. Two people lift it, one at each end, never by the steam wands."
            ),
        ),
        figure(counter(), "Figure 2: Room needed on the counter, seen from the side. All lengths in centimetres."),
        steps(
            "Lay the drain hose with a steady slope of at least two centimetres on a metre.",
            "Rinse the new water hose for five minutes into a bucket before it is connected. What comes first tastes "
            "of rubber.",
            "Fit the softener between the wall valve and the machine, its arrow pointing to the machine.",
            "Connect the mains. The machine has no extension lead and must not get one.",
        ),
        figure(
            water_circuit(),
            "Figure 3: Water circuit. Cold water (blue) passes the softener and the pump and reaches the two group "
            "boilers through flow meters; the steam boiler (red) is filled by its own valve.",
        ),
        *text(
            "Open the valve and look at every joint with a dry paper towel. A drop today is a puddle on Sunday.",
            "The flow meters count the water of each shot in half millilitres. They are the most delicate parts of "
            "the machine and do not forgive hard water.",
        ),
    ]


def _first_start() -> list[Flowable]:
    return [
        *section("5 Switching on", *text("Open the wall valve first, and only then turn the main switch.")),
        steps(
            "Turn the switch to 1. The pump fills the boilers for about ninety seconds.",
            "Turn it to 2 when the display says <b>FULL</b>. Now the heating works.",
            "Let the machine warm up for 25 minutes, with the portafilters locked in. The display says READY earlier, "
            "but the groups are still too cold.",
            "Let 100 ml run through each group and through both steam wands before the first cup.",
        ),
        *text(
            "If the machine was off for more than three days, drain the steam boiler completely and let it fill with "
            "fresh water."
        ),
    ]


def _espresso() -> list[Flowable]:
    return [
        *section(
            "6 Making espresso",
            *text(
                "Factory settings suit a medium roast. Dark roasts want one or two degrees less, light roasts one or "
                "two more. The temperature is set for each group in the menu <b>GROUP</b>."
            ),
        ),
        table(
            "Table 2: Factory settings for espresso.",
            ("Setting", "Single", "Double"),
            (
                ("Coffee", "8.5 g", "17 g"),
                ("In the cup", "19 g", "36 g"),
                ("Time", "26 s", "28 s"),
                ("Temperature", "93 °C", "93 °C"),
                ("Pre-infusion", "3 s", "4 s"),
            ),
            (0.44, 0.28, 0.28),
        ),
        figure(
            pressure_curve(),
            "Figure 4: Pressure at the coffee during a double shot. Four seconds of pre-infusion at 3 bar, then the "
            "full pressure of the pump, falling towards the end.",
        ),
        *text(
            "<b>The shot runs too fast:</b> grind finer. <b>It drips:</b> grind coarser, and look whether "
            "the basket is "
            "overfilled. <b>It sprays from one side:</b> level the coffee before tamping. Change one thing at a time.",
            "Grind for each shot. Coffee that was ground at breakfast gives a pale cup at noon. Dose by weight, level "
            "with a finger, tamp straight and once; force matters less than a flat surface.",
            "Look at the cup and not only at the scale: tiger-brown foam that closes again when it is "
            "stirred is right, "
            "a white spot in the middle means that the shot ran too long.",
            "Knock out the coffee cake at once and lock the portafilter in again empty, so that it stays warm.",
        ),
    ]


def _steam() -> list[Flowable]:
    return section(
        "7 Steaming milk",
        *text(
            "Blow the wand through for two seconds. Fill the jug to just below its spout, hold the tip of the wand a "
            "few millimetres under the surface until the milk is lukewarm, then deeper, so that it turns.",
            "Stop at 62 °C. Above 68 °C the milk tastes boiled and the foam falls apart; there is no way back.",
            "Oat milk foams best at 55 °C and does not like a second heating. Never steam what is left in the jug.",
            "Wipe the wand with a wet cloth straight after use and blow it through once more. Milk that has dried "
            "inside the tip is the most frequent cause of weak steam.",
        ),
    )


def _drinks() -> list[Flowable]:
    return section(
        "8 Drinks and their measures",
        table(
            "Table 3: What belongs into which cup.",
            ("Drink", "Coffee", "Milk, water", "Cup"),
            (
                ("Espresso", "single", "none", "70 ml"),
                ("Macchiato", "single", "15 ml foam", "70 ml"),
                ("Cortado", "double", "60 ml milk", "120 ml"),
                ("Flat white", "double", "130 ml milk", "170 ml"),
                ("Cappuccino", "single", "120 ml milk", "160 ml"),
                ("Long black", "double", "110 ml water", "200 ml"),
                ("Milk coffee", "double", "220 ml milk", "300 ml"),
            ),
            (0.27, 0.2, 0.32, 0.21),
        ),
        *text(
            "Cups are warmed on the tray, bottoms up. Water for a long black is taken from the tea tap and "
            "poured first: "
            "the foam stays on top.",
            "For two cups at once, put a double basket under the portafilter with two spouts and both cups "
            "on the scale. "
            "A difference of more than two grams between them means that the portafilter hangs askew.",
        ),
    )


def _cleaning() -> list[Flowable]:
    return [
        *section(
            "9 Cleaning",
            *text("Ten minutes at closing time. The order matters: groups first, tray last."),
        ),
        steps(
            "Put the blind basket in, with 5 g of cleaning powder, and run the programme <b>CLEAN</b> on each group.",
            "Repeat it without powder, until the water is clear.",
            "Soak baskets and spouts overnight in hot water with powder. The handles of the portafilters stay dry.",
            "Brush the shower screens, wipe the wands, empty and rinse the drip tray.",
        ),
        figure(
            group_in_section(),
            "Figure 5: A group in section. 1 shower screen, 2 gasket, 3 basket with coffee, 4 portafilter, 5 spout.",
        ),
        *text(
            "The housing is wiped with a soft cloth. Vinegar and scouring powder ruin the copper-coloured edge, and "
            "nobody has yet found a polish that brings it back.",
            "Scale is removed from the boilers in the workshop only. Descaler that is sold for household machines "
            "attacks the copper of the steam boiler.",
        ),
    ]


def _menu() -> list[Flowable]:
    return section(
        "10 The menus",
        *text(
            "Press <b>MENU</b> for three seconds. Plus and minus move through the list, <b>OK</b> chooses. "
            "The display goes "
            "back by itself after twenty seconds."
        ),
        table(
            "Table 4: The menus of the operator.",
            ("Menu", "What it sets", "Range"),
            (
                ("GROUP", "Brewing temperature of each group", "86 to 98 °C"),
                ("DOSE", "Water of the four dose keys", "10 to 250 ml"),
                ("SOAK", "Length of the pre-infusion", "0 to 12 s"),
                ("STEAM", "Pressure of the steam boiler", "0.8 to 1.5 bar"),
                ("TEA", "Mixing of the tea water", "70 to 95 °C"),
                ("CLOCK", "Switching on by itself, for each day", "00:00 to 23:59"),
                ("ECO", "Minutes until the groups cool to 70 °C", "15 to 120 min"),
                ("SERVICE", "Counters, draining, next service", ""),
            ),
            (0.22, 0.48, 0.3),
        ),
        *text(
            "<b>Dose keys by example:</b> hold the key for five seconds until its light blinks, make a shot "
            "into a scale, "
            "and press the key again when the weight is right. The machine remembers the water, not the time.",
            "Whoever forgets what was changed chooses <b>FACTORY</b> at the end of the list. Counters are "
            "not reset by it.",
        ),
    )


def _maintenance() -> list[Flowable]:
    return section(
        "11 Maintenance intervals",
        table(
            "Table 5: What is done how often, whichever comes first.",
            ("Part", "Every", "By"),
            (
                ("Shower screens, baskets: check", "week", "operator"),
                ("Softener cartridge: replace", "4 months or 9,000 litres", "operator"),
                ("Group gaskets: replace", "6 months", "operator"),
                ("Steam wand seals: replace", "12 months", "technician"),
                ("Safety valve: test", "12 months", "technician"),
                ("Pump: measure pressure", "12 months", "technician"),
                ("Flow meters: clean", "18 months", "technician"),
                ("Boilers: open and descale", "3 years", "workshop"),
            ),
            (0.46, 0.31, 0.23),
        ),
        *text(
            "The menu <b>SERVICE</b> counts the litres and the shots. It reminds of the cartridge seven days "
            "ahead. Write "
            "every replacement into the list on the inside of the left cover.",
        ),
    )


def _errors() -> list[Flowable]:
    return section(
        "12 Error codes",
        table(
            "Table 6: Error codes on the display.",
            ("Code", "Meaning", "What to do"),
            (
                ("E01", "No water from the mains", "Open the wall valve; check the hose"),
                ("E02", "Softener cartridge used up", "Replace the cartridge"),
                ("E03", "Left flow meter gives no pulses", "Grind coarser; call a technician"),
                ("E04", "Right flow meter gives no pulses", "Grind coarser; call a technician"),
                ("E05", "Group boiler does not heat", "Switch off for ten minutes; technician"),
                ("E06", "Group boiler too hot", "Switch off; technician"),
                ("E07", "Steam boiler overfilled", "Drain it by the tea tap; technician"),
                ("E08", "Steam pressure above 1.8 bar", "Emergency knob, leave the room, technician"),
                ("E09", "Drip tray full", "Empty the tray"),
                ("E10", "Cover open", "Close the cover"),
            ),
            (0.13, 0.4, 0.47),
        ),
        *text(
            "A code goes out when its cause is gone and the key <b>OK</b> is held for three seconds. A code that comes "
            "back three times in a day locks the group; the technician's menu unlocks it."
        ),
    )


def _trouble() -> list[Flowable]:
    return section(
        "13 Trouble without a code",
        table(
            "Table 7: What the display does not know.",
            ("What happens", "Likely cause", "Remedy"),
            (
                ("Weak steam", "Milk dried in the tip", "Soak the tip, clear its holes"),
                ("Pump hums, no water", "Air in the hose", "Open the tea tap for a minute"),
                ("Loud pump", "Pressure of the mains too low", "Open the wall valve fully"),
                ("Water beside the portafilter", "Gasket hard or dirty", "Brush it, then replace it"),
                ("Coffee is lukewarm", "Portafilter was cold", "Keep it locked in"),
                ("Bitter coffee", "Old coffee oil in the group", "Programme CLEAN"),
                ("Display is dark", "ECO, or the fuse", "Press any key; look at the fuse"),
                ("Hissing under the cup tray", "Vacuum valve is closing", "Normal while heating up"),
            ),
            (0.33, 0.33, 0.34),
        ),
        *text(
            "If nothing of this helps, write down what was on the display, what you heard, and what was done last. The "
            "service line asks exactly these three things."
        ),
    )


def _storing() -> list[Flowable]:
    return section(
        "14 Storing the machine",
        *text(
            "A machine that stands in an unheated room in winter must be emptied, all three boilers of it. Ice "
            "splits the flow meters and the copper seams, and that is not covered by the guarantee.",
            "Close the wall valve, open the tea tap, and choose <b>DRAIN</b> in the menu SERVICE. It takes "
            "40 minutes. Blow "
            "the wands through with the last steam. Leave the taps open and the portafilters out.",
            "A machine that travels stands upright. It is tied to the wall of the van by its frame and not "
            "by the head, "
            "and the drip tray travels by itself.",
            "When it comes back into a warm room, let it stand for a day before it is filled.",
        ),
    )


def _spare_parts() -> list[Flowable]:
    return section(
        "15 Spare parts",
        table(
            "Table 8: Parts that an operator may order and fit.",
            ("Part", "Order number", "In a set"),
            (
                ("Group gasket, 8 mm", "ZD-2041", "2"),
                ("Shower screen", "ZD-2043", "2"),
                ("Basket, double, 18 g", "ZD-2050", "1"),
                ("Blind basket", "ZD-2055", "1"),
                ("Softener cartridge", "ZD-3110", "1"),
                ("Steam tip, four holes", "ZD-4007", "2"),
                ("Cleaning powder, 900 g", "ZD-9001", "1"),
                ("Grating of the drip tray", "ZD-5302", "1"),
            ),
            (0.5, 0.3, 0.2),
        ),
        *text("Gaskets of other makers fit into the groove and leak after a week."),
    )


def _warranty() -> list[Flowable]:
    return section(
        "16 Guarantee and service",
        *text(
            "The guarantee lasts 24 months from the day of the invoice. Gaskets, seals, cartridges and "
            "baskets wear out "
            "and are excluded.",
            "Spare parts are kept for twelve years after the last machine of a series. Please have the serial number "
            "ready; it is stamped on the frame behind the drip tray and begins with ZD2.",
            "At the end of its life the machine is not household waste. The dealer takes it back, drained, "
            "and pays for the "
            "copper by its weight on the day.",
            "Service line: Monday to Saturday, 07:00 to 19:00, service@zefira.example. Outside these hours a recorded "
            "voice explains the red knob.",
        ),
    )


def _notes() -> list[Flowable]:
    return [FrameBreak(), Paragraph("Notes", HEADING), RuledLines(26)]
