"""The museum's web page, two mails, the volunteers' handbook and an interview: files that are plain text inside."""

from pathlib import Path

VISIT_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Plan your visit · Marevale Harbour Museum</title>
<style>
  body { margin: 0; font: 17px/1.6 Georgia, serif; color: #1d2b36; background: #f6f2ea; }
  header { background: #17405c; color: #fff; padding: 2.2rem 8vw 2rem; border-bottom: 8px solid #d9573f; }
  header p { margin: .2rem 0 0; color: #cfe0ea; }
  main { max-width: 46rem; margin: 0 auto; padding: 1.5rem 6vw 4rem; }
  h1 { margin: 0; font-weight: normal; letter-spacing: .02em; }
  h2 { color: #17405c; margin-top: 2.4rem; border-bottom: 1px solid #cbbfa8; }
  table { border-collapse: collapse; width: 100%; background: #fff; }
  th, td { text-align: left; padding: .5rem .8rem; border-bottom: 1px solid #e5dccb; }
  th { background: #e8eff3; font-weight: 600; }
  .note { background: #fdf3d8; padding: .6rem 1rem; border-left: 4px solid #e0a92e; }
</style>
</head>
<body>
<header>
  <h1>Marevale Harbour Museum</h1>
  <p>Ships, light and coffee on the Old Quay</p>
</header>
<main>
<h2>Opening hours</h2>
<table>
  <tr><th>Season</th><th>Days</th><th>Galleries</th><th>The Lamp Room (café)</th></tr>
  <tr><td>April to October</td><td>Monday, Wednesday, Friday to Sunday</td>
      <td>10:00 to 18:00</td><td>09:00 to 18:30</td></tr>
  <tr><td>April to October</td><td>Thursday, the long evening</td><td>10:00 to 21:00</td><td>09:00 to 21:30</td></tr>
  <tr><td>November to March</td><td>Wednesday to Sunday</td><td>11:00 to 16:00</td><td>10:00 to 16:30</td></tr>
</table>
<p class="note">The museum is closed on Tuesdays all year, and from 24 to 26 December.</p>

<h2>Tickets</h2>
<table>
  <tr><th>Ticket</th><th>Price</th></tr>
  <tr><td>Adult</td><td>€9.00</td></tr>
  <tr><td>Students, seniors, islanders</td><td>€6.00</td></tr>
  <tr><td>Children under 6</td><td>free</td></tr>
  <tr><td>Children from 6 to 15</td><td>€4.00</td></tr>
  <tr><td>Family (two adults and all their children)</td><td>€22.00</td></tr>
  <tr><td>Year card</td><td>€35.00</td></tr>
  <tr><td>Audio guide</td><td>€3.00</td></tr>
</table>

<h2>Getting here</h2>
<p>We are at Old Quay 3, between the fish hall and the lighthouse. Bus 7 from the railway station stops at
Old Quay every twelve minutes; the ride takes nine. By car, leave the ring road at Rope Walk and park in the
old ropeworks (€1.50 an hour). Bicycles may stand in the courtyard.</p>

<h2>Access</h2>
<p>All galleries can be reached by lift. The lighthouse tower cannot: it has 142 steps and no handrail on the
last twenty. Two wheelchairs can be borrowed at the ticket desk without booking.</p>

<h2>Dogs, bags and photographs</h2>
<p>Dogs are welcome in the courtyard and on the quay, but not in the galleries; the museum cat insists.
Large bags go into the lockers (a one-euro coin, which comes back). You may take photographs without flash.</p>

<h2>Roasting on Saturdays</h2>
<p>Every Saturday at 11:00 the roaster in The Lamp Room is fired up and you may watch, ask and taste.
It is free, lasts forty minutes and there is room for fifteen people.</p>
</main>
</body>
</html>
"""

BLEND_MAIL = """From: Noor Haddad <noor@lamproom.example>
To: Ines Calder <director@harbourmuseum.example>, Tobias Wren <collections@harbourmuseum.example>
Cc: roastery@lamproom.example
Subject: Decided: the name of the new espresso blend
Date: Wed, 18 Jun 2025 17:04:12 +0200
Message-ID: <20250618-blend@lamproom.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Dear Ines, dear Tobias,

thank you for the forty-one suggestions in the jar. After this morning's tasting the votes are counted:

  Second Dog Watch   19
  Lamp Oil           12
  Fog Signal         10

So the new house espresso will be called "Second Dog Watch". The other two go back into the jar for the
Christmas filter coffee.

The recipe stays as we tasted it: 60 percent Brazil (natural), 40 percent Sumatra, taken out of the drum at
214 degrees. A bag of 250 grams will cost 9.80 euros in the shop, and volunteers pay 7.50.

Labels: please nobody draw another anchor. Tobias, may I have the scan of the hurricane lamp from the 1911
catalogue? I need it by Friday the 27th, when the printer wants the file.

Noor
--
Noor Haddad, The Lamp Room, Old Quay 3, Marevale
"""

SCHOOL_MAIL = """From: Pia Rosendal <p.rosendal@ropewalk-school.example>
To: visits@harbourmuseum.example
Subject: Re: Class 4b, visit on 14 November
Date: Mon, 6 Oct 2025 08:31:50 +0200
Message-ID: <20251006-4b@ropewalk-school.example>
In-Reply-To: <20251003-visits@harbourmuseum.example>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="marevale-4b"

--marevale-4b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Good morning,

Friday 14 November suits us. We will be 27 children and 3 grown-ups and arrive on foot at 09:45.

Instead of the film we would rather take the knot workshop, if the boat shed is heated by then. Two children
have a nut allergy, so please no walnut cake this time; apples are always welcome.

Could you send the invoice to the parents' association and not to the school?

Kind regards
Pia Rosendal, Rope Walk School

> On 3 October the visits desk wrote:
> We can offer 7, 14 or 21 November. Which of them suits the class, and film or workshop?

--marevale-4b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<html><body><p>Good morning,</p>
<p>Friday 14 November suits us. We will be <b>27 children and 3 grown-ups</b> and arrive on foot at 09:45.</p>
<p>Instead of the film we would rather take the knot workshop, if the boat shed is heated by then. Two
children have a nut allergy, so please no walnut cake this time; apples are always welcome.</p>
<p>Could you send the invoice to the parents' association and not to the school?</p>
<p>Kind regards<br>Pia Rosendal, Rope Walk School</p>
</body></html>

--marevale-4b--
"""

HANDBOOK = """# Handbook for volunteers

Marevale Harbour Museum · edition of spring 2025

Welcome aboard. Nobody expects you to know the ships' names on your first day. Please know this page.

## Before we open

1. Sign in at the ticket desk and take a blue lanyard. Guests of the staff wear yellow ones.
2. Switch on the lights from the back to the front: Deep Water, Navigation Room, Ferry Hall, Main Hall.
3. Wind the tower clock, twelve turns, on Mondays only.
4. Put out fresh water for Pilot, the museum cat. He is fed by the café and by nobody else.

## When something happens

**First aid.** The first-aid box hangs behind the door of the cloakroom, not in the office any more. The
defibrillator is in the passage to the Ferry Hall, in a white case that howls when it is opened.

**A lost child.** Stay with the child where you are, and send another volunteer to the ticket desk. We never
call out a child's name over the loudspeaker. Parents are told to wait at the diving bell.

**Fire.** Leave by the quay doors. We meet at the crane, count heads, and the duty lead alone speaks to the
fire brigade.

**Power cut.** The galleries have ninety minutes of emergency light. The lift stops at the lower floor and
opens by itself.

## Questions that visitors ask

| Question | Answer |
|---|---|
| May I touch it? | Everything with a green dot, yes. |
| Is the lamp real? | Yes, and the lens is from 1891. |
| Who was Halcyon Rose? | A schooner, wrecked on the Farol ledge in 1927. |
| Where is the loo? | Down the ramp, beside the foghorn. |

## Leaving

Hand in the lanyard. The cash box is counted by two people and goes into the safe before the shutters come
down. The last one out sets the alarm and has forty seconds.
"""

INTERVIEW = """INTERVIEW 17, ORAL HISTORY OF THE HARBOUR
Adela Quint, harbour pilot, retired. Recorded in her kitchen, 11 February 2025.
Questions: Tobias Wren. Typed from the tape and read through by Mrs Quint.

WREN: When did you start?

QUINT: In 1961, as a deckhand, because they would not hear of a woman pilot. I got my licence in 1968. Licence
number 40. I still have the brass plate, it is on the bathroom door.

WREN: What does a pilot do that a captain cannot?

QUINT: Remember. The bar at the river mouth moves every winter. A captain has a chart and the chart is last
year. I had soundings in a school exercise book and I had the smell of the bottom. Mud on the east side, shell
on the west.

WREN: The night of the great fog comes up in every interview.

QUINT: Of course it does. The third of December 1976. The radar at the station failed at six in the evening and
there were eleven trawlers outside. We brought them in with the foghorn and a boy with a bicycle bell on each
of the two pier heads. It took until four in the morning. The last one in was the Perpetua, and her skipper
gave me a crate of lemons.

WREN: Lemons?

QUINT: It was what he had.

WREN: Were you ever frightened?

QUINT: Once, and not at sea. In the tower, on the stairs without a rail, when I had to carry the battery up for
the television people. Put a rail there.

WREN: Which ship did you like best?

QUINT: The cutter Guillemot. She heaved to like a duck. I hear somebody wants to sell her. Buy her.
"""

FILES = {
    "web/plan-your-visit.html": VISIT_PAGE,
    "mail/2025-06-18 name of the new blend.eml": BLEND_MAIL,
    "mail/2025-10-06 class 4b.eml": SCHOOL_MAIL,
    "notes/volunteer-handbook.md": HANDBOOK,
    "notes/interview-17-adela-quint.txt": INTERVIEW,
}


def write_all(collection: Path) -> None:
    """Write the five files; mails end their lines as mails do, with CR LF."""
    for name, text in FILES.items():
        target = collection / name
        target.parent.mkdir(parents=True, exist_ok=True)
        ends = "\r\n" if target.suffix == ".eml" else "\n"
        target.write_bytes(text.replace("\n", ends).encode())
