"""What is in a photograph: pictures → things with boxes → words.

network.py   NanoDet-g as a plain torch network, with its weights beside it
detect.py    a picture → things: kind, score, box, colour (colours.py)
words.py     things → phrases and regions, without animals that are others (other_animals.py)
kinds.py     COCO's eighty kinds, how they are counted and which have a colour
"""
