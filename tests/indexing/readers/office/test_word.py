"""What a person sees in a Word file and readers of paragraphs pass over."""

from pathlib import Path

import docx
import pytest
from office_doubles import W, as_strict, pairs, paragraph, rewritten, run, texts, word_body
from reading_doubles import read_here

from indexing.records import Reading


def read(tmp_path: Path, body: str, parts: dict[str, tuple[str, str]] | None = None) -> Reading:
    return read_here(word_body(tmp_path / "a.docx", body, parts), tmp_path / "out")


def control(content: str, properties: str = "") -> str:
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def cell(content: str) -> str:
    return f"<w:tc>{content}</w:tc>"


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cell(paragraph(each)) for each in cells)}</w:tr>"


def table(*rows: str) -> str:
    return f"<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/><w:gridCol/></w:tblGrid>{''.join(rows)}</w:tbl>"


def test_tracked_changes_are_read_as_accepted_and_told(tmp_path: Path) -> None:
    deleted = '<w:del w:id="1" w:author="A"><w:r><w:delText>980</w:delText></w:r></w:del>'
    inserted = f'<w:ins w:id="2" w:author="A">{run("1145")}</w:ins>'
    moved = f'<w:moveFrom w:id="3">{run("moved away")}</w:moveFrom>'
    reading = read(tmp_path, paragraph("The rent is ", deleted, inserted, moved, " euros."))
    assert texts(reading) == ["The rent is 1145 euros."]
    (note,) = reading.notes
    assert (note.kind, note.number, note.unread) == ("revision", 2, False)


def test_a_deleted_row_is_gone_and_a_paragraph_whose_end_was_deleted_goes_on(tmp_path: Path) -> None:
    gone = f"<w:tr><w:trPr><w:del w:id='1'/></w:trPr>{cell(paragraph('old'))}{cell(paragraph('row'))}</w:tr>"
    joined = f"<w:p><w:pPr><w:rPr><w:del w:id='2'/></w:rPr></w:pPr>{run('The first ')}</w:p>{paragraph('half.')}"
    reading = read(tmp_path, table(row("Part", "Oil"), gone, row("Chain", "weekly")) + joined)
    assert pairs(reading) == [
        ("table", "| Part | Oil |\n| --- | --- |\n| Chain | weekly |"),
        ("text", "The first half."),
    ]


def test_content_controls_are_read_wherever_they_stand(tmp_path: Path) -> None:
    body = (
        control(paragraph("a paragraph"))
        + paragraph("number ", control(run("KD-7")), " and ", control(control(run("inner"))))
        + table(row("Item", "Price"), control(row("Impeller", "412.50")), f"<w:tr>{control(cell(paragraph('Seal')))}"
                f"{cell(control(paragraph('7.10')))}</w:tr>")
        + control(table(row("Guarantee", "27 months"), row("Penalty", "3 percent")))
    )  # fmt: skip
    assert texts(read(tmp_path, body)) == [
        "a paragraph",
        "number KD-7 and inner",
        "| Item | Price |\n| --- | --- |\n| Impeller | 412.50 |\n| Seal | 7.10 |",
        "| Guarantee | 27 months |\n| --- | --- |\n| Penalty | 3 percent |",
    ]


def test_fields_and_links_and_smart_tags_show_their_result(tmp_path: Path) -> None:
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> REF x </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        + run("Section 4") + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )  # fmt: skip
    simple = f'<w:fldSimple w:instr=" DATE ">{run("19 August")}</w:fldSimple>'
    link = f'<w:hyperlink w:anchor="x">{control(run("a link"))}</w:hyperlink>'
    tag = f'<w:smartTag w:element="x">{run("Ryde")}</w:smartTag>'
    assert texts(read(tmp_path, paragraph("See ", field, ", ", simple, ", ", link, ", ", tag))) == [
        "See Section 4, 19 August, a link, Ryde"
    ]


def box(words: str, *, anchored: bool = False) -> str:
    content = f"<w:txbxContent>{words}</w:txbxContent>"
    kind = "wp:anchor" if anchored else "wp:inline"
    shape = (
        f'<w:drawing xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"><{kind}>'
        f"<a:graphic><a:graphicData><wps:wsp><wps:txbx>{content}</wps:txbx></wps:wsp></a:graphicData></a:graphic>"
        f"</{kind}></w:drawing>"
    )
    old = f"<w:pict><v:shape><v:textbox>{content}</v:textbox></v:shape></w:pict>"
    return (
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps">{shape}</mc:Choice><mc:Fallback>{old}</mc:Fallback>'
        "</mc:AlternateContent></w:r>"
    )


@pytest.mark.parametrize("anchored", [True, False])
def test_a_text_box_is_read_once_behind_its_paragraph(tmp_path: Path, anchored: bool) -> None:
    inner = box(paragraph("a box in the box"))
    words = paragraph("Slates: ", control(run("8640 kg")), inner) + table(row("a", "b"), row("1", "2"))
    reading = read(tmp_path, paragraph("See the box.", box(words, anchored=anchored)) + paragraph("After."))
    assert texts(reading) == [
        "See the box.", "Slates: 8640 kg", "a box in the box", "| a | b |\n| --- | --- |\n| 1 | 2 |", "After.",
    ]  # fmt: skip
    assert reading.notes == ()


def test_a_text_box_for_old_programs_alone_is_read(tmp_path: Path) -> None:
    old = "<w:r><w:pict><v:shape><v:textbox><w:txbxContent>" + paragraph("old box") + "</w:txbxContent></v:textbox>"
    old += '<v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'
    assert texts(read(tmp_path, paragraph("See.", old))) == ["See.", "old box", "DRAFT"]


def test_footnotes_endnotes_and_comments_stand_behind_their_paragraph(tmp_path: Path) -> None:
    notes = (
        f'<w:footnotes {W}><w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
        f'<w:footnote w:id="7">{paragraph("dated to ", control(run("1437")))}</w:footnote>'
        f'<w:footnote w:id="2">{paragraph("by tree rings")}</w:footnote></w:footnotes>'
    )
    ends = f'<w:endnotes {W}><w:endnote w:id="1">{paragraph("see Hart")}</w:endnote></w:endnotes>'
    comments = (
        f'<w:comments {W}><w:comment w:id="0" w:author="R. Quill">{paragraph("paid on 9 June")}</w:comment>'
        f'<w:comment w:id="5" w:author="K. Vane">{paragraph("to nothing")}</w:comment></w:comments>'
    )
    body = (
        paragraph("The beams are oak", '<w:r><w:footnoteReference w:id="7"/></w:r>', " and elm",
                  '<w:r><w:footnoteReference w:id="2"/></w:r>', '<w:r><w:endnoteReference w:id="1"/></w:r>')
        + paragraph("The bill.", '<w:r><w:commentReference w:id="0"/></w:r>')
        + paragraph("The end.")
    )  # fmt: skip
    reading = read(
        tmp_path,
        body,
        {
            "footnotes.xml": ("footnotes", notes),
            "endnotes.xml": ("endnotes", ends),
            "comments.xml": ("comments", comments),
        },
    )
    assert texts(reading) == [
        "The beams are oak and elm", "Footnote 1: dated to 1437", "Footnote 2: by tree rings", "Endnote 1: see Hart",
        "The bill.", "Comment by R. Quill: paid on 9 June", "The end.", "Comment by K. Vane: to nothing",
    ]  # fmt: skip
    assert reading.notes == ()


def test_a_footnote_that_is_pointed_to_many_times_is_read_once(tmp_path: Path) -> None:
    notes = f'<w:footnotes {W}><w:footnote w:id="1">{paragraph("long note")}</w:footnote></w:footnotes>'
    body = paragraph("Words", *['<w:r><w:footnoteReference w:id="1"/></w:r>'] * 300)
    reading = read(tmp_path, body, {"footnotes.xml": ("footnotes", notes)})
    assert sum("long note" in text for text in texts(reading)) == 1


@pytest.mark.parametrize(
    ("markup", "sign"),
    [
        (control(run("☒"), '<w14:checkbox><w14:checked w14:val="1"/></w14:checkbox>'), "☒"),
        (control(run("☐"), '<w14:checkbox><w14:checked w14:val="0"/></w14:checkbox>'), "☐"),
        (control("<w:r><w:sym w:font='Wingdings' w:char='F0FE'/></w:r>",
                 '<w14:checkbox><w14:checked w14:val="true"/></w14:checkbox>'), "☒"),
        ("<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:default w:val='1'/></w:checkBox></w:ffData>"
         "</w:fldChar></w:r>", "☒"),
        ("<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:default w:val='1'/><w:checked w:val='0'/>"
         "</w:checkBox></w:ffData></w:fldChar></w:r>", "☐"),
        ("<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='no'/>"
         "<w:listEntry w:val='yes'/></w:ddList></w:ffData></w:fldChar></w:r>", "yes"),
        ("<w:r><w:sym w:font='Wingdings' w:char='F0A8'/></w:r>", "☐"),
        ("<w:r><w:sym w:font='Wingdings 2' w:char='F052'/></w:r>", "☒"),
        ("<w:r><w:rPr><w:rFonts w:ascii='Wingdings' w:hAnsi='Wingdings'/></w:rPr><w:t>þ</w:t></w:r>", "☒"),
    ],
)  # fmt: skip
def test_a_box_says_whether_it_is_ticked(tmp_path: Path, markup: str, sign: str) -> None:
    reading = read(tmp_path, paragraph(markup, " Photographs may be published"))
    assert texts(reading) == [f"{sign} Photographs may be published"]
    assert reading.notes == ()


def test_hidden_text_is_read_and_told(tmp_path: Path) -> None:
    secret = "<w:r><w:rPr><w:vanish/></w:rPr><w:t> two words</w:t></w:r>"
    shown = "<w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t> shown</w:t></w:r>"
    reading = read(tmp_path, paragraph("Seen", secret, shown))
    assert texts(reading) == ["Seen two words shown"]
    assert [(note.kind, note.number, note.unread) for note in reading.notes] == [("hidden", 2, False)]


def test_a_chart_is_a_table_with_its_title_and_a_diagram_its_words(tmp_path: Path) -> None:
    chart = """<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"
      xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart>
      <c:title><c:tx><c:rich><a:p><a:r><a:t>Water used</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea>
      <c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>Share</c:v></c:pt></c:strCache></c:strRef>
      </c:tx>
      <c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>May</c:v></c:pt><c:pt idx="1"><c:v>June</c:v></c:pt></c:strCache>
      </c:strRef></c:cat><c:val><c:numRef><c:numCache><c:formatCode>0%</c:formatCode>
      <c:pt idx="0"><c:v>0.25</c:v></c:pt>
      <c:pt idx="1"><c:v>0.75</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart>
      </c:chartSpace>"""
    diagram = """<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"
      xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>Order
      </a:t></a:r></a:p></dgm:t></dgm:pt><dgm:pt/>
      <dgm:pt><dgm:t><a:p><a:r><a:t>Deliver</a:t></a:r></a:p></dgm:t></dgm:pt>
      </dgm:ptLst></dgm:dataModel>"""
    body = paragraph(
        "Figures:", '<w:r><w:drawing><c:chart r:id="chart1"/></w:drawing></w:r>',
        '<w:r><w:drawing><dgm:relIds r:dm="data1"/></w:drawing></w:r>',
    ) + paragraph("After.")  # fmt: skip
    parts = {"charts/chart1.xml": ("chart", chart), "diagrams/data1.xml": ("diagramData", diagram)}
    reading = read(tmp_path, body, parts)
    assert [text.split() for text in texts(reading)] == [
        ["Figures:"],
        ["Chart:", "Water", "used"],
        [
            "|",
            "|",
            "Share",
            "|",
            "|",
            "---",
            "|",
            "---",
            "|",
            "|",
            "May",
            "|",
            "25%",
            "|",
            "|",
            "June",
            "|",
            "75%",
            "|",
        ],
        ["Order"],
        ["Deliver"],
        ["After."],
    ]
    assert reading.notes == ()


def test_formulas_and_readings_of_characters(tmp_path: Path) -> None:
    formula = (
        "<m:oMath><m:r><m:t>x=</m:t></m:r><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r>"
        "</m:den></m:f></m:oMath>"
    )
    ruby = f"<w:r><w:ruby><w:rt>{run('かんじ')}</w:rt><w:rubyBase>{run('漢字')}</w:rubyBase></w:ruby></w:r>"
    reading = read(tmp_path, paragraph("So ", formula, " in ", ruby))
    assert texts(reading) == ["So x=(a)/(b) in 漢字"]
    assert reading.notes == ()


def test_headers_come_once_and_with_their_controls(tmp_path: Path) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Marlowe"
    document.add_paragraph("one")
    section = document.add_section()
    section.header.is_linked_to_previous = False
    section.header.paragraphs[0].text = "Marlowe"
    document.add_paragraph("two")
    document.save(str(tmp_path / "a.docx"))
    within = {"word/header1.xml": lambda xml: xml.replace("<w:t>Marlowe</w:t>", "<w:t>Marlowe</w:t>")}
    reading = read_here(rewritten(tmp_path / "a.docx", within), tmp_path / "out")
    assert texts(reading).count("Marlowe") == 1


def test_a_document_with_macros_and_a_strict_one_are_read(tmp_path: Path) -> None:
    path = word_body(tmp_path / "a.docm", paragraph("with macros"))
    old = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    new = "application/vnd.ms-word.document.macroEnabled.main+xml"
    rewritten(path, {"[Content_Types].xml": lambda xml: xml.replace(old, new)})
    assert texts(read_here(path, tmp_path / "out")) == ["with macros"]


def test_strict_open_xml_is_read_as_the_ordinary_kind(tmp_path: Path) -> None:
    words = paragraph("Strict ", control(run("words"))) + table(row("a", "b"), row("1", "2"))
    path = as_strict(word_body(tmp_path / "a.docx", words))
    assert texts(read_here(path, tmp_path / "out")) == ["Strict words", "| a | b |\n| --- | --- |\n| 1 | 2 |"]


def test_a_document_that_word_takes_in_when_it_opens_is_told(tmp_path: Path) -> None:
    reading = read(tmp_path, paragraph("Words"), {"chunk.htm": ("aFChunk", "<html/>")})
    assert [(note.kind, note.unread) for note in reading.notes] == [("embedded", True)]


def test_the_footnote_of_deleted_words_is_not_missed(tmp_path: Path) -> None:
    notes = f'<w:footnotes {W}><w:footnote w:id="1">{paragraph("old note")}</w:footnote></w:footnotes>'
    gone = '<w:del w:id="9"><w:r><w:delText>old</w:delText></w:r><w:r><w:footnoteReference w:id="1"/></w:r></w:del>'
    reading = read(tmp_path, paragraph("Words", gone), {"footnotes.xml": ("footnotes", notes)})
    assert texts(reading) == ["Words"]
    assert [note.kind for note in reading.notes] == ["revision"]


def test_signs_and_hyphens_in_words_are_not_missed(tmp_path: Path) -> None:
    greek = "<w:r><w:sym w:font='Symbol' w:char='F061'/></w:r>"
    hyphen = "<w:r><w:t>e</w:t><w:noBreakHyphen/><w:t>mail</w:t></w:r>"
    reading = read(tmp_path, paragraph("x", greek, " ", hyphen))
    assert texts(reading) == ["xα e-mail"] and reading.notes == ()
