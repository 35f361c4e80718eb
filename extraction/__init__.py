"""Documents in, rows of cells out, each with its place in the document.

`fields` that somebody names → the `document` as lines → the model is asked for each field's words (`asking`), which are
looked up and judged (`extractor`) → what they mean, as dates, numbers or money (`meanings`) → `cells`.
"""
