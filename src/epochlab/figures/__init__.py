"""Figures: how a table of numbers becomes a picture; one kind of picture per file.

    from epochlab.figures.lines import Lines

    Figure(table=curves, drawing=Lines(x="epoch", y="test error", color="optimizer"))

A drawing names columns of the table and holds no numbers of its own, so that a figure's data can
always be saved beside it. `draw(table)` returns an altair chart; altair is imported only then.
"""
