"""What can fill a statement other than a number or a name: reasons, actions, materials, people's duties, ways."""

from collections.abc import Mapping

from recipes.pocket.documents.values import listed

PHRASES: Mapping[str, tuple[str, ...]] = {
    "reason": listed("""
        because the roof leaks|because too few people signed up|because the floor gets slippery|
        because the key was lost|because the lights do not work|since nobody has time|because of the heavy rain|
        because the permit has expired|because the neighbours need their sleep|as the costs have doubled|
        because the boiler broke down|since the staff were on strike|because the road was flooded|
        because a pipe burst in the cellar|for fear of fire|because the insurance does not cover it|
        as two of the helpers are ill|because the paint is still wet|for lack of money|because the law demands it|
        because of the smell|as the wrong form was used|because there is no heating|because a child was hurt last year
    """),
    "machine_reason": listed("""
        because oil could run out|because the motor is still hot|since the bearings must cool|
        because lime would block the pipe|as the glass could crack|because the sensor needs a rest|
        because steam may escape|since dust would get in|because the spring is under tension|
        as the seal would dry out|because the pump must not run dry|because sparks can fly|
        as the varnish would come off|because the settings would be lost|since rust could form
    """),
    "done": listed("""
        sent back to the maker|taken to the caretaker|thrown away|wrapped in newspaper|kept for six months|
        sold at the flea market|given to a school|locked in the safe|put in the red bin|hung up to dry|
        repaired by a volunteer|stacked in the corridor|handed over to the police|burnt|photographed and filed|
        cleaned with vinegar|marked with a blue cross|loaded on the trailer|carried down to the cellar|
        offered to the members first|returned to the owner|written off|put outside the door|shredded|
        collected in a basket|exchanged within a week|covered with a sheet
    """),
    "machine_done": listed("""
        rinsed with warm water|replaced by a new one|sent to the workshop|taken out and dried|wiped with alcohol|
        cut off straight|blown through with air|greased lightly|shortened by a finger's width|soaked in vinegar|
        brushed under running water|emptied|turned over|heated with a hair dryer|swapped in pairs|thrown away|
        laid out flat|sealed with tape|shaken out|washed in the dishwasher|filled with antifreeze|
        rubbed down with sandpaper
    """),
    "action": listed("""
        call the caretaker|close all the windows|sign the list at the door|bring two photographs|
        write to the ombudsman|move the cars|take down the old posters|switch off the heating|
        tell the office by noon|paint the fence|wait outside|empty the fridge|sweep the yard|count the chairs|
        fill in the yellow form|lock up the bicycles|collect old newspapers|clear the corridor|
        sort the books by size|keep the receipts|send a copy of the contract|plant a hedge|roll up the carpets|
        gather in the yard|repair the swings|ask for a second opinion|register by telephone
    """),
    "machine_action": listed("""
        pull the plug at once|hold the reset key|open the drain valve|check the water supply|
        let the motor cool down|turn the drum by hand|close the lid firmly|call the service|
        clean the sensor with a dry cloth|press both arrows together|remove the battery|shut off the gas tap|
        empty the dust bag|fill up the salt|tighten the screws|take out the plug and the cartridge|
        push the slide all the way in|connect the earth wire|switch over to manual|update the software|
        put the lever to zero|smother the flames with a blanket
    """),
    "material": listed("""
        oak|brass|sailcloth|cork|walnut|stainless steel|felt|beech|copper|linen|slate|rubber|aluminium|bamboo|
        hard wax|ash wood|sheep's wool|glass fibre|leather|tin|marble|canvas|nylon|pewter|larch
    """),
    "food": listed("""
        pea soup|potato pancakes|apple pie|lentil stew|fried fish|rice pudding|cheese noodles|pumpkin bread|
        stuffed peppers|onion tart|bean salad|plum dumplings|roast chicken|spinach quiche|vegetable curry|
        grilled sausages|poppy seed cake|mushroom risotto|tomato soup|semolina pudding|pickled herring|waffles
    """),
    "animal": listed("""
        a hedgehog|a goat|a peacock|a grey heron|a donkey|a parrot|a fox|a swan|a tortoise|a badger|a barn owl|
        a rabbit|a stork|a lynx|a rooster|a salamander|an otter|a squirrel|a wild boar|a marten|a pony|an elk
    """),
    "part": listed("""
        the left hinge|the drain plug|the rear axle|the pressure gauge|the glass plate|the lower bearing|
        the thermostat|the drive belt|the door handle|the upper seal|the ignition switch|the spare wheel|
        the middle shelf|the flue pipe|the return spring|the speed sensor|the overflow valve|the foot pedal|
        the cable drum|the inner ring|the fan blade|the lock cylinder|the side panel|the chimney cap
    """),
    "tool": listed("""
        a wooden spoon|a soft brush|a size 5 Allen key|a bent wire|a rubber mallet|a flat screwdriver|a damp sponge|
        a pair of tweezers|a broad shovel|a plastic scraper|an old toothbrush|a 13 mm spanner|a long pole|
        a cotton bud|a lump of wax|a bicycle pump|a pair of pliers|a hooked rod|a lint-free cloth|a small crowbar
    """),
    "sound": listed("""
        two short beeps|a long whistle|a rising tone|three knocks|a gong|a deep hum|a rattle of drums|a voice|
        four quick clicks|a church bell|a low buzz|a siren that goes on and off|a melody|a single clap|
        a trumpet call|ten seconds of ringing
    """),
    "condition": listed("""
        if it rains|if at least ten people sign up|as soon as the papers are complete|if no storm is forecast|
        if a doctor confirms it|after the last payment|when the outdoor lights fail|
        if the keys are handed in|provided that two adults are there|when it is colder than 5 degrees|
        as long as the contract runs|if the police have been told|when the red flag is down|
        once the neighbours agree|if nothing is broken|in the event of snow|after a written warning|
        if the order is placed by noon|where no other person pays|when the stands are full
    """),
    "machine_state": listed("""
        if the light is green|once the drum stands still|when no key is pressed|after both keys were turned|
        if the battery falls below a fifth|when the pressure is gone|as soon as the water has cooled|
        while the plug is out|if the tray is empty|when the room gets dark|after the third beep|
        if the lid has been shut|once the fan has stopped|when the arrow stands at zero|
        as long as the handle is held down
    """),
    "direction": listed("""
        to the left|to the right|upwards|downwards|away from the wall|towards the window|inwards|outwards|
        to the north|towards the door|to the back|to the front|towards the stairs|to the south-east|
        away from the road|straight up|straight ahead
    """),
    "turn": listed("""
        clockwise|anticlockwise|a quarter turn to the left|half a turn to the right|against the arrow|
        with the arrow|towards the handle|two full turns to the left|away from the mark
    """),
    "way": listed("""
        straight on|through the side door|down the ramp|along the wall|through the archway|to the left|
        past the big mirror|up the narrow stairs|across the yard|through the glass doors|to the right|
        along the yellow line|past the bicycle racks|down the long corridor|under the bridge|around the corner
    """),
    "role": listed("""
        the caretaker|the youngest member|the deputy head|a trained electrician|the lady at the front desk|
        the night watchman|the choir leader|the head cook|the duty nurse|the janitor's son|the accountant|
        the team leader|a retired teacher|the gardener|the works council|the shift supervisor|the librarian|
        the owner|the safety officer|the apprentice|a neighbour|the house manager|the head of sales|the trainee
    """),
    "event": listed("""
        the spring concert|the harvest festival|the chess tournament|the Christmas market|the school play|
        the open day|the marathon|the book fair|the summer camp|the flower show|the anniversary|the dog show|
        the street party|the science week|the dance night|the jumble sale|the autumn ball|the bicycle rally|
        the cookery contest|the wedding of our founder
    """),
    "manner": listed("""
        in writing|by registered post|by e-mail|in a sealed envelope|through the web page|by fax|on yellow cards|
        in person|by courier|on a printed form|in two copies|by text message|by telephone|on a postcard|
        with the newspaper|through the letter box
    """),
    "purpose": listed("""
        to pay for the new roof|to plan the move|to save paper|to help new families|to order the right pipes|
        to compare the prices|to measure the stairs|to make room for the library|to replace the old heating|
        to settle the quarrel|to keep the young people busy|to prepare the inspection|to feed the birds|
        to store the instruments|to find the leak|to train the volunteers|to buy a minibus|to dry herbs|
        to draw up the contract|to test the alarm
    """),
    "language": listed("""
        Finnish|Portuguese|Dutch|Polish|Turkish|Greek|Danish|Italian|Arabic|Korean|Czech|Hungarian|Welsh|
        Malay|Japanese|French|Basque|Estonian|sign language|Tamil
    """),
    "room": listed("""
        room 112|workshop 3|the blue salon|studio B|lab 5|hall C|the conference room|room 2.07|the old laundry|
        the winter garden|the staff room|seminar room 4|the music room|office 318|the attic|pavilion 6
    """),
    "floor": listed("""
        on the ground floor|in the basement|on the third floor|under the roof|on level 5|on the mezzanine|
        on the floor below the canteen|one floor up|on the sixth floor of the north wing|on level -1
    """),
    "season": listed("""
        late autumn|early spring|the first week of May|the summer holidays|the dark months|midsummer|
        the middle of winter|the weeks before Easter|the last days of October|the rainy season
    """),
    "vehicle": listed("""
        by train|by bicycle|on foot|by bus line 7|by minibus|by tram|in shared cars|by cable car|by taxi|
        on the night train|by horse and cart|by underground
    """),
    "size": listed("A3|A5|A2|B4|A6|legal|30 by 40 cm|DIN long|20 x 20 cm|half letter|A1|9 by 13 cm"),
}  # fmt: skip
"""By the name under which `facts.txt` calls for them. They stand inside a sentence, never at its beginning."""
