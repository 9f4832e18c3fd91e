"""Which of three faces has the odd expression: drawing triplets, learning from them, judging."""
