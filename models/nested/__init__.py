"""One step a note: a transformer over notes, and a chain of small layers for a note's fields."""
