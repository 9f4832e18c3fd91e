"""Model cards: the data of a run, the fixed texts, and the Markdown made of both."""
