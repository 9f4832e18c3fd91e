"""Model cards: the data of a run, the fixed texts, and the Markdown built from both."""
