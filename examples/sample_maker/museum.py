"""The name, the colours and the numbers that several of the museum's papers share."""

NAME = "Marevale Harbour Museum"
NAVY, CORAL, SAND, INK = "17405C", "D9573F", "F6F2EA", "1D2B36"

VISITORS: tuple[tuple[str, int, int, int, int], ...] = (
    ("January", 812, 301, 164, 0),
    ("February", 1_047, 388, 240, 95),
    ("March", 1_390, 512, 377, 210),
    ("April", 2_655, 940, 1_012, 388),
    ("May", 3_120, 1_154, 986, 742),
    ("June", 3_874, 1_301, 1_233, 815),
    ("July", 5_216, 1_622, 2_048, 61),
    ("August", 5_739, 1_713, 2_406, 0),
    ("September", 3_402, 1_288, 901, 467),
)
"""Month of 2025: full price, reduced, children, school groups."""
