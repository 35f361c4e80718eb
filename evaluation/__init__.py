"""Questions with known answers in, figures with intervals out."""
